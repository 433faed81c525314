"""Adoption by the host's page and by REST: what is offered, what is refused, and to whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovcadmin.domain.adoption import Card, Described, Drive
from ovcadmin.drivers.hypervisor.base import DomainState, PowerState
from ovcadmin.engine.store import end
from ovcadmin.models import Operation, OperationState
from ovcadmin.services import adoptions, strangers
from tests.functional.world import World, form

UUID = "11111111-2222-3333-4444-555555555555"
OLD = Described(
    name="old-web", title="", type="kvm", vcpus=2, memory=2**20, running_vcpus=2,
    running_memory=2**20,
    drives=(
        Drive(target="vda", source="/volumes/old.img", format="raw", store="ovc",
              volume="old.img", size=10**10),
    ),
    cards=(Card(mac="52:54:00:01:02:03", kind="bridge", source="br0"),),
    kept=("a TPM",), definition="<domain/>",
)  # fmt: skip


@pytest.fixture
def host(world: World):
    return world.host("kvm-a")


def found(world: World, host, described: Described | None = OLD, uuid: str = UUID) -> None:
    """What a worker tells of a domain on the host."""
    name = described.name if described else "old-web"
    with world.work() as work:
        seen = {uuid: DomainState(uuid=uuid, name=name, power=PowerState.RUNNING)}
        assert strangers.observe(work, host.id, seen) == [uuid]
        if described is not None:
            strangers.described(work, host.id, uuid, described)
            assert strangers.observe(work, host.id, seen) == [], "it is not read at each look"


def worker(world: World, machine_id: int, described: Described = OLD) -> None:
    with world.work() as work:
        machine = adoptions.machines.get(work, machine_id)
        operation = work.db.get_one(Operation, machine.tail_id)
        state = DomainState(uuid=UUID, name="old-web", power=PowerState.RUNNING)
        adoptions.take(work, machine, described, state)
        adoptions.take(work, machine, described, state)
        adoptions.adopted(work, operation)
        end(work.db, operation, OperationState.DONE, work.now())


@pytest.mark.requirement("PEER-28")
def test_a_domain_is_listed_with_what_it_consists_of_and_adopted_by_the_page(world, host):
    browser = world.signed_in(world.admin())
    found(world, host, None)
    assert "It could not be read yet" in browser.get(f"/hosts/{host.id}")
    with world.work() as work:
        strangers.described(work, host.id, UUID, OLD)
    page = browser.get(f"/hosts/{host.id}")
    assert "old-web" in page
    page = page.click("Adopt…")
    assert "/volumes/old.img" in page
    assert "bridge br0" in page
    assert "a TPM" in page
    filled = form(page)
    assert filled["name"].value == "old-web"
    filled["name"] = "Old web"
    filled["os_type"] = "freebsd"
    page = filled.submit().follow()
    assert "Old web is being adopted" in page
    assert "being adopted" in page
    machine_id = int(page.request.path.rsplit("/", 1)[1])
    worker(world, machine_id)
    told = world.api(world.admin())("GET", f"/machines/{machine_id}").json
    assert (told["state"], told["vcpus"], told["size"]) == ("running", 2, "adopted")
    devices = world.api(world.admin())("GET", f"/machines/{machine_id}/devices").json
    assert [card["network"] for card in devices["cards"]] == ["bridge:br0"]
    assert [drive["size"] for drive in devices["drives"]] == [10**10]
    page = browser.get(f"/machines/{machine_id}/devices")
    assert "bridge:br0" in page


def test_what_stands_against_it_is_told_in_every_door(world, host):
    world.image()
    other = world.machine("web01", world.root(), host=host)
    with world.work() as work:
        mac = adoptions.machines.get(work, other.id).nics[0].mac
    odd = replace(
        OLD, lasting=False, differs=True, type="xen",
        drives=(replace(OLD.drives[0], format="qcow2", store="", plain=False),),
        cards=(Card(mac=mac, kind="direct", source="eth0"),),
    )  # fmt: skip
    found(world, host, odd)
    reasons = [
        "It is a guest of xen", "It has no lasting definition", "What runs has other drives",
        "has the format qcow2", "is shared, read-only or thrown away", "is in no storage pool",
        "is connected by “direct”", "of a card of the machine web01",
    ]  # fmt: skip
    api = world.api(world.admin())
    (listed,) = api("GET", f"/hosts/{host.id}/domains").json["items"]
    assert not listed["fits"]
    page = world.signed_in(world.admin()).get(f"/hosts/{host.id}").text
    body = {"uuid": UUID, "pool_id": world.root().id, "name": "Old"}
    before = world.fingerprint()
    refused = api("POST", f"/hosts/{host.id}/domains", body)
    assert (refused.status_int, refused.json["code"]) == (409, "host.domain_unfit")
    for told, reason in zip(listed["obstacles"], reasons, strict=True):
        assert reason in told
        assert reason in page
        assert told in refused.json["context"]["reasons"]
    assert world.fingerprint() == before
    form_page = world.signed_in(world.admin()).get(f"/hosts/{host.id}/adopt?domain={UUID}")
    assert "It cannot be adopted" in form_page


def test_it_takes_rights_on_the_host_and_on_the_pool_and_room_in_its_quota(world, host):
    found(world, host)
    mine, small = world.pool("Mine"), world.pool("Small", vcpus=1)
    body = {"uuid": UUID, "pool_id": mine.id, "name": "Old"}
    path = f"/hosts/{host.id}/domains"
    viewer = world.user("viewer", "Monitor")
    assert world.api(viewer)("GET", path).status_int == 200
    assert world.api(viewer)("POST", path, body).status_int == 403
    assert "Adopt…" not in world.signed_in(viewer).get(f"/hosts/{host.id}")
    owner = world.user("owner", "Administrator", mine)
    assert world.api(owner)("POST", path, body).status_int == 404
    admin = world.api(world.admin())
    refused = admin("POST", path, {**body, "pool_id": small.id})
    assert refused.json["code"] == "quota.exceeded"
    taken = admin("POST", path, body)
    assert taken.status_int == 202, taken.text
    assert admin("POST", path, body).status_int == 409
    assert admin("GET", path).json["items"] == []
    assert admin("POST", path, {**body, "uuid": UUID.replace("1", "2")}).status_int == 404


def test_an_adoption_that_fails_leaves_nothing_and_may_be_asked_for_again(world, host):
    found(world, host)
    admin = world.api(world.admin())
    body = {"uuid": UUID, "pool_id": world.root().id, "name": "Old"}
    asked = admin("POST", f"/hosts/{host.id}/domains", body).json
    machine_id = asked["machine"]["id"]
    cancelled = admin("POST", f"/operations/{asked['operation']['id']}/cancel")
    assert cancelled.json["operation"]["state"] == "cancelled", cancelled.text
    assert admin("GET", f"/machines/{machine_id}").status_int == 404
    found(world, host)
    again = admin("POST", f"/hosts/{host.id}/domains", body)
    assert again.status_int == 202, again.text
    worker(world, again.json["machine"]["id"])
    clone = {"name": "Copy"}
    with world.work() as work:
        machine = adoptions.machines.get(work, again.json["machine"]["id"])
        machine.state, machine.tail_id = "stopped", None
        machine.definition = "<domain><os><loader/></os></domain>"
    refused = admin("POST", f"/machines/{machine.id}/clones", clone)
    assert "firmware of its own" in refused.text
    assert admin("POST", f"/machines/{machine.id}/complete").status_int == 409

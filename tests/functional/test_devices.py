"""Devices of machines by the doors that people use: the tab, its forms, the API; and the quota."""

from __future__ import annotations

import pytest

from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.resources import Limits
from ovcadmin.domain.states import State
from ovcadmin.errors import QuotaExceeded
from ovcadmin.models import Machine, Nic, Volume
from ovcadmin.services import (
    devices,
    images,
    machine_states,
    pool_limits,
    pools,
    quotas,
    storage,
)
from tests.functional.world import form

MIB = 1024
GB = 10**9
MAC = "52:54:00:00:00:01"


@pytest.fixture
def cloud(world):
    """A pool with a running machine of 1 vcpu, 256 MiB, 1 GB and one card, and its user."""
    pool = world.pool("Web")
    host = world.host()
    world.image()
    machine = world.machine("web01", pool, host=host, state=State.RUNNING)
    with world.work() as work:
        store = world.store(host)
        row = work.db.get(Machine, machine.id)
        work.db.add(
            Volume(
                storage_pool_id=store.id, name="disk", key="disk", size=row.storage,
                machine_id=row.id, target="vda",
            )
        )  # fmt: skip
    world.pool_id, world.machine_id = pool.id, machine.id
    return world


def limit(world, **limits):
    """Give the pool exactly its use as limits, and so much more."""
    with world.work() as work:
        pool = pools.get(work, world.pool_id)
        used = quotas.usage(work, [pool.id])[pool.id][0]
        given = {name: getattr(used, name) + more for name, more in limits.items()}
        pool_limits.set_limits(work, pool, Limits(**given))


def machine(world) -> Machine:
    with world.work() as work:
        return work.db.get(Machine, world.machine_id)


def of(world, path=""):
    return f"/machines/{world.machine_id}{path}"


def books(world) -> list[str]:
    with world.work() as work:
        return machine_states.reservation_differences(work)


DOORS = [
    ("vcpus", "POST", "/resize", lambda m: {"vcpus": m.vcpus + 1, "memory": m.memory}),
    ("memory", "POST", "/resize", lambda m: {"vcpus": m.vcpus, "memory": m.memory + 128 * MIB}),
    ("storage", "POST", "/drives", lambda _: {"size": GB}),
    ("storage", "PATCH", "/drives/vda", lambda m: {"size": m.storage + GB}),
    ("nics", "POST", "/cards", lambda _: {}),
]
ROOM = {"vcpus": 1, "memory": 128 * MIB, "storage": GB + 512, "nics": 1}


@pytest.mark.requirement("OVT-46", "OVT-54")
@pytest.mark.parametrize(("resource", "method", "path", "body"), DOORS)
def test_fault_02_no_door_leads_past_a_limit(cloud, resource, method, path, body):
    api = cloud.api(cloud.user("anna", "User"))
    order = body(machine(cloud))
    limit(cloud, **{resource: 0})
    refused = api(method, of(cloud, path), order)
    assert (refused.status_int, refused.json["code"]) == (409, "quota.exceeded")
    assert refused.json["context"]["blocks"][0]["resource"] == resource
    assert machine(cloud).tail_id is None
    assert books(cloud) == []
    limit(cloud, **{resource: ROOM[resource]})
    assert api(method, of(cloud, path), order).status_int == 202
    # What is queued was promised: a second one does not fit any more.
    again = {**order, "vcpus": order["vcpus"] + 1} if "vcpus" in order else order
    if path == "/drives/vda":
        again = {"size": order["size"] + GB}
    if resource != "memory":
        assert api(method, of(cloud, path), again).json["code"] == "quota.exceeded"


def test_fault_02_a_start_behind_a_resize_counts_the_new_size(cloud):
    """Both were accepted while the machine was off; each alone fits, the two together do not."""
    with cloud.work() as work:
        row = work.db.get(Machine, cloud.machine_id)
        machine_states.enter(work, row, State.STOPPED)
    limit(cloud, vcpus=1, memory=10**9, nics=1, machines=1)
    api = cloud.api(cloud.user("anna", "User"))
    order = {"vcpus": 2, "memory": machine(cloud).memory}
    asked = api("POST", of(cloud, "/resize"), order).json["operation"]
    start = api("POST", of(cloud, "/actions/start")).json["operation"]
    with cloud.work() as work:
        work.db.get(Machine, cloud.machine_id).vcpus = 2  # what the worker writes
    cloud.finish(asked["id"])
    with cloud.work() as work:
        row = work.db.get(Machine, cloud.machine_id)
        assert row.tail.id == start["id"]
        with pytest.raises(QuotaExceeded, match="does not fit the quota"):
            devices.reserve_running(work, row, row.tail, State.RUNNING)


def test_what_a_running_machine_gets_more_is_held_with_the_rest(cloud):
    api = cloud.api(cloud.user("anna", "User"))
    before = machine(cloud)
    order = {"vcpus": before.vcpus + 1, "memory": before.memory + 128 * MIB}
    asked = api("POST", of(cloud, "/resize"), order).json["operation"]
    with cloud.work() as work:
        row = work.db.get(Machine, cloud.machine_id)
        row.vcpus, row.memory = order["vcpus"], order["memory"]
    cloud.finish(asked["id"])
    assert books(cloud) == []
    used = api("GET", f"/pools/{cloud.pool_id}/quota").json["levels"][0]["used"]
    assert (used["vcpus"], used["memory"]) == (order["vcpus"], order["memory"])


def test_a_resize_that_makes_smaller_frees_what_it_held(cloud):
    limit(cloud, memory=0)
    api = cloud.api(cloud.user("anna", "User"))
    before = machine(cloud)
    order = {"vcpus": before.vcpus, "memory": before.memory - 64 * MIB}
    asked = api("POST", of(cloud, "/resize"), order).json["operation"]
    with cloud.work() as work:
        row = work.db.get(Machine, cloud.machine_id)
        row.memory = order["memory"]
        devices.note_pending(row, "memory", before.memory, row.memory)
    cloud.finish(asked["id"])
    assert books(cloud) == []
    pool = api("GET", f"/pools/{cloud.pool_id}/quota").json["levels"][0]
    assert pool["used"]["memory"] == before.memory, "the guest has it still"
    with cloud.work() as work:
        row = work.db.get(Machine, cloud.machine_id)
        machine_states.enter(work, row, State.STOPPED)
        assert row.pending == {}
        machine_states.enter(work, row, State.RUNNING)
    assert books(cloud) == []
    pool = api("GET", f"/pools/{cloud.pool_id}/quota").json["levels"][0]
    assert pool["used"]["memory"] == before.memory - 64 * MIB


@pytest.mark.requirement("PEER-13")
def test_the_tab_shows_what_is_there_and_what_is_pending(cloud):
    with cloud.work() as work:
        row = work.db.get(Machine, cloud.machine_id)
        devices.note_pending(row, "vcpus", 1, 4)
    browser = cloud.signed_in(cloud.user("anna", "User"))
    page = browser.get(of(cloud)).click("^Devices$")
    told = page.html.find("main").get_text(" ", strip=True)
    for part in ("Needs a restart", "1 → 4", "vda", "user-mode network", "disk, then CD-ROM"):
        assert part in told


def test_a_form_keeps_what_was_typed_and_queues_what_fits(cloud):
    browser = cloud.signed_in(cloud.user("anna", "User"))
    page = browser.get(of(cloud, "/resize"))
    entry = form(page)
    entry["vcpus"], entry["memory"] = "500", "1 GiB"
    refused = entry.submit(expect_errors=True)
    assert refused.status_int == 422
    assert form(refused)["vcpus"].value == "500"
    assert "from 1 to 240" in refused.text
    entry = form(refused)
    entry["vcpus"] = "2"
    done = entry.submit().follow()
    assert "Resize web01: accepted." in done.text
    asked = cloud.api(cloud.admin())("GET", of(cloud)).json
    assert asked["shown"] in ("resizing", "resizing (queued)")


@pytest.mark.requirement("OVT-27")
def test_a_mac_that_is_taken_or_none_is_refused(cloud):
    api = cloud.api(cloud.user("anna", "User"))
    with cloud.work() as work:
        taken = work.db.query(Nic).filter_by(machine_id=cloud.machine_id).one().mac
    assert api("POST", of(cloud, "/cards"), {"mac": taken}).json["code"] == "name.taken"
    for wrong in ("52:54:00", "53:54:00:00:00:01", "fe:54:00:00:00:01", "x" * 17):
        assert api("POST", of(cloud, "/cards"), {"mac": wrong}).json["code"] == "input.invalid"
    assert api("POST", of(cloud, "/cards"), {"mac": MAC}).status_int == 202


@pytest.mark.requirement("KVM-27", "KVM-38")
def test_a_drive_does_not_shrink_and_the_only_one_stays(cloud):
    api = cloud.api(cloud.user("anna", "User"))
    shrink = api("PATCH", of(cloud, "/drives/vda"), {"size": 10**8})
    assert shrink.json["code"] == "input.invalid"
    assert "only grow" in shrink.json["fields"][0]["text"]
    assert api("DELETE", of(cloud, "/drives/vda")).json["code"] == "object.in_use"
    assert api("DELETE", of(cloud, "/drives/vdx")).json["code"] == "object.conflict"


def test_limits_are_for_who_may_modify(cloud):
    user, keeper = cloud.api(cloud.user("anna", "User")), cloud.api(cloud.admin())
    body = {"bytes": 10**6, "operations": None}
    assert user("PUT", of(cloud, "/drives/vda/limits"), body).status_int == 403
    assert user("PUT", of(cloud, "/cpu-limit"), {"percent": 50}).status_int == 403
    assert keeper("PUT", of(cloud, "/drives/vda/limits"), body).status_int == 202


def test_the_answer_tells_all_devices(cloud):
    found = cloud.api(cloud.admin())("GET", of(cloud, "/devices")).json
    assert [drive["target"] for drive in found["drives"]] == ["vda"]
    assert len(found["cards"]) == 1
    assert found["cdroms"] == [{"drive": "hda", "image": None}]
    assert found["pending"] == []


def test_what_was_refused_by_its_state_can_be_asked_for_later(cloud):
    api = cloud.api(cloud.admin())
    api("POST", of(cloud, "/actions/save"))
    assert api("POST", of(cloud, "/drives"), {"size": GB}).json["code"] == "machine.state"


def test_a_failed_change_is_asked_for_again(cloud):
    api = cloud.api(cloud.admin())
    asked = api("POST", of(cloud, "/drives"), {"size": GB}).json["operation"]["id"]
    assert api("POST", f"/operations/{asked}/cancel").status_int == 202
    again = api("POST", f"/operations/{asked}/retry")
    assert again.status_int == 202
    assert again.json["operation"]["type"] == "machine.drive_add"


@pytest.mark.requirement("PEER-13")
def test_what_waits_for_a_restart_is_told_on_every_tab(cloud):
    with cloud.work() as work:
        row = work.db.get(Machine, cloud.machine_id)
        devices.note_pending(row, "memory", 256 * MIB, 512 * MIB)
    boss = cloud.signed_in(cloud.admin())
    for tab in ("", "/devices", "/snapshots"):
        page = boss.get(of(cloud, tab)).text
        assert "Needs a restart" in page
        assert "256 MiB → <strong>512 MiB</strong>" in page
    with cloud.work() as work:
        devices.note_pending(work.db.get(Machine, cloud.machine_id), "memory", 1, 1)
    assert "Needs a restart" not in boss.get(of(cloud)).text


@pytest.mark.requirement("KVM-59")
def test_a_user_inserts_and_takes_out_the_isos_that_he_may_use(cloud):
    with cloud.work() as work:
        pool = pools.get(work, cloud.pool_id)
        other = pools.create(work, pools.root(work), name="Other")
        for name, place in (("Rescue", pool), ("Secret", other)):
            raw = images.Raw(path="/x.iso", size=10**6, checksum="0" * 64)
            made = images.register(work, place, name=name, raw=raw, kind=ImageKind.ISO)
            for store in storage.listing(work):
                images.spread(work, made, store)
            work.db.flush()
            work.db.refresh(made, ["volumes"])
            for volume in made.volumes:
                volume.key = volume.name
    anna = cloud.user("anna", "User", pool)
    browser, api = cloud.signed_in(anna), cloud.api(anna)
    entry = form(browser.get(of(cloud, "/cdrom")))
    assert [text for *_, text in entry["image"].options] == ["(empty)", "Rescue"]
    secret = next(row for row in cloud.api(cloud.admin())("GET", "/images?kind=iso").json["items"]
                  if row["name"] == "Secret")  # fmt: skip
    refused = api("PUT", of(cloud, "/cdrom"), {"image_id": secret["id"]})
    assert refused.status_int == 422
    entry["image"].select(text="Rescue")
    entry.submit().follow()
    operation = api("GET", f"/operations?machine_id={cloud.machine_id}").json["items"][0]
    assert operation["type"] == "machine.insert"
    cloud.finish(operation["id"])
    assert api("PUT", of(cloud, "/cdrom"), {"image_id": None}).status_int == 202

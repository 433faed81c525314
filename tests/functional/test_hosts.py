"""Hosts by their pages and by REST: enrolled, edited, cleared, retired; and by whom."""

from __future__ import annotations

import shlex
from uuid import uuid4

import pytest

from ovcadmin.domain.amounts import show_memory
from ovcadmin.domain.states import State
from ovcadmin.drivers.hypervisor.base import DomainState, PowerState
from ovcadmin.errors import LeaseLost
from ovcadmin.models import Host
from ovcadmin.services import hosts, machines, operations, processes, watches
from tests.functional.world import World, form


def enrol(browser, pool, **values):
    page = browser.get(f"/pools/{pool.id}/hosts/new")
    filled = form(page)
    for name, value in {"name": "kvm-b", "uri": "qemu+ssh://root@kvm-b/system", **values}.items():
        filled[name] = value
    return filled.submit(expect_errors=True)


def row(world: World, name: str) -> Host:
    with world.work() as work:
        return next(host for host in hosts.listing(work) if host.name == name)


def test_a_host_is_enrolled_by_its_form_and_the_way_to_it_is_tried(world):
    browser = world.signed_in(world.admin())
    page = enrol(browser, world.root(), memory_reserve="2 GiB", cpu_ratio="4").follow()
    assert "kvm-b is enrolled; the way to it is tried out" in page
    host = row(world, "kvm-b")
    assert (host.memory_reserve, host.cpu_ratio, host.state) == (2 * 2**20, 4.0, "new")
    assert "Check the connection to kvm-b" in browser.get(f"/hosts/{host.id}")
    with world.work() as work:
        hosts.silent(work, host.id, "No connection to host kvm-b can be opened: no such name.")
    page = browser.get(f"/hosts/{host.id}")
    assert "kvm-b does not answer: No connection" in page
    assert "no such name.</span>" in page, "one full stop, and nothing of machines it has not"
    for told in (page, browser.get("/hosts")):
        assert "no limit" not in told, "what it has is not known"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("uri", "qemu+ssh:///system", "needs the name of the host"),
        ("uri", "http://kvm-b/system", "It begins with qemu://"),
        ("uri", "qemu+ssh://root@kvm-b/system?command=/bin/sh", "parameter command is not taken"),
        ("uri", "qemu+ssh://-oProxyCommand=x/system", "no name begins with a dash"),
        ("cpu_ratio", "many", "Write a number from 0.1 to 100"),
        ("memory_ratio", "0", "Write a number from 0.1 to 100"),
        ("migration_uri", "file:///etc/passwd", "tcp://10.0.0.5"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field_and_what_was_typed_is_kept(
    world, field, value, told
):
    page = enrol(world.signed_in(world.admin()), world.root(), **{field: value})
    assert page.status_int == 422
    assert told in page
    assert form(page)[field].value == value
    with world.work() as work:
        assert hosts.listing(work) == []


def test_a_host_is_edited_and_two_tabs_do_not_overwrite_each_other(world):
    host = world.host("kvm-a")
    browser = world.signed_in(world.admin())
    with world.work() as work:
        hosts.get(work, host.id).uri = "qemu+tcp://kvm-a/system"
    first = form(browser.get(f"/hosts/{host.id}/edit"))
    second = form(browser.get(f"/hosts/{host.id}/edit"))
    first["memory_ratio"] = "1.5"
    assert "kvm-a is saved" in first.submit().follow()
    second["memory_ratio"] = "3"
    assert second.submit(expect_errors=True).status_int == 412
    assert row(world, "kvm-a").memory_ratio == 1.5


def test_overcommit_and_reserve_decide_what_may_be_promised(world):
    host = world.host("kvm-a")
    api = world.api(world.admin())
    told = api("PATCH", f"/hosts/{host.id}", {"uri": "qemu:///system", "memory_ratio": 1.5,
               "memory_reserve": 12 * 2**20, "cpu_ratio": 2})  # fmt: skip
    assert told.status_int == 200, told.text
    assert told.json["room"] == {"vcpus": 128, "memory": 750 * 2**20}


@pytest.mark.requirement("NEW-04")
def test_a_dry_run_tells_each_host_rule_by_rule_and_the_smallest_change(world):
    host = world.host("kvm-a")
    image = world.image()
    api = world.api(world.admin())
    path = f"/pools/{world.root().id}/placement?image_id={image.id}&size=tiny"
    fits = api("GET", path).json
    assert [(one["host"]["name"], one["fits"]) for one in fits["items"]] == [("kvm-a", True)]
    with world.work() as work:
        hosts.get(work, host.id).memory_reserve = host.memory - 1024
    refused = api("GET", path).json
    checks = {check["rule"]: check for check in refused["items"][0]["checks"]}
    assert not checks["memory"]["passed"]
    assert checks["memory"]["short"] == 128 * 1024 - 1024
    assert refused["smallest_change"] == [
        "Free 127 MiB of memory on kvm-a, or ask for that much less."
    ]
    other = world.host("kvm-b")
    with world.work() as work:
        hosts.get(work, other.id).enabled = False
        hosts.silent(work, other.id, "It is off.")
    order = {"name": "web01", "image_id": image.id, "size": "tiny"}
    answer = api("POST", f"/pools/{world.root().id}/machines", order)
    assert answer.json["detail"] == (
        "No host can take the machine: kvm-a has 1 MiB of 1 MiB memory free, the machine wants "
        "128 MiB. kvm-b takes no new machines: it is disabled; does not answer; has no copy of the "
        "image Starter in its storage pool."
    )
    page = world.signed_in(world.admin()).get(
        f"/pools/{world.root().id}/placement?image={image.id}&size=tiny"
    )
    assert "Free 127 MiB of memory on kvm-a" in page
    assert "has 1 MiB of 1 MiB memory free, the machine wants 128 MiB" in page
    equal = page.html.select_one("details.equal pre").text
    assert equal == f"ovc pools placement Cloud --image {shlex.quote(image.name)} --size tiny"


def test_maintenance_closes_a_host_and_a_host_with_machines_does_not_retire(world):
    host = world.host("kvm-a")
    world.image()
    machine = world.machine("web01", world.root(), host=host, state=State.RUNNING)
    api = world.api(world.admin())
    assert api("PATCH", f"/hosts/{host.id}", {"retired": True}).status_int == 409
    begun = api("POST", f"/hosts/{host.id}/maintenance", {"mode": "evacuate"})
    assert begun.status_int == 202
    assert begun.json["host"]["maintenance"] == "evacuate"
    assert api("POST", f"/hosts/{host.id}/maintenance", {"mode": "stop"}).status_int == 409
    refused = api("POST", f"/machines/{machine.id}/migrate")
    assert refused.json["code"] == "placement.no_host"
    page = world.signed_in(world.admin()).get(f"/machines/{machine.id}/migrate")
    assert "No other host can take web01 now" in page
    ended = api("DELETE", f"/hosts/{host.id}/maintenance")
    assert ended.json["maintenance"] == ""


@pytest.mark.requirement("OVT-74")
def test_an_owner_manages_the_hosts_of_his_pools_and_no_others(world):
    mine, other = world.pool("Mine"), world.pool("Other")
    own, foreign, above = (
        world.host("kvm-own", mine), world.host("kvm-foreign", other), world.host("kvm-root"),
    )  # fmt: skip
    owner = world.user("olga", "Administrator", mine)
    browser, api = world.signed_in(owner), world.api(owner)
    listed = browser.get("/hosts")
    assert "kvm-own" in listed
    assert "kvm-foreign" not in listed
    assert "kvm-root" not in listed
    assert "Enrol a host" in listed
    assert api("PATCH", f"/hosts/{own.id}", {"enabled": False}).status_int == 200
    for host in (foreign, above):
        assert api("PATCH", f"/hosts/{host.id}", {"enabled": False}).status_int == 404
        assert browser.fetch(f"/hosts/{host.id}/edit").status_int == 404
    enrolled = api("POST", f"/pools/{mine.id}/hosts", {"name": "new", "uri": "qemu:///system"})
    assert enrolled.status_int == 202
    body = {"name": "other", "uri": "qemu:///session"}
    assert api("POST", f"/pools/{other.id}/hosts", body).status_int == 404
    monitor = world.api(world.user("mona", "Monitor", mine))
    assert monitor("PATCH", f"/hosts/{own.id}", {"enabled": True}).status_int == 403


def test_machines_of_a_set_are_kept_apart_or_together(world):
    pool = world.pool("Web")
    first, second = world.host("kvm-a"), world.host("kvm-b")
    world.image()
    one = world.machine("web01", pool, host=first)
    world.machine("web02", pool, host=second)
    api, browser = world.api(world.admin()), world.signed_in(world.admin())
    made = api("POST", f"/pools/{pool.id}/logical-groups", {"name": "Webs"}).json
    for name in ("web01", "web02"):
        api("POST", f"/logical-groups/{made['id']}/members", {"kind": "machine", "name": name})

    def failing() -> list[str]:
        told = api("GET", f"/machines/{one.id}/placement").json["items"]
        assert [item["host"]["name"] for item in told] == ["kvm-b"]
        return [check["text"] for check in told[0]["checks"] if not check["passed"]]

    assert failing() == []
    assert "ovc machines migrate web01 --host kvm-b --wait" in browser.get(
        f"/machines/{one.id}/migrate"
    )
    edit = form(browser.get(f"/logical-groups/{made['id']}"), f"/logical-groups/{made['id']}/edit")
    edit["placement"] = "apart"
    assert "Webs is saved" in edit.submit().follow()
    assert failing() == ["has web02, which is to be kept apart from the machine"]
    seen = api("GET", f"/logical-groups/{made['id']}")
    assert seen.json["placement"] == "apart"
    together = {"placement": "together"}
    path = f"/logical-groups/{made['id']}"
    assert api("PATCH", path, together, If_Match=seen.headers["ETag"]).status_int == 200
    assert failing() == []


def test_a_host_is_chosen_by_hand_with_the_right_and_the_room(world):
    pool = world.pool("Web")
    near, far = world.host("kvm-a", pool), world.host("kvm-b", pool)
    image = world.image()
    owner, user = world.user("olga", "Administrator", pool), world.user("ulf", "User", pool)
    browser, api = world.signed_in(owner), world.api(owner)
    filled = form(browser.get(f"/machines/new?pool={pool.id}"))
    assert [text for _, _, text in filled["host"].options] == ["", "kvm-a", "kvm-b"]
    filled["name"], filled["host"], filled["size"] = "web01", str(far.id), "tiny"
    assert "web01 is being created" in filled.submit().follow()

    body = {"name": "web02", "image_id": image.id, "size": "tiny", "host_id": far.id}
    asked = api("POST", f"/pools/{pool.id}/machines", body)
    assert asked.status_int == 202, asked.text
    with world.work() as work:
        found = operations.get(work, asked.json["operation"]["id"])
        assert found.params["host_id"] == far.id
        hosts.get(work, far.id).memory_reserve = far.memory
    full = api("POST", f"/pools/{pool.id}/machines", body | {"name": "web03"})
    assert full.json["code"] == "placement.no_host"
    assert "kvm-b has" in full.text
    assert "kvm-a" not in full.text

    mere = world.api(user)("POST", f"/pools/{pool.id}/machines", body | {"host_id": near.id})
    assert (mere.status_int, mere.json["code"]) == (403, "access.forbidden")
    assert "host" not in form(world.signed_in(user).get(f"/machines/new?pool={pool.id}")).fields
    hidden = world.host("kvm-hidden", world.pool("Other"))
    body["host_id"] = hidden.id
    assert api("POST", f"/pools/{pool.id}/machines", body).status_int == 404


def test_host_groups_are_set_and_a_group_without_a_worker_is_told(world):
    host = world.host("kvm-a")
    with world.work() as work:
        hosts.get(work, host.id).uri = "qemu:///system"
    api, browser = world.api(world.admin()), world.signed_in(world.admin())
    told = api("PATCH", f"/hosts/{host.id}", {"worker_group": "east"})
    assert told.json["worker_group"] == "east"
    assert api("PATCH", f"/hosts/{host.id}", {"worker_group": "No Group"}).status_int == 422
    with world.work() as work:
        watches.turn(work, "w1", ["main"], "The broker amqp://b does not answer.")
    page = browser.get("/")
    assert "Host group east" in page
    assert "The broker amqp://b does not answer. Operations run later than usual." in page
    with world.work() as work:
        assert watches.turn(work, "w2", ["east"]) == {host.id}
        assert watches.turn(work, "w3") == frozenset(), "one host, and it has its monitor"
        with pytest.raises(LeaseLost):
            watches.ensure(work, "w3", host.id)
        watches.ensure(work, "w2", host.id)
    with world.work() as work:
        watches.give_up(work, "w2")
        processes.gone(work, "w2")
        assert watches.turn(work, "w3") == {host.id}
    assert "Host group east" not in browser.get("/")


def test_a_sweep_that_says_nothing_new_is_told_apart(world):
    host = world.host("kvm-a")
    world.image()
    pool = world.pool("Web")
    machine = world.machine("web", pool, host=host, state=State.RUNNING)
    with world.work() as work:
        row = machines.get(work, machine.id)
        row.power, uuid = "running", row.uuid
    states = {power: DomainState(uuid=uuid, name="m", power=power) for power in PowerState}
    stranger = DomainState(uuid=str(uuid4()), name="else", power=PowerState.RUNNING)

    def is_known(*seen: DomainState) -> bool:
        with world.work() as work:
            return machines.is_known(work, host.id, {one.uuid: one for one in seen})

    assert is_known(states[PowerState.RUNNING])
    assert not is_known()
    assert not is_known(states[PowerState.PAUSED])
    assert not is_known(states[PowerState.RUNNING], stranger)
    with world.work() as work:
        seen = {uuid: states[PowerState.RUNNING], stranger.uuid: stranger}
        machines.observe(work, host.id, seen, "sweep", work.now())
    assert not is_known(states[PowerState.RUNNING]), "the stranger went, which is news"
    with world.work() as work:
        machines.observe(work, host.id, {}, "sweep", work.now())
    assert is_known(), "a machine that is missing is known to be"
    assert not is_known(states[PowerState.RUNNING])


@pytest.mark.requirement("KVM-56")
def test_the_overview_tells_of_each_host_what_rest_tells(world):
    pool = world.pool("Web")
    rows = [world.host(name) for name in ("kvm-a", "kvm-b", "kvm-c")]
    world.image()
    for number, (row, size) in enumerate(zip((0, 0, 1), ("small", "tiny", "medium"), strict=True)):
        world.machine(f"web{number}", pool, host=rows[row], size=size, state=State.RUNNING)
    page = world.signed_in(world.admin()).get("/hosts").html
    told = {one["name"]: one for one in world.api(world.admin())("GET", "/hosts").json["items"]}
    shown = {
        line.select_one("td.name").get_text(strip=True): line for line in page.select("tbody tr")
    }
    assert set(shown) == set(told) == {"kvm-a", "kvm-b", "kvm-c"}
    assert sum(host["load"]["machines"] for host in told.values()) == 3
    for name, host in told.items():
        load, room = host["load"], host["room"]
        bars = [bar["aria-label"] for bar in shown[name].select("[aria-label]")]
        assert f"vCPUs promised: {load['vcpus']} used, of {room['vcpus']}" in bars
        memory = f"{show_memory(load['memory'])} used, of {show_memory(room['memory'])}"
        assert f"Memory promised: {memory}" in bars
        assert shown[name].select_one("[data-label=Machines]").get_text() == str(load["machines"])
        assert host["state"] in shown[name].select_one("td.state").get_text()

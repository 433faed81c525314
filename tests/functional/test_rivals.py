"""A machine of which another guest runs: where that is told, and what is still taken."""

from __future__ import annotations

from ovcadmin.domain.states import State
from ovcadmin.drivers.hypervisor.base import DomainState, PowerState
from ovcadmin.services import strangers
from tests.functional.world import World


def seen(world: World, host_id: int, uuid: str, power: PowerState | None) -> None:
    """What the worker tells that the host has; nothing without a power."""
    with world.work() as work:
        found = DomainState(uuid=uuid, name="web", power=power) if power else None
        strangers.observe(work, host_id, {uuid: found} if found else {})


def test_fault_37_the_page_and_the_home_page_tell_of_a_second_guest(world: World) -> None:
    admin = world.admin()
    browser, api = world.signed_in(admin), world.api(admin)
    own, other = world.host("kvm-a"), world.host("kvm-b")
    world.image()
    machine = world.machine("web", world.root(), host=own)
    path = f"/machines/{machine.id}"
    warning = "Two that write to one disk destroy the data"
    assert warning not in browser.get(path)

    seen(world, other.id, machine.uuid, PowerState.RUNNING)
    page = browser.get(path)
    assert warning in page
    assert "Another guest runs with the disks" in page.click("What to do")
    home = browser.get("/").html.get_text(" ", strip=True)
    assert "runs elsewhere" in home
    assert "another guest with its disks runs on kvm-b" in home
    told = api("POST", f"{path}/actions/start")
    assert (told.status_int, told.json["code"]) == (409, "machine.elsewhere")
    assert "the guest web on kvm-b" in told.json["detail"]
    log = api("GET", "/audit?action=machine.elsewhere").json["items"]
    assert [row["after"] for row in log] == [{"host": "kvm-b", "power": "running"}]

    seen(world, other.id, machine.uuid, PowerState.SHUTOFF)
    assert warning not in browser.get(path)
    seen(world, other.id, machine.uuid, None)
    assert "runs elsewhere" not in browser.get("/")


def test_a_guest_that_halts_is_let_halt_beside_a_second_one(world: World) -> None:
    api = world.api(world.admin())
    own, other = world.host("kvm-a"), world.host("kvm-b")
    world.image()
    machine = world.machine("web", world.root(), host=own, state=State.RUNNING)
    seen(world, other.id, machine.uuid, PowerState.RUNNING)
    assert api("POST", f"/machines/{machine.id}/actions/reset").status_int == 409
    assert api("POST", f"/machines/{machine.id}/actions/power_off").status_int == 202

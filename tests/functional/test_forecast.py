"""The forecast page, and the check of every figure."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import CliRunner

from ovcadmin.domain.states import State
from ovcadmin.manage.main import main
from ovcadmin.models import Host, Lineage, Machine, MachineEvent, Reservation, Volume
from ovcadmin.services import quota_check

GB = 10**9


def _rows(page, number):
    table = page.html.find("main").find_all("table")[number]
    return {
        row.find("td").get_text(strip=True): [
            cell.get_text(" ", strip=True) for cell in row.find_all("td")[1:]
        ]
        for row in table.find("tbody").find_all("tr")
    }


@pytest.mark.requirement("KVM-47")
def test_how_many_fit_and_when_it_is_full(world):
    pool = world.pool("Web", machines=12, storage=100 * GB)
    world.host()
    world.image()
    admin = world.signed_in(world.admin())
    # Ten machines, one more each of the last ten days, all running.
    for number in range(10):
        machine = world.machine(f"web{number}", pool, state=State.RUNNING)
        with world.work() as work:
            began = work.now() - timedelta(days=number)
            events = work.db.query(MachineEvent).filter_by(machine_id=machine.id).all()
            for event in events:
                event.at, event.running = began, True
    page = admin.get(f"/pools/{pool.id}").click("Forecast")
    fits = _rows(page, 0)
    assert fits["tiny"][3:] == ["2", "running machines of Web"]
    trend = _rows(page, 1)["Running machines"]
    assert trend[:3] == ["10", "12", "limit of Web"]
    assert trend[3].startswith("+")
    assert "day" in trend[4]
    memory = _rows(page, 1)["Memory"]
    assert memory[2] == "what its hosts have"
    below = admin.get(f"/pools/{world.pool('Below', pool, machines=9).id}/forecast")
    assert _rows(below, 1)["Running machines"][:3] == ["0", "2", "what Web leaves"]

    # The cloud has no limit: its hosts are the tightest, as far as placement would fill them.
    address = f"/pools/{world.root().id}/forecast"
    assert _rows(admin.get(address), 0)["tiny"][3:] == ["1\u202f014", "vCPUs of the hosts"]
    assert _rows(admin.get(address), 1)["vCPUs"][1:3] == ["1024", "what its hosts have"]
    with world.work() as work:
        host = work.db.query(Host).one()
        host.memory_reserve = host.memory - 12 * 128 * 1024
    assert _rows(admin.get(address), 0)["tiny"][3:] == ["2", "memory of the hosts"]
    with world.work() as work:
        work.db.query(Host).one().maintenance = "stop"
    assert _rows(admin.get(address), 0)["tiny"][3:] == ["0", "no host that could run one"]


def test_who_sees_the_pool_sees_its_forecast(world):
    pool = world.pool("Web")
    anna = world.signed_in(world.user("anna", "Monitor", pool))
    assert anna.fetch(f"/pools/{pool.id}/forecast").status_int == 200
    assert anna.fetch(f"/pools/{world.root().id}/forecast").status_int == 404


@pytest.fixture
def checked(world, tmp_path):
    """A cloud with volumes as a worker leaves them, and its settings file."""
    pool = world.pool("Web")
    host = world.host()
    world.image()
    machine = world.machine("web01", pool, state=State.RUNNING)
    store = world.store(host)
    with world.work() as work:
        row = work.db.get(Machine, machine.id)
        work.db.add(
            Volume(storage_pool_id=store.id, name="v", key="v", size=row.storage, machine=row)
        )
    ini = tmp_path / "check.ini"
    lines = [f"{name} = {value}" for name, value in world.raw.items() if name.startswith("ovc.")]
    ini.write_text("\n".join(["[app:main]", *lines]).replace("%", "%%"))
    return world, machine, ini


def test_quota_check_agrees_with_a_right_cloud(checked):
    _, _, ini = checked
    answer = CliRunner().invoke(main, ["quota", "check", str(ini)])
    assert answer.exit_code == 0, answer.output
    assert "1 machines, 2 reservations, 2 volumes" in answer.output


def test_quota_check_tells_each_figure_that_is_wrong(checked):
    world, machine, ini = checked
    with world.work() as work:
        work.db.query(Volume).filter_by(machine_id=machine.id).one().size += 7
        running = work.db.query(Reservation).filter_by(machine_id=machine.id, kind="running").one()
        running.vcpus += 3
        work.db.query(Lineage).filter_by(distance=1).delete()
    answer = CliRunner().invoke(main, ["quota", "check", str(ini)])
    assert answer.exit_code == 1
    counted = "vcpus is counted as 1, its reservations come to 4"
    for part in ("its volumes have", counted, "lineage of pool"):
        assert part in answer.output
    with world.work() as work:
        assert len(quota_check.differences(work)) >= 4

"""Live figures: what was measured of hosts and machines, as a user sees it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from ovcadmin.domain.load import Load
from ovcadmin.domain.measurements import DAY, HOUR, MONTH, Rates
from ovcadmin.models import Measurement, utcnow
from ovcadmin.services import machines, measurements


@pytest.fixture
def measured(world):
    """A host with one machine, measured once."""
    host = world.host("kvm-a")
    world.image()
    machine = world.machine("web01", world.root())
    with world.work() as work:
        found = machines.get(work, machine.id)
        found.host_id = host.id
        used = Rates(cpu=0.5, memory=2048, received=1500.0, sent=10.0, read=0.0, written=2e6)
        load = Load(now=0.25, slow=0.25)
        measurements.record(work, host.id, load, 0.25, 4 * 2**20, {found.uuid: used})
    return host, machine


def test_pages_show_small_graphs_with_the_same_in_words(world, measured):
    host, machine = measured
    browser = world.signed_in(world.admin())
    page = browser.get(f"/hosts/{host.id}")
    labels = [svg["aria-label"] for svg in page.html.select(".sparks svg")]
    assert labels[0] == "CPU: 25 % last, between 25 % and 25 % in the last hour"
    assert labels[1].startswith("Memory: 4 GiB last")
    assert [label.partition(":")[0] for label in labels[2:]] == ["Network in", "Network out"]

    page = browser.get(f"/machines/{machine.id}")
    labels = [svg["aria-label"] for svg in page.html.select(".sparks svg")]
    assert labels[-1].startswith("Disk written: 2 MB/s last")
    assert "nothing measured" in browser.get(f"/machines/{machine.id}/figures?span=month")
    assert browser.get(f"/machines/{machine.id}/fragments/figures").html.select("polyline")


def test_the_api_tells_the_same_and_only_to_those_who_may_see_it(world, measured):
    host, machine = measured
    api = world.api(world.admin())
    told = api("GET", f"/hosts/{host.id}/measurements").json
    assert (told["span"], told["seconds"], len(told["points"])) == ("hour", 10, 1)
    assert told["points"][0]["received"] == 1500.0
    told = api("GET", f"/machines/{machine.id}/measurements?span=hour").json
    assert (told["points"][0]["memory"], told["points"][0]["written"]) == (2048, 2e6)
    assert api("GET", f"/machines/{machine.id}/measurements?span=year").status_int == 422
    stranger = world.api(world.user("eve"))
    assert stranger("GET", f"/machines/{machine.id}/measurements").status_int == 404
    assert stranger("GET", f"/hosts/{host.id}/measurements").status_int == 404


def test_finer_measurements_become_coarser_ones_and_the_table_stays_bounded(world, measured):
    host, _ = measured
    half_past = utcnow().replace(minute=30)  # of an hour that is not over

    def roll():
        with world.work() as work:
            measurements.roll(replace(work, clock=lambda: half_past))

    def count(grain):
        with world.work() as work:
            of = Measurement.grain == grain.seconds
            return work.db.scalar(select(func.count()).select_from(Measurement).where(of))

    def age(by):
        with world.work() as work:
            work.db.execute(update(Measurement).values(at=half_past - by))

    age(timedelta(minutes=11))
    for _ in range(2):
        roll()
        assert (count(HOUR), count(DAY), count(MONTH)) == (2, 2, 0)
    with world.work() as work:
        (row,) = measurements.series(work, "host", host.id, "day")
        assert (row.cpu, row.memory, row.received) == (0.25, 4 * 2**20, 1500.0)
        assert row.at == DAY.begin(row.at)

    age(timedelta(hours=2))
    roll()
    assert (count(HOUR), count(DAY), count(MONTH)) == (0, 2, 2)
    age(timedelta(days=40))
    roll()
    assert (count(HOUR), count(DAY), count(MONTH)) == (0, 0, 0)

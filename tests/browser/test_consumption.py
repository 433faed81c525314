"""The consumption pages: what was used, in amounts and nothing else."""

import csv
import io
import json
from datetime import timedelta

import pytest

from ovcadmin.domain.states import State
from ovcadmin.models import MachineEvent
from ovcadmin.services import machines

HOUR = timedelta(hours=1)


@pytest.fixture
def used_site(empty_site):
    """One machine that lived for two hours this month, ran for one, and is destroyed."""
    world = empty_site.world
    account = world.pool("=cmd()")
    space = world.pool("Web", account)
    world.pool("Idle", account)
    world.host()
    world.image()
    made = world.machine("=HYPERLINK(1)", space, size="large")
    other = world.machine("alpha", space, size="tiny")
    with world.work() as work:
        now = work.now()
        start = max(now - 3 * HOUR, now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
        machine = machines.get(work, made.id)
        machine.created_at, machine.deleted_at = start, start + 2 * HOUR
        machine.state = State.DELETED.value
        machines.get(work, other.id).created_at = start + HOUR
        work.db.query(MachineEvent).delete()
        for offset, kind, running, storage in (
            (0, "created", False, machine.storage),
            (0.5, "started", True, machine.storage),
            (1.5, "stopped", False, machine.storage),
            (2, "destroyed", False, 0),
        ):
            work.db.add(_event(machine, start + offset * HOUR, kind, running, storage))
        work.db.add(_event(machines.get(work, other.id), start + HOUR, "created", False, 0))
    return empty_site, start


def _event(machine, at, kind, running, storage):
    return MachineEvent(
        machine_id=machine.id, pool_id=machine.pool_id, at=at, kind=kind, running=running,
        vcpus=machine.vcpus, memory=machine.memory, storage=storage, source="operation",
    )  # fmt: skip


@pytest.mark.requirement("OVC-02", "OVC-04", "OVC-05", "OVC-07", "OVC-08")
def test_the_overview_is_one_table_of_time_and_details_newest_first(used_site, page):
    site, start = used_site
    site.sign_in(page)
    page.locator("#nav").get_by_role("link", name="Consumption").click()
    page.wait_for_url("**/consumption")
    assert page.locator("h1").inner_text() == "Consumption"
    assert page.locator("main h1, main h2").count() == 1
    assert page.locator("table.list").count() == 1
    assert page.locator("table.list th").all_inner_texts() == ["Time", "Details"]
    rows = page.locator("table.list tbody tr")
    assert rows.first.locator("td").first.inner_text() == f"{start:%B %Y}"
    rows.first.get_by_role("link", name="Usage report").click()
    page.wait_for_url(f"**/consumption/{start:%Y-%m}")


@pytest.mark.requirement("OVC-03", "OVC-09", "OVC-10", "OVC-11")
def test_the_report_names_month_account_and_space_and_lists_machines(used_site, page):
    site, start = used_site
    site.sign_in(page)
    page.goto(f"{site.url}/consumption/{start:%Y-%m}")
    assert page.locator("h1").inner_text() == f"{start:%B %Y}"
    assert page.locator("main h2").all_inner_texts() == ["=cmd()"]
    assert page.locator("main h3").all_inner_texts() == ["Web"]
    heads = page.locator("table.list th").all_inner_texts()
    assert [head.rstrip(" ▴▾") for head in heads] == [
        "Machine",
        "Created",
        "Destroyed",
        "vCPU-hours",
        "Memory GiB-hours",
        "Storage GB-hours",
    ]
    row = page.locator("main tbody tr", has_text="=HYPERLINK(1)").locator("td").all_inner_texts()
    assert row[1].startswith(f"{start:%Y-%m-%d %H:%M:%S}")
    assert row[2].startswith(f"{start + 2 * HOUR:%Y-%m-%d %H:%M:%S}")
    # large: 4 vCPUs and 4 GiB for the hour that it ran, 80 GB for both hours of its life
    assert row[3:] == ["4.00", "4.00", "160.00"]


@pytest.mark.requirement("OVC-11")
def test_the_report_sorts_by_every_column(used_site, page):
    site, start = used_site
    site.sign_in(page)
    page.goto(f"{site.url}/consumption/{start:%Y-%m}")
    names = page.locator("main tbody td.name")
    assert names.all_inner_texts() == ["=HYPERLINK(1)", "alpha"]
    for column, first in (
        ("Machine", "alpha"),
        ("Created", "=HYPERLINK(1)"),
        ("Destroyed", "=HYPERLINK(1)"),
        ("vCPU-hours", "alpha"),
        ("Storage GB-hours", "alpha"),
    ):
        page.locator("thead").get_by_role("link", name=column).click()
        page.wait_for_load_state()
        assert names.first.inner_text() == first, column
    page.locator("thead").get_by_role("link", name="Storage GB-hours").click()
    page.wait_for_url("**sort=-storage")
    assert names.first.inner_text() == "=HYPERLINK(1)"


@pytest.mark.requirement("OVC-09", "OVC-03")
def test_fault_21_files_of_the_report_hold_the_same_figures_and_no_formula(used_site, page):
    site, start = used_site
    site.sign_in(page)
    address = f"{site.url}/consumption/{start:%Y-%m}"
    table = list(csv.DictReader(io.StringIO(page.request.get(f"{address}.csv").text())))
    report = json.loads(page.request.get(f"{address}.json").text())
    line = next(one for one in report["machines"] if one["machine"] == "=HYPERLINK(1)")
    assert (line["vcpu_hours"], line["memory_gib_hours"], line["storage_gb_hours"]) == (4, 4, 160)
    assert list(line) == list(table[0])
    assert not any("cost" in key or "price" in key for key in line)
    row = next(one for one in table if "HYPERLINK" in one["machine"])
    assert row["machine"] == "'=HYPERLINK(1)"
    assert row["account"] == "'=cmd()"
    assert float(row["storage_gb_hours"]) == 160


def test_the_report_prints_without_the_frame(used_site, page):
    site, start = used_site
    site.sign_in(page)
    page.goto(f"{site.url}/consumption/{start:%Y-%m}")
    page.emulate_media(media="print")
    for frame in ("header.menu", "#tree", "#drawer", ".title .actions"):
        assert not page.locator(frame).is_visible(), frame
    assert page.locator("table.list").first.is_visible()

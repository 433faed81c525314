"""Snapshots by the doors that people use, and as a door of the quota."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from ovcadmin.domain.states import State
from ovcadmin.engine import store, types
from ovcadmin.errors import QuotaExceeded
from ovcadmin.models import Operation, OperationState, SnapshotPart, SnapshotSchedule, Volume
from ovcadmin.services import drives, machine_states, machines, snapshot_schedules, snapshots
from tests.functional.world import form

GB = 10**9


@pytest.fixture
def web(world):
    """A pool with room for three disks of 1 GB, and a stopped machine with one."""
    pool = world.pool("Web", storage=3 * GB)
    host = world.host()
    world.image()
    machine = world.machine("web01", pool)
    kept = world.store(host).id
    with world.work() as work:
        work.db.add(Volume(storage_pool_id=kept, name="d", key="d", size=GB, machine_id=machine.id))
    world.machine_id = machine.id
    return pool


def take(api, machine_id, name="before"):
    return api("POST", f"/machines/{machine_id}/snapshots", {"name": name})


def finish(world, answer):
    """What the worker does: parts made, moment noted, operation ended."""
    number = answer.json["operation"]["id"]
    with world.work() as work:
        for snapshot in snapshots.listing(work, machines.get(work, world.machine_id)):
            snapshot.taken_at = snapshot.taken_at or work.now()
            for part in snapshot.parts:
                part.key = part.key or f"key-{snapshot.id}"
    with world.work() as work:
        operation = work.db.get(Operation, number)
        types.get(operation.type).succeed(work, operation)
        store.end(work.db, operation, OperationState.DONE, work.now())


def test_taken_on_its_page_and_listed_with_moment_and_epoch(world, web):
    browser = world.signed_in(world.user("anna", "User", web))
    path = f"/machines/{world.machine_id}/snapshots"
    page = browser.get(path)
    assert "No snapshot yet." in page.text
    entry = form(page, path)
    entry["name"] = "before the update"
    done = entry.submit().follow()
    assert "being taken" in done.text
    with world.work() as work:
        snapshot = snapshots.listing(work, machines.get(work, world.machine_id))[0]
        snapshot.taken_at = work.now()
        epoch = int(snapshot.taken_at.timestamp())
    shown = browser.get(path)
    assert "before the update" in shown.text
    assert str(epoch) in shown.text
    asked = browser.get(f"/snapshots/{snapshot.id}/roll-back")
    assert "All that was written to disk vda since" in asked.text


def test_fault_02_snapshots_cannot_pass_the_quota(world, web):
    api = world.api(world.user("anna", "User", web))
    for _ in range(2):
        finish(world, take(api, world.machine_id))
    refused = take(api, world.machine_id)
    assert refused.json["code"] == "quota.exceeded"
    assert len(api("GET", f"/machines/{world.machine_id}/snapshots").json["items"]) == 2
    first = api("GET", f"/machines/{world.machine_id}/snapshots").json["items"][0]
    finish(world, api("DELETE", f"/snapshots/{first['id']}"))
    assert take(api, world.machine_id).status_int == 202
    with world.work() as work:
        assert machine_states.reservation_differences(work) == []


def test_fault_02_of_many_at_once_as_many_win_as_there_is_room(world, web):
    api = world.api(world.user("anna", "User", web))

    def ask(number):
        return take(api, world.machine_id, f"s{number}")

    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(ask, range(8)))
    accepted = [one for one in answers if one.status_int == 202]
    assert len(accepted) <= 2
    assert {one.json["code"] for one in answers if one.status_int != 202} <= {
        "quota.exceeded",
        "machine.busy",
    }


def test_fault_02_rolling_back_to_a_larger_disk_is_a_door_of_the_quota(world, web):
    """Back to small, forward to large: the way forward takes room that others may hold by now."""
    api = world.api(world.user("anna", "User", web))
    finish(world, take(api, world.machine_id))
    with world.work() as work:
        part = work.db.query(SnapshotPart).one()
        part.size = 3 * GB
        number = part.snapshot_id
    refused = api("POST", f"/snapshots/{number}/roll-back")
    assert refused.json["code"] == "quota.exceeded"


def test_fault_02_a_disk_that_grew_in_the_queue_is_measured_again(world, web):
    api = world.api(world.user("anna", "User", web))
    asked = take(api, world.machine_id)
    with world.work() as work:
        work.db.query(Volume).filter_by(machine_id=world.machine_id).one().size = 3 * GB
    number = asked.json["operation"]["id"]
    with pytest.raises(QuotaExceeded), world.work() as work:
        snapshots.measure(work, work.db.get(Operation, number))


def test_fault_02_a_drive_beside_snapshots_counts_whole(world, web):
    """What snapshots hold is no room for drives."""
    api = world.api(world.user("anna", "User", web))
    for _ in range(2):
        finish(world, take(api, world.machine_id))
    with pytest.raises(QuotaExceeded), world.work(world.admin()) as work:
        drives.add(work, machines.get(work, world.machine_id), GB)


def test_a_running_machine_is_not_rolled_back(world, web):
    api = world.api(world.user("anna", "User", web))
    finish(world, take(api, world.machine_id))
    number = api("GET", f"/machines/{world.machine_id}/snapshots").json["items"][0]["id"]
    with world.work() as work:
        machines.get(work, world.machine_id).state = State.RUNNING
    refused = api("POST", f"/snapshots/{number}/roll-back")
    assert (refused.status_int, refused.json["code"]) == (409, "machine.state")


def test_a_machine_has_its_own_schedule_or_that_of_its_pool(world, web):
    owner = world.api(world.user("olga", "Administrator", web))
    user = world.api(world.user("anna", "User", web))
    path = f"/machines/{world.machine_id}/snapshot-schedule"
    assert user("GET", path).json["times"] == ""
    body = {"times": "daily", "keep": 5}
    assert user("PUT", f"/pools/{web.id}/snapshot-schedule", body).status_int == 403
    assert owner("PUT", f"/pools/{web.id}/snapshot-schedule", body).status_int == 200
    found = user("GET", path).json
    assert (found["times"], found["keep"], found["pool"]["name"]) == ("0 2 * * *", 5, "Web")
    own = user("PUT", path, {"times": "*/15 * * * *", "keep": 2}).json
    assert own["pool"] is None
    wrong = user("PUT", path, {"times": "61 * * * *", "keep": 2})
    assert wrong.json["fields"][0]["field"] == "times"
    assert user("DELETE", path).status_int == 204
    assert user("GET", path).json["keep"] == 5


def test_a_schedule_that_the_quota_refuses_is_written_down_and_goes_on(world, web):
    with world.work() as work:
        machine = machines.get(work, world.machine_id)
        work.db.query(Volume).filter_by(machine_id=machine.id).one().size = 5 * GB
        row = snapshot_schedules.put(work, machine, times="hourly", keep=3)
        row.next_at = work.now() - timedelta(minutes=1)
        work.db.flush()
        assert snapshot_schedules.begin(work, row.id) == [machine.id]
        assert snapshot_schedules.begin(work, row.id) == []
        snapshot_schedules.take(work, machine.id)
        assert snapshots.listing(work, machine) == []
        assert work.db.query(SnapshotSchedule).one().next_at > work.now()

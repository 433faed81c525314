"""Snapshots on a real host: content back inside the guest, told apart, counted, by schedule."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.models import OperationState, SnapshotSchedule
from ovcadmin.services import machines, quota_check, snapshot_schedules, snapshots
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.guest import Guest

pytestmark = pytest.mark.timeout(400)
"""Guests boot, several times, beside other work."""


@pytest.fixture
def made(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> Iterator[Cloud]:
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as found:
        found.worker()
        found.ready()
        yield found


def take(made: Cloud, machine_id: int, name: str) -> int:
    """Take a snapshot and wait for it; return its number."""
    with made.work(write=True) as work:
        operation = snapshots.take(work, machines.get(work, machine_id), name).id
    assert made.ended(operation).state == OperationState.DONE
    with made.work() as work:
        return snapshots.listing(work, machines.get(work, machine_id))[0].id


@pytest.mark.requirement("OVC-41")
def test_a_snapshot_brings_back_what_the_guest_had_written(
    made: Cloud, libvirt_host: LibvirtHost
) -> None:
    machine_id = made.made("web01", start=True)
    domain = made.machine(machine_id).domain_name
    guest = Guest(libvirt_host, domain)
    guest.run("echo before > /disk/WORD; sync")
    first = take(made, machine_id, "update")
    assert libvirt_host.virsh("domstate", domain) == "running"
    guest.run("echo after > /disk/WORD; sync")
    second = take(made, machine_id, "update")
    with made.work() as work:
        listed = snapshots.listing(work, machines.get(work, machine_id))
        assert [one.name for one in listed] == ["update", "update"]
        assert [one.id for one in listed] == [second, first]
        assert listed[0].taken_at > listed[1].taken_at
        assert all(one.running for one in listed)

    made.ended(made.act(machine_id, Action.POWER_OFF))
    with made.work(write=True) as work:
        back = snapshots.roll_back(work, snapshots.get(work, first)).id
    assert made.ended(back).state == OperationState.DONE
    made.ended(made.act(machine_id, Action.START))
    assert Guest(libvirt_host, domain).run("cat /disk/WORD") == "before"


def test_snapshots_count_for_the_quota_and_leave_no_volume_behind(
    made: Cloud, libvirt_host: LibvirtHost
) -> None:
    machine_id = made.made("web01")
    disk = made.machine(machine_id).storage
    number = take(made, machine_id, "one")
    assert made.used().storage == 2 * disk
    volumes = libvirt_host.virsh("vol-list", "openvcloud")
    assert volumes.count(".snapshot-") == 2  # its name and its path
    with made.work(write=True) as work:
        gone = snapshots.delete(work, snapshots.get(work, number)).id
    assert made.ended(gone).state == OperationState.DONE
    assert made.used().storage == disk
    assert ".snapshot-" not in libvirt_host.virsh("vol-list", "openvcloud")
    take(made, machine_id, "two")
    assert made.ended(made.act(machine_id, Action.DELETE)).state == OperationState.DONE
    assert made.used().storage == 0
    assert ".snapshot-" not in libvirt_host.virsh("vol-list", "openvcloud")
    with made.work() as work:
        assert quota_check.differences(work) == []


@pytest.mark.requirement("PEER-16")
def test_a_schedule_takes_snapshots_and_keeps_so_many(made: Cloud) -> None:
    machine_id = made.made("web01")

    def now_due() -> None:
        with made.work(write=True) as work:
            row = work.db.query(SnapshotSchedule).one()
            row.next_at = work.now() - timedelta(seconds=1)

    def taken() -> list[int]:
        with made.work() as work:
            found = snapshots.listing(work, machines.get(work, machine_id))
            return [one.id for one in found if one.taken_at is not None]

    own = take(made, machine_id, "by hand")
    with made.work(write=True) as work:
        machine = machines.get(work, machine_id)
        snapshot_schedules.put(work, machine.pool, times="0 2 * * *", keep=1)
    now_due()
    wait_until(lambda: len(taken()) == 2, "a scheduled snapshot", 40)
    scheduled = taken()[0]
    now_due()
    wait_until(lambda: taken()[0] != scheduled, "the next one", 40)
    wait_until(lambda: scheduled not in taken(), "the oldest to go", 60)
    assert len(taken()) == 2
    assert own in taken()

"""Snapshots of a machine: taken of all disks at one moment, rolled back to, deleted.

A guest that runs is suspended while its disks are copied, so that all of them show one moment and
no copy is torn; it runs on afterwards, also when the copy failed.
"""

from __future__ import annotations

from ovcadmin.domain.states import Action, State
from ovcadmin.drivers.hypervisor.base import PowerState
from ovcadmin.drivers.storage.base import Shares, StorageDriver, whole_blocks
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import OperationType, Step
from ovcadmin.errors import StorageFailed, StorageInUse
from ovcadmin.models import Machine, Snapshot, SnapshotPart, Volume
from ovcadmin.operations import guests
from ovcadmin.operations.machine_power import SETTLE_SECONDS, await_power
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import machine_states, snapshots


def hold(run: Run) -> None:
    """Suspend the guest if it runs."""
    host, uuid = guests.hypervisor(run)
    with run.writing() as (work, operation):
        running = work.db.get_one(Machine, run.machine_id).stable is State.RUNNING
        snapshots.measure(work, operation)
    if running:
        host.suspend(uuid)
        await_power(run, host, uuid, PowerState.PAUSED, SETTLE_SECONDS)
    with run.writing() as (work, _):
        work.db.get_one(Snapshot, run.params["snapshot_id"]).running = running


def let_go(run: Run) -> None:
    """Let the guest run on.  One that is gone by now stays so: the sweep tells."""
    host, uuid = guests.hypervisor(run)
    with run.database.reading() as session:
        running = session.get_one(Machine, run.machine_id).stable is State.RUNNING
    state = host.state(uuid)
    if running and state is not None and state.power is PowerState.PAUSED:
        host.resume(uuid)
        await_power(run, host, uuid, PowerState.RUNNING, SETTLE_SECONDS)


def copy(run: Run) -> None:
    name = run.params["snapshot"]
    for number, (part, driver) in enumerate(_parts(run)):
        memo = guests.DiskMemo(run, part.volume_id)
        made = driver.snapshot(_key(part), name, memo=memo)
        with run.writing() as (work, _):
            row = work.db.get_one(SnapshotPart, (part.snapshot_id, part.volume_id))
            row.key = made.key
            if number == 0:
                work.db.get_one(Snapshot, part.snapshot_id).taken_at = made.created
        run.log(f"Disk {part.volume.target}: {made.key}.")


def remove(run: Run) -> None:
    """Delete every part that is there.  Also the way back of `copy`."""
    for part, driver in _parts(run):
        key = part.key or guests.DiskMemo(run, part.volume_id).get("snapshot")
        if key:
            with guests.in_words(run, part.volume.storage_pool_id):
                driver.delete_snapshot(_key(part), key)


def delete(run: Run) -> None:
    """Delete every part, or none while something lives on one of them."""
    for part, driver in _parts(run):
        if part.key:
            guests.ensure_childless(run, driver, part.volume.storage_pool_id, part.key)
    remove(run)


def back(run: Run) -> None:
    """Put each disk back, or none; the snapshot stays, so this may run again."""
    for part, driver in _parts(run):
        assert part.key is not None
        if isinstance(driver, Shares):
            with guests.in_words(run, part.volume.storage_pool_id):
                if needing := driver.needed_after(_key(part), part.key):
                    raise StorageInUse("", children=needing)
    for part, driver in _parts(run):
        assert part.key is not None
        with guests.in_words(run, part.volume.storage_pool_id):
            driver.rollback(_key(part), part.key)
        real = driver.volume(_key(part))
        left = [one.key for one in driver.snapshots(_key(part))]
        with run.writing() as (work, _):
            volume = work.db.get_one(Volume, part.volume_id)
            machine = work.db.get_one(Machine, run.machine_id)
            # Some storage brings back the bytes and leaves a disk as large as it has grown.
            grown = real is not None and real.size > whole_blocks(part.size)
            size = volume.size if grown else part.size
            machine.storage += size - volume.size
            volume.size = size
            gone = snapshots.remain(work, volume.id, left)
        run.log(f"Disk {part.volume.target} is as it was.")
        if gone:
            run.log(f"Its storage has removed what came later: {', '.join(gone)}.")


def _parts(run: Run) -> list[tuple[SnapshotPart, StorageDriver]]:
    """Return the disks of the snapshot with the storage that keeps each."""
    found = guests.place(run)
    with run.database.reading() as session:
        snapshot = session.get(Snapshot, run.params["snapshot_id"])
        parts = list(snapshot.parts) if snapshot is not None else []
        for part in parts:
            _ = part.volume.target  # read while the transaction is open
    return [
        (part, run.outside.storage(part.volume.storage_pool_id, found.host_id)) for part in parts
    ]


def _key(part: SnapshotPart) -> str:
    if part.volume.key is None:
        raise StorageFailed(f"Disk {part.volume.target} was never made.")
    return part.volume.key


_HOLD = Step(name="hold", text="Hold the guest still", run=hold, undo=let_go)

TYPES = (
    OperationType(
        name=snapshots.TAKE,
        text="Take snapshot {name}",
        privilege=Privilege.CONTROL,
        action=Action.SNAPSHOT,
        steps=(
            _HOLD,
            Step(name="copy", text="Take the disks", run=copy, undo=remove),
            Step(name="go_on", text="Let the guest run on", run=let_go),
        ),
        succeed=machine_states.changed,
        fail=snapshots.not_taken,
    ),
    OperationType(
        name=snapshots.ROLL_BACK,
        text="Roll back to {name}",
        privilege=Privilege.CONTROL,
        action=Action.ROLL_BACK,
        steps=(Step(name="back", text="Put the disks back", run=back),),
        succeed=machine_states.changed,
        fail=snapshots.not_rolled_back,
    ),
    OperationType(
        name=snapshots.DELETE,
        text="Delete snapshot {name}",
        privilege=Privilege.CONTROL,
        action=Action.DELETE_SNAPSHOT,
        steps=(Step(name="delete", text="Delete the copies", run=delete),),
        succeed=snapshots.deleted,
        fail=machine_states.failed,
    ),
)

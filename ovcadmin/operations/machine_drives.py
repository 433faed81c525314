"""Drives of a machine: add, grow, remove; while it is off, or on the guest that runs."""

from __future__ import annotations

from ovcadmin.drivers.hypervisor.base import DiskSpec
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Step
from ovcadmin.errors import HypervisorFailed
from ovcadmin.models import Operation, Volume
from ovcadmin.operations import guests, volumes
from ovcadmin.operations.machine_devices import declare, define_back
from ovcadmin.operations.machine_plugging import Kind
from ovcadmin.services import machine_states
from ovcadmin.services import volumes as volume_rows
from ovcadmin.work import Work


def provide(run: Run) -> None:
    """Attach or create the volume; a swap disk's lies on the host's own storage."""
    guests.place(run)
    params = run.params
    volumes.provide(run, size=params["size"], target=params["target"], swap=params["swap"])


def take_back(run: Run) -> None:
    volumes.take_back(run)
    define_back(run)


def grow(run: Run) -> None:
    """Grow the volume, then tell the running guest.  What has grown stays so."""
    found = guests.place(run)
    disk = _disk(run)
    guests.storage(run, disk, found.host_id).grow(disk.key or disk.name, run.params["size"])
    host = run.outside.hypervisor(found.host_id)
    host.grow_disk(found.uuid, disk.target, run.params["size"])


def ensure_unneeded(run: Run) -> None:
    """Raise when something needs the volume that is to be deleted."""
    if not run.params["keep"]:
        guests.ensure_unneeded(run, _disk(run), guests.place(run).host_id)


def delete_volume(run: Run) -> None:
    disk = _disk(run)
    if run.params["keep"] or disk.found:
        return  # what was there before us is given back, never deleted
    found = guests.place(run)
    guests.storage(run, disk, found.host_id).delete(disk.key or disk.name)


def _device(run: Run) -> DiskSpec:
    return guests.attachment(run, _disk(run), guests.place(run).host_id)


def _disk(run: Run) -> guests.Disk:
    for disk in guests.disks(run):
        if disk.target == run.params["target"]:
            return disk
    raise HypervisorFailed(f"The machine has no drive {run.params['target']} any more.")


# --- outcomes ------------------------------------------------------------------------------------


def settled(work: Work, operation: Operation) -> None:
    """Count the machine's volumes anew, then write the outcome."""
    machine = operation.machine
    assert machine is not None
    volume_rows.unpromise(work, operation)
    work.db.flush()
    work.db.expire(machine, ["volumes"])
    machine.storage = sum(volume.size for volume in machine.volumes)
    machine_states.changed(work, operation)


def not_added(work: Work, operation: Operation) -> None:
    volume_rows.unpromise(work, operation)
    machine_states.failed(work, operation)


def grown(work: Work, operation: Operation) -> None:
    work.db.get_one(Volume, operation.params["volume_id"]).size = operation.params["size"]
    settled(work, operation)


def removed(work: Work, operation: Operation) -> None:
    volume = work.db.get_one(Volume, operation.params["volume_id"])
    volume.swap, volume.bytes_limit, volume.iops_limit = False, None, None
    if operation.params["keep"] or volume.found:
        volume_rows.keep(work, volume)
    else:
        work.db.delete(volume)
    settled(work, operation)


DRIVE = Kind(
    name="drive", text="a drive", named_by="target", device=_device, may_go=ensure_unneeded
)
TYPES = (
    DRIVE.comes(
        Step(name="provide", text="Attach or create the volume", run=provide, undo=take_back),
        settled,
        not_added,
    ),
    declare(
        "drive_grow",
        "Grow a drive of {name}",
        Step(name="grow", text="Grow the volume", run=grow),
        succeed=grown,
    ),
    DRIVE.goes(
        Step(name="delete", text="Delete the volume", run=delete_volume),
        succeed=removed,
    ),
)

"""What steps do with volumes: provide one for a machine, and take it back."""

from __future__ import annotations

from ovcadmin.drivers.storage.base import StorageDriver, whole_blocks
from ovcadmin.engine.run import Run
from ovcadmin.errors import StorageFull
from ovcadmin.models import Host, Machine, Volume
from ovcadmin.services import drives, quotas, storage, volumes

CHOSEN = "volume"
"""Note of the step: the id of the volume that it provides."""


def provide(run: Run, *, size: int, target: str, swap: bool = False) -> int:
    """Attach or create a volume for the operation's machine; return its id.

    May run again: it goes on with the volume that it chose before.  Real free space is asked for
    before anything is made, and a storage pool without room gives way to the next.
    """
    skip: list[int] = []
    while True:
        volume_id = int(run.get(CHOSEN) or 0) or _choose(run, size, target, skip, swap=swap)
        full = _make(run, volume_id)
        if full is None:
            return volume_id
        skip.append(full)
        take_back(run)


def take_back(run: Run) -> None:
    """Undo `provide`: what it made is deleted, what it attached is free again."""
    volume_id = int(run.get(CHOSEN) or 0)
    if not volume_id:
        return
    with run.database.reading() as session:
        volume = session.get(Volume, volume_id)
        made = volume is not None and run.get("made by us") == str(volume_id)
        name = volume.name if volume is not None else ""
    if made:
        driver(run, volume_id).delete(name, memo=run)
    run.set(CHOSEN, "")
    with run.writing() as (work, operation):
        row = work.db.get(Volume, volume_id)
        if row is not None and row.machine_id == run.machine_id:
            if made:
                row.key = None
            else:
                quotas.release(work, operation)  # it counts for its pool again
            volumes.give_back(work, row)


def driver(run: Run, volume_id: int) -> StorageDriver:
    """Return the driver of the volume's storage pool, by way of its machine's host or any."""
    with run.database.reading() as session:
        volume = session.get_one(Volume, volume_id)
        machine = volume.machine
        host_id = machine.host_id if machine is not None else None
        store_id = volume.storage_pool_id
        if host_id is None:
            host_id = storage.way_to(volume.storage_pool).id
    return run.outside.storage(store_id, host_id)


def _choose(run: Run, size: int, target: str, skip: list[int], *, swap: bool) -> int:
    with run.writing() as (work, operation):
        machine = work.db.get_one(Machine, run.machine_id)
        wish = volumes.Wish(
            machine=machine, target=target, skip=tuple(skip), swap=swap, operation_id=operation.id
        )
        choice = volumes.choose(work, machine.pool, size, wish)
        volume_id, name = choice.volume.id, choice.volume.name
        run.note(work, CHOSEN, str(volume_id))
        if not choice.attached:
            run.note(work, "made by us", str(volume_id))
        drives.ensure_reserved(work, machine, operation, size)
    run.log(f"{'Attached' if choice.attached else 'Chose to make'} volume {name}.")
    return volume_id


def _make(run: Run, volume_id: int) -> int | None:
    """Make the volume unless it exists; return its storage pool's id when that has no room."""
    with run.database.reading() as session:
        volume = session.get_one(Volume, volume_id)
        if volume.key is not None:
            return None
        name, size, store_id = volume.name, volume.size, volume.storage_pool_id
        host = volume.machine.host if volume.machine is not None else None
        hostname = (host or session.get_one(Host, storage.way_to(volume.storage_pool).id)).hostname
    found = driver(run, volume_id)
    try:
        available = found.facts().available
        if available is not None and available < size:
            return store_id
        made = found.create(name, whole_blocks(size), host=hostname, memo=run)
    except StorageFull:
        return store_id
    with run.writing() as (work, _):
        work.db.get_one(Volume, volume_id).key = made.key
    run.log(f"Made volume {made.name}, {made.size} bytes.")
    return None

"""Move a machine to another host, running or stopped.

Where the machine lives is one row: it changes in one transaction, after the guest (or its
definition) has arrived.  Until then everything can be taken back; after that only what was left
behind is tidied away.  A second attempt asks both hosts first what an earlier one achieved.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial

from ovcadmin.domain.states import Action, State
from ovcadmin.drivers.hypervisor.base import Hypervisor, PowerState, Route
from ovcadmin.drivers.storage.base import take, whole_blocks
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Cancel, OperationType, Step
from ovcadmin.errors import DomainError, HypervisorFailed, StorageFailed
from ovcadmin.models import Host, Machine, Operation
from ovcadmin.models.database import announce
from ovcadmin.operations import guests, seeds
from ovcadmin.operations.guests import Disk
from ovcadmin.operations.seeds import Seed
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import machine_states, migrations, strangers

LEFTOVER_SECONDS = 60.0
"""How long what a dead attempt began may take to fall apart on the other host."""
POLL_SECONDS = 0.5
BLOCK = 4096
"""No storage has larger blocks, bytes."""


@dataclass(frozen=True, kw_only=True)
class Journey:
    """From where to where, and which disks are copied.  Plain values."""

    uuid: str
    name: str
    running: bool
    source_id: int
    source: str
    target_id: int
    target: str
    hostname: str
    """Of the target, for its storage."""
    copied: tuple[Disk, ...]
    shared: tuple[Disk, ...]
    storage_pool_id: int | None
    """Where the copied disks go."""
    seed: Seed | None
    """The one over here, if the disk that it lies beside is copied."""
    arrived: bool
    """Whether the machine's row says that it lives over there."""

    @property
    def names(self) -> list[str]:
        """What is made over there."""
        return [disk.name for disk in self.copied] + ([self.seed.name] if self.seed else [])


def journey(run: Run) -> Journey:
    with run.database.reading() as session:
        operation = session.get_one(Operation, run.operation_id)
        machine = session.get_one(Machine, run.machine_id)
        source, target = operation.host, operation.target_host
        assert source is not None
        assert target is not None
        store_id = operation.params.get("storage_pool_id")
        arrived = machine.host_id == target.id
        disks = guests.disks(run)
        left = [] if arrived else migrations.elsewhere(session, machine, target.id)
        far = {volume.id for volume in left}
        seed = seeds.of(run)
        beside = {volume.storage_pool_id for volume in left}
        return Journey(
            uuid=machine.uuid,
            name=machine.name,
            running=machine.stable is State.RUNNING,
            source_id=source.id,
            source=source.name,
            target_id=target.id,
            target=target.name,
            hostname=target.hostname,
            copied=tuple(disk for disk in disks if disk.volume_id in far),
            shared=tuple(disk for disk in disks if disk.volume_id not in far),
            storage_pool_id=store_id,
            seed=seed if seed is not None and seed.storage_pool_id in beside else None,
            arrived=arrived,
        )


def check(run: Run) -> None:
    """Judge the other host again, and look that it sees the disks that it is said to reach."""
    way = journey(run)
    if way.arrived:
        return
    with run.writing() as (work, _):
        migrations.ensure_fits(work, work.db.get_one(Machine, run.machine_id), way.target_id)
    for disk in way.shared:
        here = guests.storage(run, disk, way.source_id).volume(disk.key or disk.name)
        there = guests.storage(run, disk, way.target_id).volume(disk.key or disk.name)
        if here is None or there is None or here.size != there.size:
            raise StorageFailed(
                f"{way.target} does not see the disk {disk.name} as {way.source} does, though "
                "both are said to reach its storage pool.",
                volume=disk.name,
            )


def prepare(run: Run) -> None:
    """Make the disks over there: empty ones for a running guest, which fills them on its way."""
    way = journey(run)
    if way.arrived or not way.copied:
        return
    if way.storage_pool_id is None:
        raise StorageFailed(f"{way.target} has no storage pool for the disks of {way.name}.")
    there = run.outside.storage(way.storage_pool_id, way.target_id)
    if way.seed is not None:
        seeds.make(run, there, way.seed)
    for number, disk in enumerate(way.copied):
        here = guests.storage(run, disk, way.source_id)
        if disk.swap and not way.running:
            # Scratch space: it is empty again over there.
            there.create(disk.name, whole_blocks(disk.size), host=way.hostname, memo=run)
            continue
        if way.running:
            # As large as it really is: QEMU copies to nothing larger or smaller.
            real = here.volume(disk.key or disk.name)
            size = real.size if real is not None else disk.size
            there.create(disk.name, size, host=way.hostname, memo=run)
            continue

        def progress(part: float, done: int = number) -> None:
            run.progress((done + part) / len(way.copied))

        take(there, here, disk.key or disk.name, disk.name, memo=run, progress=progress)
    run.log(f"Made {len(way.copied)} disks on {way.target}.")


def remove_copies(run: Run) -> None:
    """Take `prepare` back, unless the machine lives over there by now."""
    way = journey(run)
    if way.arrived or way.storage_pool_id is None:
        return
    there = run.outside.storage(way.storage_pool_id, way.target_id)
    for name in way.names:
        there.delete(name)


def move(run: Run) -> None:
    """Bring the guest over, write down that it lives there, and tidy up behind it."""
    way = journey(run)
    if not way.arrived:
        here = run.outside.hypervisor(way.source_id)
        there = run.outside.hypervisor(way.target_id)
        route = _route(run, way)
        if way.running:
            _move_running(run, way, (here, there), route)
        else:
            there.define_moved(here.xml(way.uuid), route)
        _settle(run, way)
        run.log(f"{way.name} lives on {way.target} now.")
    _tidy(run, way)


def _move_running(
    run: Run, way: Journey, hosts: tuple[Hypervisor, Hypervisor], route: Route
) -> None:
    here, there = hosts
    if _has_arrived(run, way, here, there):
        return
    with run.database.reading() as session:
        address = migrations.address(session.get_one(Host, way.target_id))
    begun = time.monotonic()
    here.migrate(way.uuid, there, replace(route, address=address), progress=run.progress)
    run.log(f"The guest moved while it ran, in {time.monotonic() - begun:.1f} s.")


def _has_arrived(run: Run, way: Journey, here: Hypervisor, there: Hypervisor) -> bool:
    """Whether an earlier attempt brought the guest over; waits until its remains are gone.

    Only one of the two can be running: the one that waits is paused.
    """
    end = time.monotonic() + LEFTOVER_SECONDS
    while True:
        left, come = here.state(way.uuid), there.state(way.uuid)
        if come is not None and come.power is PowerState.RUNNING:
            if left is not None and left.power is not PowerState.RUNNING:
                here.destroy(way.uuid)
            return True
        if left is None:
            raise HypervisorFailed(f"{way.source} does not know {way.name} any more.")
        if come is None or come.power in (PowerState.SHUTOFF, PowerState.CRASHED):
            return False
        if time.monotonic() > end:
            raise HypervisorFailed(
                f"{way.target} keeps half of {way.name} from an earlier migration."
            )
        run.pause(POLL_SECONDS)


def _route(run: Run, way: Journey) -> Route:
    """Return where the disks are over there."""
    return Route(
        sources=_sources(run, way),
        servers=_servers(run, way),
        odd=frozenset(disk.target for disk in way.copied if disk.size % BLOCK),
        speed=run.settings.migration_speed,
    )


def _servers(run: Run, way: Journey) -> dict[str, tuple[str, int]]:
    """Return who serves the shared disks over there, where guests open them by the network."""
    return {
        disk.target: spec.server
        for disk in way.shared
        if (spec := guests.attachment(run, disk, way.target_id)).server is not None
    }


def _sources(run: Run, way: Journey) -> dict[str, str]:
    """Return where the copied disks are over there."""
    if not way.copied or way.storage_pool_id is None:
        return {}
    there = run.outside.storage(way.storage_pool_id, way.target_id)
    places = {disk.target: disk.name for disk in way.copied}
    if way.seed is not None:
        places[seeds.DRIVE] = way.seed.name
    return {
        target: there.disk(name, target=target, boot_order=None).source
        for target, name in places.items()
    }


def _settle(run: Run, way: Journey) -> None:
    """Change where the machine and its disks live, at once; note what is to be tidied."""
    copied = {disk.volume_id: disk for disk in way.copied}
    left = [f"{disk.storage_pool_id}/{disk.key or disk.name}" for disk in way.copied]
    if way.seed is not None:
        left.append(f"{way.seed.storage_pool_id}/{way.seed.name}")
    run.set("left", ",".join(left))
    with run.writing() as (work, _):
        machine = work.db.get_one(Machine, run.machine_id)
        machine.host_id = way.target_id
        for volume in machine.volumes:
            if volume.id in copied:
                assert way.storage_pool_id is not None
                volume.storage_pool_id = way.storage_pool_id
                volume.key = volume.name
        # Both hosts told of the guest while it was under way.
        strangers.forget(work, way.uuid)
        announce(work.db, "machine", machine.id, machine.pool_id)


def _tidy(run: Run, way: Journey) -> None:
    """Remove what was left behind.  The machine has moved: trouble here is told, not fatal."""
    here = run.outside.hypervisor
    chores = [partial(lambda: here(way.source_id).undefine(way.uuid))]
    for left in filter(None, (run.get("left") or "").split(",")):
        store, _, key = left.partition("/")
        chores.append(
            partial(lambda s, k: run.outside.storage(s, way.source_id).delete(k), int(store), key)
        )
    for disk in way.shared:
        driver = guests.storage(run, disk, way.target_id)
        chores.append(partial(driver.move, disk.key or disk.name, way.hostname))
    for chore in chores:
        try:
            chore()
        except DomainError as trouble:
            run.log(f"Something was left behind on {way.source}: {trouble.text}")


def forget_definition(run: Run) -> None:
    """Take back a definition over there that the machine did not follow."""
    way = journey(run)
    if not way.arrived and not way.running:
        run.outside.hypervisor(way.target_id).undefine(way.uuid)


TYPES = (
    OperationType(
        name=migrations.TYPE,
        text="Migrate {name}",
        privilege=Privilege.MODIFY,
        action=Action.MIGRATE,
        cancel=Cancel.STEPS,
        steps=(
            Step(name="check", text="Check the other host", run=check),
            Step(name="prepare", text="Make the disks over there", run=prepare, undo=remove_copies),
            Step(name="move", text="Move the guest", run=move, undo=forget_definition),
        ),
        succeed=machine_states.succeeded,
        fail=machine_states.failed,
    ),
)

"""Create a machine: choose its host, clone its disk there, define its domain.

The volume's name and the domain's uuid follow from the machine, so every step finds what an
earlier attempt of it made: after a crash there is one volume and one domain, or none of either.
"""

from __future__ import annotations

from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.states import Action
from ovcadmin.drivers.storage.base import whole_blocks
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Cancel, OperationType, Step
from ovcadmin.models import Host, Machine, Volume
from ovcadmin.operations import guests, seeds
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import machine_states, placement


def choose_host(run: Run) -> None:
    """Place the machine and write down its volume, in one transaction."""
    with run.writing() as (work, operation):
        machine = work.db.get_one(Machine, run.machine_id)
        if machine.host_id is not None:
            return
        by_hand = operation.params.get("host_id")
        wanted = placement.wanted_for(machine)
        chosen = placement.choose(work, machine.pool, wanted, host_id=by_hand)
        machine.host_id = operation.host_id = chosen.host_id
        work.db.add(
            Volume(
                storage_pool_id=chosen.storage_pool_id,
                name=f"machine-{machine.uuid}-vda",
                size=machine.storage,
                machine_id=machine.id,
                target="vda",
                created_at=work.now(),
            )
        )
        run.tell(work, operation, f"Placed on {chosen.host}.")


def forget_host(run: Run) -> None:
    """Take the placement back: the volume is gone by now, its row goes too.

    One that could not be deleted keeps its row, so that deleting the machine deletes it later.
    """
    with run.writing() as (work, operation):
        if any(row.name == "clone" and row.state == "failed" for row in operation.steps):
            return
        machine = work.db.get_one(Machine, run.machine_id)
        machine.host_id = None
        for volume in list(machine.volumes):
            work.db.delete(volume)


def clone_disk(run: Run) -> None:
    """Clone the image's copy; where the machine is installed afresh, make an empty disk."""
    found = guests.place(run)
    with run.database.reading() as session:
        machine = session.get_one(Machine, run.machine_id)
        hostname = session.get_one(Host, found.host_id).hostname
        assert machine.image is not None
        cloned = machine.image.kind == ImageKind.DISK
        copies = {copy.storage_pool_id: copy.key for copy in machine.image.volumes}
    for disk in guests.disks(run):
        driver = guests.storage(run, disk, found.host_id)
        if cloned:
            template = copies[disk.storage_pool_id]
            assert template is not None
            made = driver.clone(
                template, disk.name, size=disk.size, host=hostname, memo=run, progress=run.progress
            )
        else:
            made = driver.create(disk.name, whole_blocks(disk.size), host=hostname, memo=run)
        guests.keep_key(run, disk, made.key, f"Made volume {made.name}, {made.size} bytes.")


def delete_disk(run: Run) -> None:
    found = guests.placed(run)
    if found is None:
        return
    seeds.delete_at(run, found.host_id)
    for disk in guests.disks(run):
        if disk.found:
            continue
        with guests.in_words(run, disk.storage_pool_id):
            guests.storage(run, disk, found.host_id).delete(disk.key or disk.name, memo=run)


def define_domain(run: Run) -> None:
    """Define it, having written its seed: it is off, so nobody reads that meanwhile."""
    found = guests.place(run)
    seeds.make_at(run, found.host_id)
    run.outside.hypervisor(found.host_id).define(guests.spec(run, found))


def undefine_domain(run: Run) -> None:
    found = guests.placed(run)
    if found is not None:
        run.outside.hypervisor(found.host_id).undefine(found.uuid)


TYPES = (
    OperationType(
        name="machine.create",
        text="Create {name}",
        privilege=Privilege.CREATE,
        action=Action.CREATE,
        cancel=Cancel.STEPS,
        steps=(
            Step(name="place", text="Choose a host", run=choose_host, undo=forget_host),
            Step(name="clone", text="Clone the disk", run=clone_disk, undo=delete_disk),
            Step(name="define", text="Define the domain", run=define_domain, undo=undefine_domain),
        ),
        succeed=machine_states.succeeded,
        fail=machine_states.failed,
    ),
)

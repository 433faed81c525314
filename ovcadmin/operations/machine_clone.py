"""Copy the disks of a stopped machine: for a clone, or as a template.

The operation belongs to the source, which therefore stays as it is meanwhile.  New volumes are
named after what they are for, so an attempt finds what an earlier one made.
"""

from __future__ import annotations

import copy

from ovcadmin.domain.states import Action
from ovcadmin.drivers.storage.base import Shares
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Cancel, OperationType, Step
from ovcadmin.models import Host, Machine, Volume
from ovcadmin.operations import guests, machine_create
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import clones


def write_down(run: Run) -> None:
    """Name a volume for each disk of the clone."""
    with run.writing() as (work, operation):
        machine = work.db.get_one(Machine, run.params["machine_id"])
        pairs = [[one.source_id, one.volume.id] for one in clones.copies(work, operation, machine)]
    run.params["copies"] = pairs


def forget(run: Run) -> None:
    """Its volumes are gone by now, their rows go too."""
    machine_create.forget_host(_for_clone(run))


def copy_clone(run: Run) -> None:
    write_down(run)  # another attempt starts without what the first one knew
    copy_disks(run)


def copy_disks(run: Run) -> None:
    found = guests.place(run)
    with run.database.reading() as session:
        hostname = session.get_one(Host, found.host_id).hostname
        pairs = [
            (session.get_one(Volume, source_id), session.get_one(Volume, volume_id))
            for source_id, volume_id in run.params["copies"]
        ]
    for source, volume in pairs:
        driver = run.outside.storage(volume.storage_pool_id, found.host_id)
        assert source.key is not None
        memo = guests.DiskMemo(run, volume.id)
        if run.type.name == clones.TEMPLATE and isinstance(driver, Shares):
            made = driver.template(source.key, volume.name, memo=memo)
        else:
            made = driver.clone(
                source.key, volume.name, size=volume.size, host=hostname, memo=memo,
                progress=run.progress,
            )  # fmt: skip
        with run.writing() as (work, _):
            work.db.get_one(Volume, volume.id).key = made.key
        run.log(f"Copied {source.name} to {made.name}, {made.size} bytes.")


def remove_clone(run: Run) -> None:
    machine_create.delete_disk(_for_clone(run))


def remove_template(run: Run) -> None:
    found = guests.place(run)
    for source_id, volume_id in run.params["copies"]:
        with run.database.reading() as session:
            source, volume = session.get_one(Volume, source_id), session.get_one(Volume, volume_id)
        driver = run.outside.storage(volume.storage_pool_id, found.host_id)
        mark = guests.DiskMemo(run, volume_id).get("snapshot")
        if volume.key is None and mark and source.key:
            driver.delete_snapshot(source.key, mark)
        else:
            driver.delete(volume.key or volume.name)


def define(run: Run) -> None:
    machine_create.define_domain(_for_clone(run))


def undefine(run: Run) -> None:
    machine_create.undefine_domain(_for_clone(run))


def _for_clone(run: Run) -> Run:
    """Return the same attempt, about the clone instead of its source."""
    other = copy.copy(run)
    other.machine_id = run.params["machine_id"]
    return other


TYPES = (
    OperationType(
        name=clones.CLONE,
        text="Clone {name}",
        privilege=Privilege.CREATE,
        action=Action.CLONE,
        cancel=Cancel.STEPS,
        steps=(
            Step(name="place", text="Name the new volumes", run=write_down, undo=forget),
            Step(name="copy", text="Copy the disks", run=copy_clone, undo=remove_clone),
            Step(name="define", text="Define the domain", run=define, undo=undefine),
        ),
        succeed=clones.cloned,
        fail=clones.not_cloned,
    ),
    OperationType(
        name=clones.TEMPLATE,
        text="Make template {name}",
        privilege=Privilege.MODIFY,
        action=Action.CLONE,
        cancel=Cancel.STEPS,
        steps=(Step(name="copy", text="Copy the disk", run=copy_disks, undo=remove_template),),
        succeed=clones.templated,
        fail=clones.not_templated,
    ),
)

"""Delete a machine: into the bin, back out of it, and for good.

In the bin its domain is gone, so that nobody starts it on the host, and its volumes are kept.
Every step succeeds when nothing is left to do.
"""

from __future__ import annotations

from ovcadmin.domain.states import Action
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import OperationType, Step
from ovcadmin.models import Machine
from ovcadmin.operations import guests
from ovcadmin.operations.machine_create import define_domain, delete_disk, undefine_domain
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import bins, machine_states


def undefine(run: Run) -> None:
    """Remove the domain, unless its volumes must stay because others were made from them."""
    if guests.placed(run) is None:
        # Its creation failed before it had a place: there is nothing on any host.
        return
    found = guests.place(run)
    for disk in guests.disks(run):
        guests.ensure_unneeded(run, disk, found.host_id)
    put_away(run)


def put_away(run: Run) -> None:
    """Remove the domain; what an adopted machine is, only its definition tells: it is kept."""
    found = guests.place(run)
    host = run.outside.hypervisor(found.host_id)
    with run.database.reading() as session:
        adopted = bool(session.get_one(Machine, run.machine_id).definition)
    if adopted and host.state(found.uuid) is not None:
        definition = host.describe(found.uuid).definition
        with run.writing() as (work, _):
            work.db.get_one(Machine, run.machine_id).definition = definition
    host.undefine(found.uuid)


TYPES = (
    OperationType(
        name="machine.bin",
        text="Put {name} into the bin",
        privilege=Privilege.CREATE,
        action=Action.BIN,
        steps=(Step(name="undefine", text="Remove the domain", run=put_away, undo=define_domain),),
        succeed=bins.binned,
        fail=machine_states.failed,
    ),
    OperationType(
        name="machine.unbin",
        text="Bring {name} back",
        privilege=Privilege.CREATE,
        action=Action.UNBIN,
        steps=(
            Step(name="define", text="Define the domain", run=define_domain, undo=undefine_domain),
        ),
        succeed=bins.brought_back,
        fail=bins.not_brought_back,
    ),
    OperationType(
        name="machine.delete",
        text="Delete {name}",
        privilege=Privilege.CREATE,
        action=Action.DELETE,
        steps=(
            Step(name="undefine", text="Remove the domain", run=undefine),
            Step(name="delete", text="Delete the volumes", run=delete_disk),
        ),
        succeed=machine_states.succeeded,
        fail=machine_states.failed,
    ),
)

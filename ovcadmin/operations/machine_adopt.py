"""Adopt a guest that somebody made on a host: nothing is done there, it is only looked at."""

from __future__ import annotations

from ovcadmin.domain.states import Action
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import OperationType, Step
from ovcadmin.errors import DomainMissing
from ovcadmin.models import Machine
from ovcadmin.operations import guests
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import adoptions


def take(run: Run) -> None:
    """Read the domain once more and write down what it consists of."""
    found = guests.place(run)
    host = run.outside.hypervisor(found.host_id)
    described = host.describe(found.uuid)
    state = host.state(found.uuid)
    if state is None:
        raise DomainMissing(f"{found.host} does not know the domain any more.", domain=found.uuid)
    with run.writing() as (work, _):
        adoptions.take(work, work.db.get_one(Machine, run.machine_id), described, state)
    run.log(
        f"{described.name} is as it was: {len(described.drives)} drives and "
        f"{len(described.cards)} cards are written down."
    )


TYPES = (
    OperationType(
        name=adoptions.TYPE,
        text="Adopt {name}",
        privilege=Privilege.CREATE,
        action=Action.ADOPT,
        steps=(Step(name="take", text="Look at the guest", run=take),),
        succeed=adoptions.adopted,
        fail=adoptions.not_adopted,
    ),
)

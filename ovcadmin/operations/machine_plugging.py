"""What drives and cards have in common: they are plugged in and unplugged.

One that comes is provided, written into the definition and plugged into the guest that runs; one
that goes takes the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ovcadmin.drivers.hypervisor.base import DiskSpec, NicSpec
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import OperationType, Step
from ovcadmin.models import Operation
from ovcadmin.operations import guests
from ovcadmin.operations.machine_devices import DEFINE, declare, define, define_back
from ovcadmin.services import machine_states
from ovcadmin.work import Work

Outcome = Callable[[Work, Operation], None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of device."""

    name: str
    text: str
    named_by: str
    """The parameter of the operation that names the device."""
    device: Callable[[Run], DiskSpec | NicSpec]
    """Describes it; raises `HypervisorFailed` when the machine has none such."""

    may_go: Callable[[Run], None] = lambda _run: None
    """Raises why it cannot be removed, before anything is."""

    def plug(self, run: Run) -> None:
        host, uuid = guests.hypervisor(run)
        host.attach(uuid, self.device(run))

    def unplug(self, run: Run) -> None:
        host, uuid = guests.hypervisor(run)
        host.detach(uuid, self.device(run))

    def define_without(self, run: Run) -> None:
        self.may_go(run)
        define(run, without=run.params[self.named_by])

    def plug_back(self, run: Run) -> None:
        """It stays: it is defined and plugged in again."""
        define_back(run)
        self.plug(run)

    def comes(
        self, provide: Step, succeed: Outcome, fail: Outcome = machine_states.failed
    ) -> OperationType:
        """Declare the operation that adds one, which `provide` makes ready."""
        return declare(
            f"{self.name}_add",
            f"Add {self.text} to {{name}}",
            provide,
            DEFINE,
            Step(name="plug", text="Plug it in", run=self.plug, undo=self.unplug),
            succeed=succeed,
            fail=fail,
        )

    def goes(self, *after: Step, succeed: Outcome) -> OperationType:
        """Declare the operation that removes one; `after` follows when the guest has let go."""
        return declare(
            f"{self.name}_remove",
            f"Remove {self.text} of {{name}}",
            Step(
                name="define",
                text="Write the definition",
                run=self.define_without,
                undo=self.plug_back,
            ),
            Step(name="unplug", text="Wait until the guest lets go", run=self.unplug),
            *after,
            succeed=succeed,
        )

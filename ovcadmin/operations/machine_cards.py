"""Network cards of a machine: add and remove, while it is off or on the guest that runs."""

from __future__ import annotations

from ovcadmin.drivers.hypervisor.base import NicSpec
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Step
from ovcadmin.errors import HypervisorFailed
from ovcadmin.models import Machine, Nic, Operation
from ovcadmin.operations import guests
from ovcadmin.operations.machine_devices import define_back
from ovcadmin.operations.machine_plugging import Kind
from ovcadmin.services import devices, drives, machine_states, rate_parts
from ovcadmin.work import Work


def write_card(run: Run) -> None:
    """Write the card down, having looked again whether it fits and its MAC is free."""
    guests.place(run)
    mac, network = run.params["mac"], run.params["network"]
    with run.writing() as (work, operation):
        machine = work.db.get_one(Machine, run.machine_id)
        if any(nic.mac == mac for nic in machine.nics):
            return
        drives.ensure_mac_free(work, mac)
        coming = len(machine.nics) + 1
        devices.reserve_running(work, machine, operation, machine.stable, nics=coming)
        work.db.add(Nic(machine_id=machine.id, mac=mac, network=network))


def forget_card(run: Run) -> None:
    with run.writing() as (work, _):
        for nic in list(work.db.get_one(Machine, run.machine_id).nics):
            if nic.mac == run.params["mac"]:
                work.db.delete(nic)
    define_back(run)


def _device(run: Run) -> NicSpec:
    with run.database.reading() as session:
        machine = session.get_one(Machine, run.machine_id)
        for nic in machine.nics:
            if nic.mac == run.params["mac"]:
                return guests.nic_spec(nic, rate_parts.due_of(session, machine.id))
    raise HypervisorFailed(f"The machine has no card {run.params['mac']} any more.")


# --- outcomes ------------------------------------------------------------------------------------


def settled(work: Work, operation: Operation) -> None:
    machine = operation.machine
    assert machine is not None
    work.db.flush()
    work.db.expire(machine, ["nics"])
    machine.nic_count = len(machine.nics)
    machine_states.changed(work, operation)


def removed(work: Work, operation: Operation) -> None:
    work.db.delete(work.db.get_one(Nic, operation.params["nic_id"]))
    settled(work, operation)


CARD = Kind(name="card", text="a network card", named_by="mac", device=_device)
TYPES = (
    CARD.comes(
        Step(name="write", text="Check the room", run=write_card, undo=forget_card), settled
    ),
    CARD.goes(succeed=removed),
)

"""Changes of a machine's size, limits, boot order and CD-ROM.

Each writes the machine's rows first, then its definition, then the guest that runs; so the rows
say what is to be, and every step may run again.  What the running guest cannot be given is marked
as pending until it was off.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ovcadmin.domain.states import HOLDS_RUNNING, Action
from ovcadmin.drivers.hypervisor.base import CdromSpec
from ovcadmin.drivers.hypervisor.devices import Present
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import OperationType, Step
from ovcadmin.errors import DomainError
from ovcadmin.models import Machine, Medium, Nic, Operation, Volume
from ovcadmin.operations import guests
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import devices, machine_states
from ovcadmin.work import Work

TABLES: dict[str, Any] = {"machine": Machine, "volume": Volume, "nic": Nic}
AT_START = ("boot", "os_type")
"""What a guest only reads when it starts."""


def define(run: Run, *, without: str = "") -> None:
    """Write the domain's definition anew from the machine's rows."""
    found = guests.place(run)
    run.outside.hypervisor(found.host_id).define(guests.spec(run, found, without=without))


def define_back(run: Run) -> None:
    """The same on the way back, where a host that is silent now may stay as it is."""
    try:
        define(run)
    except DomainError as error:
        run.log(f"The domain's definition could not be written back: {error.text}")


# --- rows ----------------------------------------------------------------------------------------


def _write(run: Run, work: Work, table: str, row_id: int, values: dict[str, Any]) -> None:
    """Write values into a row, and note what stood there; a second time nothing is noted."""
    row = work.db.get_one(TABLES[table], row_id)
    if not run.noted(work, "before"):
        run.note(work, "before", json.dumps({name: getattr(row, name) for name in values}))
    for name, value in values.items():
        setattr(row, name, value)


def _unwrite(run: Run, table: str, row_id: int) -> None:
    before = json.loads(run.get("before") or "{}")
    with run.writing() as (work, _):
        row = work.db.get(TABLES[table], row_id)
        for name, value in before.items() if row is not None else ():
            setattr(row, name, value)
    define_back(run)


def write_values(run: Run) -> None:
    with run.writing() as (work, _):
        _write(run, work, run.params["table"], run.params["row"], run.params["values"])


def unwrite_values(run: Run) -> None:
    _unwrite(run, run.params["table"], run.params["row"])


# --- size ----------------------------------------------------------------------------------------


def write_size(run: Run) -> None:
    """Write the new size, having looked again whether there is room for it."""
    guests.place(run)
    size = {name: run.params[name] for name in ("vcpus", "memory")}
    with run.writing() as (work, operation):
        machine = work.db.get_one(Machine, run.machine_id)
        devices.reserve_running(work, machine, operation, machine.stable, **size)
        assert run.machine_id is not None
        _write(run, work, "machine", run.machine_id, size)


def unwrite_size(run: Run) -> None:
    assert run.machine_id is not None
    _unwrite(run, "machine", run.machine_id)


def unplug_size(run: Run) -> None:
    """Bring the guest back as near as it can be; what it has got and keeps is pending."""
    before = _before(run)
    found = guests.place(run)
    has = run.outside.hypervisor(found.host_id).resize(found.uuid, **before)
    if has.running:
        with run.writing() as (work, _):
            machine = work.db.get_one(Machine, run.machine_id)
            for name, value in before.items():
                devices.note_pending(machine, name, getattr(has, name), value)


def plug_size(run: Run) -> None:
    """Give the running guest what it can be given; the rest is pending."""
    found = guests.place(run)
    wanted = {name: int(run.params[name]) for name in ("vcpus", "memory")}
    has = run.outside.hypervisor(found.host_id).resize(found.uuid, **wanted)
    if not has.running:
        return
    for why in has.refused:
        run.log(f"Not while it runs: {why}.")
    with run.writing() as (work, _):
        machine = work.db.get_one(Machine, run.machine_id)
        for name, value in wanted.items():
            devices.note_pending(machine, name, getattr(has, name), value)


# --- what is read at the start -------------------------------------------------------------------


def note_values(run: Run) -> None:
    """Mark what a running guest will only see at its next start."""
    before = _before(run)
    with run.writing() as (work, _):
        machine = work.db.get_one(Machine, run.machine_id)
        if machine.stable not in HOLDS_RUNNING:
            return
        for name in AT_START:
            if name in before:
                now = machine.pending.get(name, [before[name]])[0]
                devices.note_pending(machine, name, now, getattr(machine, name))


def _before(run: Run) -> dict[str, Any]:
    """Return what the first step found in the row."""
    with run.writing() as (_, operation):
        found: dict[str, Any] = json.loads(operation.steps[0].memo.get("before", "{}"))
        return found


def set_limits(run: Run) -> None:
    found = guests.place(run)
    run.outside.hypervisor(found.host_id).limit(found.uuid, guests.spec(run, found))


# --- CD-ROM --------------------------------------------------------------------------------------


def write_medium(run: Run) -> None:
    target, image_id = run.params["target"], run.params["image_id"]
    with run.writing() as (work, _):
        held = _medium(work, run.machine_id, target)
        if not run.noted(work, "before"):
            before = held.image_id if held is not None else None
            run.note(work, "before", json.dumps({"image_id": before}))
        _put(work, run.machine_id, target, image_id)


def unwrite_medium(run: Run) -> None:
    before = json.loads(run.get("before") or "{}")
    if "image_id" in before:
        with run.writing() as (work, _):
            _put(work, run.machine_id, run.params["target"], before["image_id"])
    define_back(run)


def _medium(work: Work, machine_id: int | None, target: str) -> Medium | None:
    return work.db.query(Medium).filter_by(machine_id=machine_id, target=target).one_or_none()


def _put(work: Work, machine_id: int | None, target: str, image_id: int | None) -> None:
    assert machine_id is not None
    held = _medium(work, machine_id, target)
    if image_id is None:
        if held is not None:
            work.db.delete(held)
    elif held is None:
        work.db.add(Medium(machine_id=machine_id, target=target, image_id=image_id))
    else:
        held.image_id = image_id


def change_medium(run: Run) -> None:
    """Change it in the running guest; one started before the drive existed gets it later."""
    found = guests.place(run)
    target = run.params["target"]
    source = guests.media(run, found).get(target)
    host = run.outside.hypervisor(found.host_id)
    there = host.insert(found.uuid, CdromSpec(target=target, source=source))
    with run.writing() as (work, _):
        machine = work.db.get_one(Machine, run.machine_id)
        devices.note_pending(machine, "cdrom", "none" if not there else target, target)


# --- devices that a domain lacks -----------------------------------------------------------------


def note_lacking(run: Run) -> None:
    """Compare the running guest with its definition and mark what it lacks."""
    found = guests.place(run)
    has = run.outside.hypervisor(found.host_id).present(found.uuid)
    if not has.running:
        return
    with run.writing() as (work, _):
        machine = work.db.get_one(Machine, run.machine_id)
        devices.note_pending(machine, "vcpus", has.vcpus, machine.vcpus)
        devices.note_pending(machine, "memory", has.memory, machine.memory)
        for name, there in _lacking(has).items():
            devices.note_pending(machine, name, "there" if there else "none", "there")


def _lacking(has: Present) -> dict[str, bool]:
    return {
        "serial": has.serial,
        "graphics": has.graphics,
        "agent": has.agent,
        "cdrom": "hda" in has.media,
    }


# --- types ---------------------------------------------------------------------------------------


def declare(
    name: str,
    text: str,
    *steps: Step,
    privilege: Privilege = Privilege.CREATE,
    action: Action = Action.CHANGE,
    succeed: Callable[[Work, Operation], None] = machine_states.changed,
    fail: Callable[[Work, Operation], None] = machine_states.failed,
) -> OperationType:
    """Declare a change of a machine."""
    return OperationType(
        name=f"machine.{name}",
        text=text,
        privilege=privilege,
        action=action,
        steps=steps,
        succeed=succeed,
        fail=fail,
    )


def _step(name: str, text: str, run: Callable[[Run], None], **more: Any) -> Step:
    return Step(name=name, text=text, run=run, **more)


WRITE = _step("write", "Write down what is wanted", write_values, undo=unwrite_values)
DEFINE = _step("define", "Write the definition", define)
TYPES = (
    declare(
        "resize",
        "Resize {name}",
        _step("write", "Check the room", write_size, undo=unwrite_size),
        DEFINE,
        _step("plug", "Give it to the running guest", plug_size, undo=unplug_size),
        action=Action.RESIZE,
    ),
    declare(
        "configure",
        "Change how {name} starts",
        WRITE,
        DEFINE,
        _step("note", "Mark what is pending", note_values),
        privilege=Privilege.CONTROL,
    ),
    declare(
        "limit",
        "Limit {name}",
        WRITE,
        DEFINE,
        _step("limit", "Limit the running guest", set_limits),
        privilege=Privilege.MODIFY,
    ),
    declare(
        "insert",
        "Change the CD-ROM of {name}",
        _step("write", "Write down what is wanted", write_medium, undo=unwrite_medium),
        DEFINE,
        _step("insert", "Change it in the running guest", change_medium),
        privilege=Privilege.CONTROL,
    ),
    declare(
        "complete",
        "Add what {name} lacks",
        DEFINE,
        _step("note", "Mark what is pending", note_lacking),
        privilege=Privilege.CONTROL,
    ),
)

"""Power: start, shut down, power off, reset, reboot, suspend, resume, save, restore.

Each asks the host for a state and is done when the host reports it; asking for a state that is
already there succeeds, so every one of them may run again after a crash (reset and reboot cut
the guest short once more, and are failed instead).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ovcadmin.domain.states import TABLE, Action, State
from ovcadmin.drivers.hypervisor.base import Hypervisor, PowerState
from ovcadmin.drivers.storage.base import Serves, whole_blocks
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import OperationType, Step
from ovcadmin.errors import GuestTimeout, HypervisorFailed
from ovcadmin.models import Machine
from ovcadmin.operations import guests, seeds
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import devices, machine_states, placement

SETTLE_SECONDS = 30
POLL_SECONDS = 0.1
BUTTON_SECONDS = 10
"""A guest that is still booting may miss the power button: it is pressed again this often."""


def check_room(run: Run) -> None:
    """Look again whether quota and host have room: the queue may have been long.

    What was ahead of it in the queue may have made the machine larger.
    """
    ensure_served(run, guests.place(run))
    with run.writing() as (work, operation):
        machine = work.db.get_one(Machine, run.machine_id)
        devices.reserve_running(work, machine, operation, State.RUNNING)
        placement.ensure_room(work, machine)


def define_again(run: Run) -> None:
    """Make anew what the machine may have lost by a move or by hand: swap, seed, definition."""
    found = guests.place(run)
    host = run.outside.hypervisor(found.host_id)
    state = host.state(found.uuid)
    if state is None or state.power is PowerState.SHUTOFF:
        make_swap(run, found)
        seeds.make_at(run, found.host_id)
    if state is None:
        host.define(guests.spec(run, found))


def ensure_served(run: Run, found: guests.Place) -> None:
    """Refuse to start a guest on a volume that two storage routers would write, or none."""
    for disk in guests.disks(run):
        driver = guests.storage(run, disk, found.host_id)
        if isinstance(driver, Serves) and not disk.swap:
            driver.ensure_served(disk.key or disk.name)


def make_swap(run: Run, found: guests.Place) -> None:
    """Make the swap disks that the host's storage does not have (any more)."""
    for disk in guests.disks(run):
        if not disk.swap or disk.found:
            continue
        driver = guests.storage(run, disk, found.host_id)
        if disk.key and driver.volume(disk.key) is not None:
            continue
        made = driver.create(
            disk.name, whole_blocks(disk.size), host=guests.hostname(run, found),
            memo=guests.DiskMemo(run, disk.volume_id),
        )  # fmt: skip
        guests.keep_key(run, disk, made.key, f"Made the swap disk {disk.target} anew.")


def _verb(call: Callable[[Hypervisor, str], None], goal: PowerState) -> Callable[[Run], None]:
    """Return a step that makes one call and waits for the state it leads to."""

    def step(run: Run) -> None:
        host, uuid = guests.hypervisor(run)
        call(host, uuid)
        await_power(run, host, uuid, goal, SETTLE_SECONDS)

    return step


def shut_down(run: Run) -> None:
    """Press the power button until the guest has gone, or give up after the set time."""
    host, uuid = guests.hypervisor(run)
    limit = _patience(run)
    begun = time.monotonic()
    pressed = -float(BUTTON_SECONDS)
    while (passed := time.monotonic() - begun) < limit:
        state = host.state(uuid)
        if state is None or state.power in (PowerState.SHUTOFF, PowerState.CRASHED):
            return
        if passed - pressed >= BUTTON_SECONDS:
            host.shutdown(uuid)
            pressed = passed
        run.progress(passed / limit)
        run.pause(5 * POLL_SECONDS)
    raise GuestTimeout(
        f"The guest did not shut down within {limit} seconds and is still running. Shut it down "
        "from inside, or power it off.",
        seconds=limit,
    )


def _patience(run: Run) -> int:
    with run.database.reading() as session:
        own = session.get_one(Machine, run.machine_id).shutdown_seconds
    return own or run.settings.shutdown_seconds


def await_power(run: Run, host: Hypervisor, uuid: str, goal: PowerState, seconds: float) -> None:
    """Wait until the host reports the state; raises `HypervisorFailed` when it does not."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        state = host.state(uuid)
        if state is not None and state.power is goal:
            return
        run.pause(POLL_SECONDS)
    raise HypervisorFailed(f"The host did not report the guest {goal} within {seconds:.0f} s.")


def _power(
    action: Action,
    *steps: Step,
    retryable: bool = True,
) -> OperationType:
    return OperationType(
        name=f"machine.{action.value}",
        text=f"{TABLE[action].label} {{name}}",
        privilege=Privilege.CONTROL,
        action=action,
        retryable=retryable,
        steps=steps,
        succeed=machine_states.succeeded,
        fail=machine_states.failed,
    )


TYPES = (
    _power(
        Action.START,
        Step(name="check", text="Check the host", run=check_room),
        Step(name="define", text="Check the domain", run=define_again),
        Step(
            name="start",
            text="Start the guest",
            run=_verb(lambda host, uuid: host.start(uuid), PowerState.RUNNING),
        ),
    ),
    _power(
        Action.SHUTDOWN,
        Step(name="shutdown", text="Wait for the guest to shut down", run=shut_down),
    ),
    _power(
        Action.POWER_OFF,
        Step(
            name="destroy",
            text="Pull the plug",
            run=_verb(lambda host, uuid: host.destroy(uuid), PowerState.SHUTOFF),
        ),
    ),
    _power(
        Action.RESET,
        Step(
            name="reset",
            text="Press the reset button",
            run=_verb(lambda host, uuid: host.reset(uuid), PowerState.RUNNING),
        ),
        retryable=False,
    ),
    _power(
        Action.REBOOT,
        Step(
            name="reboot",
            text="Ask the guest to reboot",
            run=_verb(lambda host, uuid: host.reboot(uuid), PowerState.RUNNING),
        ),
        retryable=False,
    ),
    _power(
        Action.SUSPEND,
        Step(
            name="suspend",
            text="Suspend the guest",
            run=_verb(lambda host, uuid: host.suspend(uuid), PowerState.PAUSED),
        ),
    ),
    _power(
        Action.RESUME,
        Step(
            name="resume",
            text="Resume the guest",
            run=_verb(lambda host, uuid: host.resume(uuid), PowerState.RUNNING),
        ),
    ),
    _power(
        Action.SAVE,
        Step(
            name="save",
            text="Save memory to disk",
            run=_verb(lambda host, uuid: host.save(uuid), PowerState.SAVED),
        ),
    ),
    _power(
        Action.RESTORE,
        Step(name="check", text="Check the host", run=check_room),
        Step(
            name="restore",
            text="Restore memory from disk",
            run=_verb(lambda host, uuid: host.start(uuid), PowerState.RUNNING),
        ),
    ),
)

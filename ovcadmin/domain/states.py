"""The life of a machine: stable states, actions, and what each does to the state.

Three facts are kept apart: the stable state (here), the power state that was observed on the
host, and the operation in flight.  What an action may start from is judged on the *state to
come*: the state that all queued operations will leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class State(StrEnum):
    """Stable states.  A machine starts its life as `new`, which nobody sees: create is queued."""

    NEW = "new"
    STOPPED = "stopped"
    RUNNING = "running"
    SUSPENDED = "suspended"
    SAVED = "saved"
    CREATE_FAILED = "create_failed"
    BINNED = "binned"
    DELETED = "deleted"


class Action(StrEnum):
    CREATE = "create"
    ADOPT = "adopt"
    """Begin to manage a guest that somebody else made."""
    START = "start"
    SHUTDOWN = "shutdown"
    POWER_OFF = "power_off"
    RESET = "reset"
    REBOOT = "reboot"
    SUSPEND = "suspend"
    RESUME = "resume"
    SAVE = "save"
    RESTORE = "restore"
    SNAPSHOT = "snapshot"
    ROLL_BACK = "roll_back"
    DELETE_SNAPSHOT = "delete_snapshot"
    CLONE = "clone"
    RESIZE = "resize"
    CHANGE = "change"
    """Any change of its devices."""
    MIGRATE = "migrate"
    BIN = "bin"
    UNBIN = "unbin"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One row of the state table.  `success` None means "as before"."""

    label: str
    """The verb on a button."""
    sources: frozenset[State]
    during: str
    success: State | None = None
    failure: State | None = None
    hint: str = ""
    form: bool = False
    """Whether it must be told more than that it is wanted: it has a page and a call of its own
    instead of a button, and may have several operation types."""


def _row(
    label: str,
    sources: tuple[State, ...],
    during: str,
    success: State | None = None,
    failure: State | None = None,
    hint: str = "",
    *,
    form: bool = False,
) -> Transition:
    return Transition(
        label=label,
        sources=frozenset(sources),
        during=during,
        success=success,
        failure=failure,
        hint=hint,
        form=form,
    )


TABLE: dict[Action, Transition] = {
    Action.CREATE: _row(
        "Create", (State.NEW,), "creating", State.STOPPED, State.CREATE_FAILED
    ),
    Action.ADOPT: _row(
        "Adopt", (State.NEW,), "being adopted", State.STOPPED, State.CREATE_FAILED, form=True
    ),
    Action.START: _row("Start", (State.STOPPED,), "starting", State.RUNNING),
    Action.SHUTDOWN: _row(
        "Shut down", (State.RUNNING,), "stopping", State.STOPPED,
        hint="Presses the power button and waits for the guest to stop by itself.",
    ),
    Action.POWER_OFF: _row(
        "Power off", (State.RUNNING, State.SUSPENDED), "powering off", State.STOPPED,
        hint="Pulls the plug: what the guest had not written to disk is lost.",
    ),
    Action.RESET: _row(
        "Reset", (State.RUNNING,), "resetting",
        hint="Presses the reset button: what the guest had not written to disk is lost.",
    ),
    Action.REBOOT: _row("Reboot", (State.RUNNING,), "rebooting"),
    Action.SUSPEND: _row("Suspend", (State.RUNNING,), "suspending", State.SUSPENDED),
    Action.RESUME: _row("Resume", (State.SUSPENDED,), "resuming", State.RUNNING),
    Action.SAVE: _row("Save", (State.RUNNING,), "saving", State.SAVED),
    Action.RESTORE: _row("Restore", (State.SAVED,), "restoring", State.RUNNING),
    Action.SNAPSHOT: _row("Snapshot", (State.STOPPED, State.RUNNING), "snapshotting", form=True),
    Action.ROLL_BACK: _row(
        "Roll back", (State.STOPPED,), "rolling back", State.STOPPED, State.STOPPED, form=True
    ),
    Action.DELETE_SNAPSHOT: _row(
        "Delete a snapshot", (State.STOPPED, State.RUNNING, State.SUSPENDED, State.SAVED),
        "deleting a snapshot", form=True,
    ),
    Action.CLONE: _row("Clone", (State.STOPPED,), "being cloned", form=True),
    Action.RESIZE: _row("Resize", (State.STOPPED, State.RUNNING), "resizing", form=True),
    Action.CHANGE: _row("Change", (State.STOPPED, State.RUNNING), "changing", form=True),
    Action.MIGRATE: _row("Migrate", (State.STOPPED, State.RUNNING), "migrating", form=True),
    Action.BIN: _row(
        "Delete", (State.STOPPED, State.SAVED), "deleting", State.BINNED,
        hint="It rests in the bin for some days, can be brought back, and counts for the storage "
        "quota until then.",
    ),
    Action.UNBIN: _row(
        "Bring back", (State.BINNED,), "being brought back", State.STOPPED,
        hint="It comes back as it was when it was deleted, stopped.",
    ),
    Action.DELETE: _row(
        "Remove for good", (State.STOPPED, State.CREATE_FAILED, State.SAVED, State.BINNED),
        "being removed", State.DELETED,
        hint="This cannot be undone.",
    ),
}  # fmt: skip

QUIETING = frozenset({Action.SHUTDOWN, Action.POWER_OFF, Action.SUSPEND})
"""What ends or halts a guest: allowed also while another one writes to the same disks."""

HOLDS_RUNNING = frozenset({State.RUNNING, State.SUSPENDED})
"""States in which a machine takes vcpus, memory, nics and a place of the machines limit."""


@cache
def allowed(state: State) -> tuple[Action, ...]:
    """Return the actions that may start from `state`, in the order of the table.

    Kept, because a list of machines asks for each of its rows.
    """
    return tuple(action for action, row in TABLE.items() if state in row.sources)


def plain() -> list[Action]:
    """Return the actions that a button alone asks for, in the order of the table."""
    return [a for a, row in TABLE.items() if a is not Action.CREATE and not row.form]


def after(action: Action, state: State) -> State:
    """Return the state that a successful `action` leaves when begun in `state`."""
    return TABLE[action].success or state


def after_failure(action: Action, state: State) -> State:
    return TABLE[action].failure or state


def observed(power: str, state: State) -> State:
    """Return the stable state of an idle machine whose host reports `power`.

    The host's word counts: a guest that was started, stopped or suspended behind our back is
    shown as it is.  A crashed domain has no CPU and no memory: it is stopped.
    """
    return _OBSERVED.get(power, state)


_OBSERVED = {
    "running": State.RUNNING,
    "shutting_down": State.RUNNING,
    "paused": State.SUSPENDED,
    "shutoff": State.STOPPED,
    "crashed": State.STOPPED,
    "saved": State.SAVED,
}

POWER = {
    State.RUNNING: "running",
    State.SUSPENDED: "paused",
    State.STOPPED: "shutoff",
    State.SAVED: "saved",
}
"""The power state that each stable state means on the host."""

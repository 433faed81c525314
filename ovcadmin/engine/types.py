"""What an operation type is, declared once: name, text, privilege, states, lock, cancel, steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ovcadmin.domain.states import Action

if TYPE_CHECKING:
    from ovcadmin.engine.run import Run
    from ovcadmin.models import Operation
    from ovcadmin.work import Work


class Cancel(StrEnum):
    """What a cancel request does."""

    QUEUED = "queued"
    """Only while it waits; once begun it goes to its end."""
    STEPS = "steps"
    """Also between two steps; what was done is undone."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: idempotent, so that it may run again after a crash.

    `run` does it; `undo` takes it back when the operation fails or is cancelled, and must succeed
    when there is nothing to take back.
    """

    name: str
    text: str
    run: Callable[[Run], None]
    undo: Callable[[Run], None] | None = None


@dataclass(frozen=True, kw_only=True)
class OperationType:
    name: str
    text: str
    """What is done, for people; `{name}` is the object's name."""
    privilege: str
    """Privilege on the object's pool to ask for it (a value of security.privileges)."""
    action: Action | None = None
    """Row of the machine state table, for operations on machines."""
    cancel: Cancel = Cancel.QUEUED
    retryable: bool = True
    """Whether it may run again after its worker died in the middle."""
    steps: tuple[Step, ...] = ()
    succeed: Callable[[Work, Operation], None] | None = None
    """Writes the outcome, in the transaction that ends the operation."""
    fail: Callable[[Work, Operation], None] | None = None
    """The same for failure and cancellation; `operation.error_code` says which."""
    params: dict[str, type] = field(default_factory=dict)


_registry: dict[str, OperationType] = {}
_doers: dict[Action, OperationType] = {}
"""Of each action the type that does it; the first declared where several do."""


def register(*types: OperationType) -> None:
    for kind in types:
        if _registry.setdefault(kind.name, kind) is not kind:
            raise ValueError(f"operation type {kind.name} is declared twice")
        if kind.action is not None:
            _doers.setdefault(kind.action, kind)


def get(name: str) -> OperationType:
    return _registry[name]


def every() -> list[OperationType]:
    return list(_registry.values())


def for_action(action: Action) -> OperationType:
    """Return the type that does the action; the first declared where several do."""
    return _doers[action]


def done_by_none(action: Action) -> bool:
    """Whether no registered type does the action."""
    return action not in _doers


Params = dict[str, Any]

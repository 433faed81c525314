"""One attempt at one operation: the steps in order, the undo when they fail, the end.

Between two steps lies one short fenced transaction: the one is done, the other begun, or the end
has come.  The outside call itself happens in no transaction.  When the process dies anywhere, the
next attempt finds which steps are done and runs the others again; steps are idempotent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from sqlalchemy.orm import Session

from ovcadmin.domain.states import TABLE
from ovcadmin.engine import store, types
from ovcadmin.errors import DomainError, LeaseLost, OperationCancelled, StateConflict, Unexpected
from ovcadmin.models import Operation, OperationState, OperationStep
from ovcadmin.models.database import AWAY, Database, announce
from ovcadmin.work import SYSTEM, Work

if TYPE_CHECKING:
    from ovcadmin.config import Settings
    from ovcadmin.drivers.directory.base import Directory
    from ovcadmin.drivers.downloads.base import Downloads
    from ovcadmin.drivers.hypervisor.base import Finding, Hypervisor
    from ovcadmin.drivers.storage.base import StorageDriver
    from ovcadmin.engine.types import OperationType, Step

log = structlog.get_logger(__name__)

PROGRESS_SECONDS = 0.5
"""Progress is written at most this often: it is for people's eyes."""


class Outside(Protocol):
    """How steps reach the outside world; the worker and the tests each bring theirs."""

    def hypervisor(self, host_id: int) -> Hypervisor: ...

    def storage(self, storage_pool_id: int, host_id: int) -> StorageDriver: ...

    def directory(self, realm_id: int, mapping: Mapping[str, str]) -> Directory:
        """Give a realm's directory, perhaps with other bases and filters to try them."""
        ...

    def downloads(self) -> Downloads: ...

    def way_to(self, uri: str) -> Iterable[Finding]:
        """Try the way to a host's address, step by step up to the first that fails."""
        ...


class Run:
    """What a step works with.  `operation_id` and `attempt` are the fence of every write."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        outside: Outside,
        operation: Operation,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.database = database
        self.settings = settings
        self.outside = outside
        self.operation_id = operation.id
        self.attempt = operation.attempt
        self.machine_id = operation.machine_id
        self.params: dict[str, Any] = dict(operation.params)
        self.type: OperationType = types.get(operation.type)
        self.pause = pause
        self._position = 0
        self._last_progress = 0.0

    # what steps use

    @contextmanager
    def writing(self) -> Iterator[tuple[Work, Operation]]:
        """A short transaction that only commits while this attempt owns the operation."""
        with self.database.writing() as session:
            operation = store.fenced(session, self.operation_id, self.attempt)
            yield self._work(session), operation

    def log(self, text: str) -> None:
        with self.writing() as (work, operation):
            self.tell(work, operation, text)

    def tell(self, work: Work, operation: Operation, text: str) -> None:
        """Log a line in a transaction that does more."""
        store.note(work.db, operation, text, work.now())
        announce(work.db, "operation", operation.id, operation.pool_id)

    def progress(self, part: float) -> None:
        """Say how far the present step is, 0 to 1; also where a long step notices a cancel."""
        now = time.monotonic()
        if now - self._last_progress < PROGRESS_SECONDS:
            return
        self._last_progress = now
        percent = int(100 * (self._position + min(max(part, 0.0), 1.0)) / len(self.type.steps))
        with self.writing() as (work, operation):
            self._raise_if_cancelled(operation)
            operation.progress = min(percent, 99)
            announce(work.db, "operation", operation.id, operation.pool_id)

    def get(self, key: str) -> str | None:
        """Read a lasting note of this step (see drivers.storage.base.Memo)."""
        with self.database.reading() as session:
            return self._step(session).memo.get(key)

    def set(self, key: str, value: str) -> None:
        with self.writing() as (work, _):
            self.note(work, key, value)

    def note(self, work: Work, key: str, value: str) -> None:
        """Write a lasting note of this step in a transaction that does more."""
        step = self._step(work.db)
        step.memo = {**step.memo, key: value}

    def noted(self, work: Work, key: str) -> bool:
        """Whether this step has such a note, as this transaction sees it."""
        return key in self._step(work.db).memo

    # the attempt

    def execute(self) -> None:
        """Run to an end: done, failed or cancelled.

        Raises only `LeaseLost`, and what `database.AWAY` names: then not even a failure can be
        recorded, the lease runs out and the next attempt goes on.
        """
        try:
            with self.writing() as (work, operation):
                self._prepare(work, operation)
                step = self._go_on(work, operation)
            while step is not None:
                step.run(self)
                with self.writing() as (work, operation):
                    self._close_step(work, operation)
                    step = self._go_on(work, operation)
            self._log_end(OperationState.DONE)
        except (LeaseLost, *AWAY):
            raise
        except OperationCancelled as error:
            self._give_up(OperationState.CANCELLED, error)
        except DomainError as error:
            self._give_up(OperationState.FAILED, error)
        except Exception as error:
            log.exception("operation.defect", operation=self.operation_id, type=self.type.name)
            fault = Unexpected(f"Operation {self.operation_id} met a defect: {error}")
            self._give_up(OperationState.FAILED, fault)

    def _prepare(self, work: Work, operation: Operation) -> None:
        if not operation.steps:
            operation.steps = [
                OperationStep(position=number, name=step.name, text=step.text, memo={})
                for number, step in enumerate(self.type.steps)
            ]
        if operation.machine is not None and self.type.action is not None:
            _check_state(operation, self.attempt)
        announce(work.db, "operation", operation.id, operation.pool_id)

    def _go_on(self, work: Work, operation: Operation) -> Step | None:
        """Begin the first step that is not done and return it; with none left the end has come."""
        row = next((row for row in operation.steps if row.state != "done"), None)
        if row is None:
            self._end(work, operation, OperationState.DONE)
            return None
        self._raise_if_cancelled(operation)
        self._position = row.position
        step = self.type.steps[row.position]
        row.state, row.started_at = "running", work.now()
        operation.step = step.text
        operation.progress = int(100 * row.position / len(self.type.steps))
        announce(work.db, "operation", operation.id, operation.pool_id)
        return step

    def _close_step(self, work: Work, operation: Operation) -> None:
        row = operation.steps[self._position]
        row.state, row.finished_at = "done", work.now()

    def _take_back(self, error: DomainError) -> None:
        """Undo the begun steps, last first; an undo that fails is logged and does not stop us."""
        log.info("operation.failed", operation=self.operation_id, code=error.code, text=error.text)
        with self.database.reading() as session:
            begun = {
                row.position
                for row in session.get_one(Operation, self.operation_id).steps
                if row.state in ("running", "done")
            }
        for position in sorted(begun, reverse=True):
            self._undo_step(position, self.type.steps[position])

    def _undo_step(self, position: int, step: Step) -> None:
        self._position = position
        outcome = "failed"
        if step.undo is not None:
            with self.writing() as (_, operation):
                # No longer done: the next attempt, should we die now, must not build on it.
                operation.steps[position].state = "running"
            try:
                step.undo(self)
                outcome = "undone"
            except LeaseLost:
                raise
            except DomainError as trouble:
                self.log(f"Could not take back “{step.text}”: {trouble.text}")
        with self.writing() as (work, operation):
            row = operation.steps[position]
            if row.state == "running":
                row.state, row.finished_at = outcome, work.now()

    def _give_up(self, state: OperationState, error: DomainError) -> None:
        """Take back what was done, and end as failed or cancelled."""
        self._take_back(error)
        with self.writing() as (work, operation):
            operation.error_code, operation.error_text = error.code, error.text
            operation.error_context = error.context
            store.note(work.db, operation, error.text, work.now())
            self._end(work, operation, state)
        self._log_end(state)

    def _end(self, work: Work, operation: Operation, state: OperationState) -> None:
        settle = self.type.succeed if state is OperationState.DONE else self.type.fail
        if settle is not None:
            settle(work, operation)
        operation.step = ""
        store.end(work.db, operation, state, work.now())

    def _log_end(self, state: OperationState) -> None:
        log.info("operation.ended", operation=self.operation_id, type=self.type.name, state=state)

    def _raise_if_cancelled(self, operation: Operation) -> None:
        if operation.cancel_at is not None and self.type.cancel is types.Cancel.STEPS:
            raise OperationCancelled("The operation was cancelled.")

    def _step(self, session: Session) -> OperationStep:
        return session.get_one(Operation, self.operation_id).steps[self._position]

    def _work(self, session: Session) -> Work:
        return Work(
            db=session,
            actor=SYSTEM,
            settings=self.settings,
            request_id=f"op-{self.operation_id}",
        )


def _check_state(operation: Operation, attempt: int) -> None:
    """Judge again what was judged when the request was accepted: the queue may have failed.

    A second attempt may find its own half-done work; only the first one is judged.
    """
    action = types.get(operation.type).action
    machine = operation.machine
    if attempt > 1 or action is None or machine is None:
        return
    if machine.stable not in TABLE[action].sources:
        raise StateConflict(
            f"{machine.name} is {machine.state} by now; “{TABLE[action].label}” needs it "
            f"{' or '.join(sorted(TABLE[action].sources))}.",
            machine=machine.name,
            state=machine.state,
        )

"""One attempt at an operation: what is done again after a crash, what is taken back, what is said.

On SQLite, without a worker: the operation is claimed and run in the test itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from ovcadmin.engine import reaper, store, types
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Cancel, OperationType, Step
from ovcadmin.errors import HostUnresponsive, LeaseLost, StorageFailed
from ovcadmin.models import Operation, OperationState, utcnow
from ovcadmin.services import operations, pools
from tests.rig.console import Console, console

LEASE = timedelta(seconds=15)


class Script:
    """Three steps that do as the test says; `done` is what they did, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.at: dict[str, object] = {}
        """What to do at a point such as `run two`: a callable, or an error to raise."""

    def step(self, name: str, *, undo: bool = True) -> Step:
        return Step(
            name=name,
            text=name.title(),
            run=lambda run: self._reach(run, f"run {name}"),
            undo=(lambda run: self._reach(run, f"undo {name}")) if undo else None,
        )

    def _reach(self, run: Run, point: str) -> None:
        self.done.append(point)
        wanted = self.at.pop(point, None)
        if isinstance(wanted, BaseException):
            raise wanted
        if callable(wanted):
            wanted(run)


class PowerFailure(BaseException):
    """Ends an attempt in the middle, as `kill -9` does: nothing of it runs any more."""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    made = Script()
    monkeypatch.setattr(types, "_registry", dict(types._registry))
    types.register(
        OperationType(
            name="script",
            text="Script",
            privilege="modify",
            cancel=Cancel.STEPS,
            steps=(made.step("one"), made.step("two"), made.step("three", undo=False)),
        )
    )
    return made


@pytest.fixture
def made(tmp_path: Path, script: Script) -> Iterator[Console]:
    with console(tmp_path, f"sqlite:///{tmp_path}/ovcadmin.db") as made:
        yield made


@pytest.fixture
def operation(made: Console) -> int:
    with made.work(write=True) as work:
        request = operations.Request(type="script", pool=pools.root(work), name="it")
        return operations.submit(work, request).id


def attempt(made: Console) -> Run:
    """Claim the waiting operation."""
    with made.database.writing() as session:
        claimed = store.claim(session, "test", utcnow(), LEASE)
    assert claimed is not None
    return Run(made.database, made.settings, None, claimed)  # type: ignore[arg-type]


def crash(made: Console, run: Run) -> None:
    """Run until the power fails, then let the reaper find what is left."""
    with pytest.raises(PowerFailure):
        run.execute()
    with made.work(write=True) as work:
        work.db.get_one(Operation, run.operation_id).lease_until = utcnow() - LEASE
        reaper.reap(work)


def states(operation: Operation) -> list[str]:
    return [step.state for step in operation.steps]


def test_steps_run_in_order_and_the_operation_is_done(
    made: Console, operation: int, script: Script
) -> None:
    attempt(made).execute()
    assert script.done == ["run one", "run two", "run three"]
    ended = made.operation(operation)
    assert (ended.state, ended.progress, ended.step) == (OperationState.DONE, 100, "")
    assert states(ended) == ["done"] * 3


def test_the_next_attempt_goes_on_at_the_step_that_was_cut_short(
    made: Console, operation: int, script: Script
) -> None:
    script.at["run two"] = PowerFailure()
    crash(made, attempt(made))
    attempt(made).execute()
    assert script.done == ["run one", "run two", "run two", "run three"]
    assert made.operation(operation).state == OperationState.DONE


def test_a_failed_step_takes_back_what_was_done_last_first(
    made: Console, operation: int, script: Script
) -> None:
    script.at["run three"] = StorageFailed("The disk is on fire.", pool="p1")
    attempt(made).execute()
    assert script.done == ["run one", "run two", "run three", "undo two", "undo one"]
    ended = made.operation(operation)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "storage.failed")
    assert (ended.error_text, ended.error_context) == ("The disk is on fire.", {"pool": "p1"})
    assert states(ended) == ["undone", "undone", "failed"]


def test_an_undo_that_fails_is_told_and_does_not_keep_the_others_from_it(
    made: Console, operation: int, script: Script
) -> None:
    script.at["run three"] = StorageFailed("No.")
    script.at["undo two"] = HostUnresponsive("host1 does not answer.")
    attempt(made).execute()
    ended = made.operation(operation)
    assert states(ended) == ["undone", "failed", "failed"]
    assert "Could not take back “Two”: host1 does not answer." in [row.text for row in ended.log]
    assert ended.error_text == "No."


def test_a_crash_while_taking_back_leaves_no_step_that_claims_to_be_done(
    made: Console, operation: int, script: Script
) -> None:
    script.at["run three"] = StorageFailed("No.")
    script.at["undo one"] = PowerFailure()
    crash(made, attempt(made))
    assert states(made.operation(operation)) == ["running", "undone", "failed"]
    attempt(made).execute()
    assert script.done[5:] == ["run one", "run two", "run three"]
    assert made.operation(operation).state == OperationState.DONE


def test_a_defect_ends_the_operation_and_shows_no_traceback_to_people(
    made: Console, operation: int, script: Script
) -> None:
    script.at["run two"] = ZeroDivisionError("division by zero")
    attempt(made).execute()
    ended = made.operation(operation)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "internal")
    assert "Traceback" not in ended.error_text
    assert script.done[-2:] == ["undo two", "undo one"]


def test_a_database_that_is_away_ends_nothing(
    made: Console, operation: int, script: Script
) -> None:
    script.at["run two"] = OperationalError("UPDATE", {}, Exception("database is locked"))
    with pytest.raises(OperationalError):
        attempt(made).execute()
    assert made.operation(operation).state == OperationState.RUNNING
    assert script.done == ["run one", "run two"]


def test_a_cancel_is_noticed_before_the_next_step(
    made: Console, operation: int, script: Script
) -> None:
    def cancel(_run: Run) -> None:
        with made.work(write=True) as work:
            operations.cancel(work, operations.get(work, operation))

    script.at["run one"] = cancel
    attempt(made).execute()
    assert script.done == ["run one", "undo one"]
    assert made.operation(operation).state == OperationState.CANCELLED


def test_an_attempt_that_was_overtaken_writes_nothing(
    made: Console, operation: int, script: Script
) -> None:
    old = attempt(made)

    def overtake(_run: Run) -> None:
        with made.work(write=True) as work:
            store.requeue(work.db, operations.get(work, operation), utcnow())
        attempt(made).execute()

    script.at["run one"] = overtake
    with pytest.raises(LeaseLost):
        old.execute()
    ended = made.operation(operation)
    assert (ended.state, ended.attempt) == (OperationState.DONE, 2)
    assert script.done == ["run one", "run one", "run two", "run three"]


def test_a_note_of_a_step_is_found_by_the_next_attempt(
    made: Console, operation: int, script: Script
) -> None:
    def note(run: Run) -> None:
        run.set("task", "4711")
        raise PowerFailure

    found: list[str | None] = []
    script.at["run two"] = note
    crash(made, attempt(made))
    script.at["run two"] = lambda run: found.append(run.get("task"))
    attempt(made).execute()
    assert found == ["4711"]


def test_what_kills_its_workers_is_given_up_after_five(
    made: Console, operation: int, script: Script
) -> None:
    for _ in range(reaper.LAST_ATTEMPT):
        script.at["run two"] = PowerFailure()
        crash(made, attempt(made))
    ended = made.operation(operation)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "operation.worker_lost")
    assert "attempt 5" in ended.error_text

"""The operation engine with real worker processes, on SQLite and on PostgreSQL."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ovcadmin.engine import dispatch
from ovcadmin.errors import Conflict
from ovcadmin.models import Operation, OperationState
from ovcadmin.services import operations, pools
from tests.integration import trial
from tests.rig.base import wait_until
from tests.rig.console import Console, Process, console

LOCKS = 5


@dataclass(frozen=True)
class Entry:
    word: str
    operation: int
    attempt: int
    pid: int
    at: float


class Trial:
    """A console, workers that know the trial types, and the journal of what ran."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.file = console.directory / "journal"
        self.release = console.directory / "release"
        with console.work(write=True) as work:
            root = pools.root(work)
            self.pools = [pools.create(work, root, name=f"lock {n}").id for n in range(LOCKS)]

    def worker(self, ini: Path | None = None) -> Process:
        return self.console.worker(Path(trial.__file__), ini=ini)

    def submit(self, name: str, lock: int = 0, after: int | None = None, **params) -> int:
        """Queue an operation; those with the same name and lock exclude each other."""
        values = {"journal": str(self.file), "until": str(self.release), **params}
        with self.console.work(write=True) as work:
            pool = pools.get(work, self.pools[lock])
            request = operations.Request(type=f"trial.{name}", pool=pool, name="it", params=values)
            operation = operations.submit(work, request)
            operation.after_id = after
            return operation.id

    def journal(self, word: str = "") -> list[Entry]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        entries = [
            Entry(kind, int(operation), int(attempt), int(pid), float(at))
            for kind, operation, attempt, pid, at in map(str.split, lines)
        ]
        return [entry for entry in entries if word in ("", entry.word)]

    def begun(self, operation: int, attempt: int = 1) -> Entry:
        """Wait until an attempt began to wait for the file, or marks."""

        def last() -> Entry | None:
            found = [e for e in self.journal("begin") if e.operation == operation]
            return found[-1] if found and found[-1].attempt == attempt else None

        entry = wait_until(last, f"attempt {attempt} of operation {operation}")
        assert entry is not None
        return entry

    def endings(self, operation: int) -> int:
        """How often any worker says that it ended the operation."""
        said = "".join(process.log for process in self.console.processes)
        return said.count(f"operation.ended operation={operation} ")

    def waits(self, operation: int, attempt: int = 1) -> None:
        """Wait until the step that waits for the file runs."""
        wait_until(
            lambda: (
                (found := self.console.operation(operation)).step == "Wait"
                and found.attempt == attempt
            ),
            f"operation {operation} waiting",
        )


@pytest.fixture
def engine(tmp_path: Path, database_url: str) -> Iterator[Trial]:
    with console(tmp_path, database_url) as made:
        yield Trial(made)


def test_every_operation_runs_exactly_once_and_locks_keep_their_order(engine: Trial) -> None:
    # A busy machine may hold a worker up for more than the two seconds of a test's lease.
    patient = engine.console.variant("patient", operation_lease_seconds=60)
    for _ in range(3):
        engine.worker(patient)
    submitted = [
        (lock, engine.submit("mark", lock, seconds=0.01))
        for _ in range(12)
        for lock in range(LOCKS)
    ]
    for _, operation in submitted:
        assert engine.console.ended(operation).state == OperationState.DONE

    ran = Counter(entry.operation for entry in engine.journal("begin"))
    assert ran == {operation: 1 for _, operation in submitted}
    assert len({entry.pid for entry in engine.journal()}) == 3, "every worker had a share"
    for lock in range(LOCKS):
        mine = [operation for of, operation in submitted if of == lock]
        entries = sorted((e for e in engine.journal() if e.operation in mine), key=lambda e: e.at)
        words = [(entry.word, entry.operation) for entry in entries]
        assert words == [(word, number) for number in mine for word in ("begin", "end")]


def test_a_successor_waits_for_the_end_of_its_predecessor(engine: Trial) -> None:
    first = engine.submit("wait", lock=0)
    second = engine.submit("mark", lock=1, after=first)
    third = engine.submit("mark", lock=2, after=second)
    other = engine.submit("mark", lock=3)
    engine.worker()
    engine.waits(first)
    assert engine.console.ended(other).state == OperationState.DONE
    assert engine.console.operation(second).state == OperationState.QUEUED

    engine.release.touch()
    engine.console.ended(third)
    order = [entry.operation for entry in engine.journal("end")]
    assert [number for number in dict.fromkeys(order) if number != other] == [first, second, third]


def test_a_frozen_worker_loses_its_operation_and_can_write_no_more(engine: Trial) -> None:
    operation = engine.submit("wait")
    zombie = engine.worker()
    engine.waits(operation)
    engine.console.freeze(zombie)

    engine.worker()
    engine.waits(operation, attempt=2)
    zombie.thaw()
    zombie.said("operation.lease_lost")
    engine.release.touch()

    ended = engine.console.ended(operation)
    assert (ended.state, ended.attempt) == (OperationState.DONE, 2)
    assert [step.state for step in ended.steps] == ["done", "done"]
    assert "The worker went away; the operation runs again." in [line.text for line in ended.log]
    # The first step was done by the first attempt, and is not done again.
    assert [e.attempt for e in engine.journal("end")] == [1, 2]


def test_a_killed_worker_leaves_its_operation_to_another(engine: Trial) -> None:
    operation = engine.submit("wait")
    first = engine.worker()
    engine.waits(operation)
    first.kill()
    engine.release.touch()
    engine.worker()
    ended = engine.console.ended(operation)
    assert (ended.state, ended.attempt) == (OperationState.DONE, 2)


def test_what_may_not_run_twice_fails_when_its_worker_dies(engine: Trial) -> None:
    operation = engine.submit("once")
    first = engine.worker()
    engine.waits(operation)
    first.kill()
    engine.worker()
    ended = engine.console.ended(operation)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "operation.worker_lost")
    assert "may be half done" in ended.error_text
    assert ended.params["settled"] == "operation.worker_lost"
    assert len(engine.journal("begin")) == 1


def test_a_running_operation_is_cancelled_between_its_steps_and_undone(engine: Trial) -> None:
    operation = engine.submit("wait")
    engine.worker()
    engine.waits(operation)
    with engine.console.work(write=True) as work:
        operations.cancel(work, operations.get(work, operation))
    ended = engine.console.ended(operation)
    assert (ended.state, ended.error_code) == (OperationState.CANCELLED, "operation.cancelled")
    assert [step.state for step in ended.steps] == ["undone", "undone"]
    assert len(engine.journal("undo")) == 2
    assert ended.params["settled"] == "operation.cancelled"


def test_a_queued_operation_is_cancelled_at_once_and_never_runs(engine: Trial) -> None:
    operation = engine.submit("mark")
    with engine.console.work(write=True) as work:
        operations.cancel(work, operations.get(work, operation))
    assert engine.console.operation(operation).state == OperationState.CANCELLED
    engine.worker()
    engine.console.ended(engine.submit("mark"))
    assert operation not in [entry.operation for entry in engine.journal()]


def test_what_cannot_be_stopped_half_way_refuses_to_be_cancelled(engine: Trial) -> None:
    operation = engine.submit("once")
    engine.worker()
    engine.waits(operation)
    with pytest.raises(Conflict, match="cannot be stopped"), engine.console.work(write=True) as w:
        operations.cancel(w, operations.get(w, operation))
    engine.release.touch()
    assert engine.console.ended(operation).state == OperationState.DONE


def test_a_failed_operation_takes_back_what_it_did_and_says_why(engine: Trial) -> None:
    engine.worker()
    operation = engine.submit("fail")
    ended = engine.console.ended(operation)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "outside.failed")
    assert ended.error_text == "The storage said no."
    assert ended.error_context == {"storage": "vpool1"}
    assert [step.state for step in ended.steps] == ["undone", "undone"]


def test_a_worker_that_is_told_to_stop_hands_over_at_once(engine: Trial) -> None:
    operation = engine.submit("wait")
    first = engine.worker()
    engine.waits(operation)
    assert first.stop() == 0
    assert "operation.handed_over" in first.log
    engine.worker()
    engine.waits(operation, attempt=2)
    engine.release.touch()
    assert engine.console.ended(operation).attempt == 2


def test_fault_39_a_locked_database_loses_and_doubles_nothing(engine: Trial) -> None:
    engine.worker()
    engine.worker()
    waiting = engine.submit("wait", lock=0)
    engine.waits(waiting)
    queued = [engine.submit("mark", lock, seconds=0.2) for lock in range(LOCKS)]
    with engine.console.database.write.begin() as connection:
        if not engine.console.database.is_sqlite:
            connection.execute(text("LOCK TABLE operation IN ACCESS EXCLUSIVE MODE"))
        # Twice as long as the lease: every worker must think that it may have lost its own.
        connection.execute(text("SELECT 1"))
        time.sleep(2.0 * engine.console.settings.operation_lease_seconds)
    engine.release.touch()
    for operation in (waiting, *queued):
        assert engine.console.ended(operation).state == OperationState.DONE
    for operation in (waiting, *queued):
        # The line follows the commit.
        wait_until(lambda: engine.endings(operation), f"the line of {operation}")  # noqa: B023
        assert engine.endings(operation) == 1


def test_ended_operations_free_the_slot_of_their_worker(tmp_path: Path, sqlite_url: str) -> None:
    """With one slot everything still runs, one after the other, without waiting for the poll."""
    with console(tmp_path, sqlite_url, operation_slots=1) as made:
        engine = Trial(made)
        engine.worker()
        ids = [engine.submit("mark", lock) for lock in range(LOCKS)]
        for operation in ids:
            engine.console.ended(operation)
        entries = sorted(engine.journal(), key=lambda entry: entry.at)
        assert [entry.operation for entry in entries if entry.word == "begin"] == ids
        assert entries[-1].at - entries[0].at < (LOCKS - 1) * dispatch.FALLBACK_SECONDS


def test_the_running_lock_is_unique_in_the_schema(engine: Trial) -> None:
    """Whatever the code does, the database lets no two operations run under one lock."""
    first, second = engine.submit("mark"), engine.submit("mark")
    with engine.console.work() as work:
        work.db.get_one(Operation, first).state = OperationState.RUNNING
        work.db.flush()
        work.db.get_one(Operation, second).state = OperationState.RUNNING
        with pytest.raises(IntegrityError):
            work.db.flush()

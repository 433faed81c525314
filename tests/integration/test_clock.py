"""Workers whose clock is set forward and back by hours, while they work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ovcadmin.models import Chore, OperationState
from tests.integration import trial
from tests.integration.test_engine import Trial
from tests.rig.base import wait_until
from tests.rig.console import Process, console

HOURS = 2


class Clocks(Trial):
    """A trial whose workers tell the time by a clock of their own."""

    @property
    def clock(self) -> Path:
        return self.console.directory / "clock"

    def worker(self) -> Process:
        return self.console.worker(Path(trial.__file__), **{trial.CLOCK: str(self.clock)})

    def set(self, hours: int) -> None:
        """Set the clock of all workers at once."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(str(hours * 3600))
        fresh.rename(self.clock)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(self.clock.read_text()))


@pytest.fixture
def engine(tmp_path: Path, database_url: str) -> Iterator[Clocks]:
    with console(tmp_path, database_url) as made:
        yield Clocks(made)


def lives(engine: Clocks, operation: int) -> None:
    """Let its worker and the others look at all leases some times, by the new clock."""
    time.sleep(2.0 * engine.console.settings.operation_lease_seconds)  # what may not happen
    found = engine.console.operation(operation)
    assert (found.state, found.attempt) == (OperationState.RUNNING, 1)


@pytest.mark.parametrize("hours", [HOURS, -HOURS])
def test_fault_39_a_clock_that_jumps_loses_and_doubles_nothing(engine: Clocks, hours: int) -> None:
    engine.worker()
    engine.worker()
    running = engine.submit("once", lock=0)
    engine.begun(running)
    behind = engine.submit("mark", lock=0)
    engine.set(hours)
    lives(engine, running)
    engine.release.touch()
    assert engine.console.ended(running).state == OperationState.DONE
    for operation in (behind, engine.submit("mark", lock=1)):
        assert engine.console.ended(operation).state == OperationState.DONE
        assert len([one for one in engine.journal("begin") if one.operation == operation]) == 1


def test_fault_39_a_worker_that_dies_before_the_clock_goes_back_is_missed_all_the_same(
    engine: Clocks,
) -> None:
    first = engine.worker()
    operation = engine.submit("wait")
    engine.begun(operation)
    engine.worker()
    first.kill()
    engine.set(-HOURS)
    engine.begun(operation, attempt=2)
    engine.release.touch()
    assert engine.console.ended(operation).state == OperationState.DONE

    def chores_go_on() -> bool:
        with engine.console.work() as work:
            due = work.db.query(Chore.due_at).filter_by(name="audit.seal").scalar()
        return due is not None and due < engine.now() + timedelta(minutes=1)

    wait_until(chores_go_on, "chores by the new clock", 30)

"""Workers whose database has no room for a while: what SQLite and PostgreSQL really say then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from ovcadmin.models import OperationState
from tests.integration import trial
from tests.integration.test_engine import Trial
from tests.rig.base import wait_until
from tests.rig.console import console

GROWING = ("operation_log", "operation_step", "change", "audit", "process", "operation")


@pytest.fixture
def engine(tmp_path: Path, database_url: str) -> Iterator[Trial]:
    with console(tmp_path, database_url) as made:
        yield Trial(made)


@contextmanager
def full(engine: Trial) -> Iterator[None]:
    """The trial's workers bound SQLite themselves; PostgreSQL refuses every row that is written."""
    database = engine.console.database
    if database.is_sqlite:
        (engine.console.directory / "full").touch()
        yield
        (engine.console.directory / "full").unlink()
        return
    refuse = "RAISE 'could not extend file' USING ERRCODE = '53100'"
    # One table at a time: the workers go on meanwhile, and hold what they have locked.
    with database.write.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text(
                "CREATE FUNCTION no_room() RETURNS trigger AS "
                f"$$ BEGIN {refuse}; END $$ LANGUAGE plpgsql"
            )
        )
        for table in GROWING:
            connection.execute(
                text(
                    f"CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table} "
                    "FOR EACH ROW EXECUTE FUNCTION no_room()"
                )
            )
        yield
        for table in GROWING:
            connection.execute(text(f"DROP TRIGGER no_room ON {table}"))
        connection.execute(text("DROP FUNCTION no_room"))


def test_fault_39_a_full_disk_loses_and_doubles_nothing(engine: Trial) -> None:
    for _ in range(2):
        environment = {trial.FULL: str(engine.console.directory / "full")}
        engine.console.worker(Path(trial.__file__), **environment)
    waiting = engine.submit("wait", lock=0)
    engine.waits(waiting)
    queued = [engine.submit("mark", lock, seconds=0.2) for lock in range(4)]
    with full(engine):
        # Twice as long as the lease: every worker must think that it may have lost its own.
        time.sleep(2.0 * engine.console.settings.operation_lease_seconds)
        engine.release.touch()
    for operation in (waiting, *queued):
        assert engine.console.ended(operation, 60).state == OperationState.DONE
        # The line follows the commit.
        wait_until(lambda: engine.endings(operation), f"the line of {operation}")  # noqa: B023
        assert engine.endings(operation) == 1

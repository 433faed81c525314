"""Operation types for trying the engine, and a worker that knows them.

`python tests/integration/trial.py INI` is an ordinary worker process.  Each step writes a line
into a file when it begins and when it ends, so that a test sees what really ran, how often, and
in which order.
"""

if __name__ == "__main__":
    from ovcadmin import green

    green.patch()

import os
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from sqlalchemy import Connection, Engine, event

from ovcadmin.engine import types
from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Cancel, OperationType, Step
from ovcadmin.errors import OutsideError
from ovcadmin.models import Operation, base
from ovcadmin.work import Work

PRIVILEGE = "modify"
CLOCK = "TRIAL_CLOCK"
"""Names the file with the seconds by which the clock of a worker is wrong."""


FULL = "TRIAL_FULL"
"""Names the file that says, while it is there, that SQLite's disk is full."""


def bound(connection: Connection) -> None:
    """Let SQLite take no page more than it has; never less."""
    if connection.dialect.name == "sqlite":
        most = 1 if Path(os.environ[FULL]).exists() else 2**30
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")


class WrongClock(datetime):
    """The time of day as a worker tells it that somebody set the clock of."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        file = Path(os.environ[CLOCK])
        wrong = float(file.read_text()) if file.exists() else 0.0
        return datetime.now(tz) + timedelta(seconds=wrong)


def _write(run: Run, word: str) -> None:
    line = f"{word} {run.operation_id} {run.attempt} {os.getpid()} {time.monotonic()}\n"
    file = os.open(run.params["journal"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(file, line.encode())
    os.close(file)


def mark(run: Run) -> None:
    _write(run, "begin")
    run.pause(run.params.get("seconds", 0.0))
    _write(run, "end")


def wait_for_file(run: Run) -> None:
    """Run until the test makes a file; notices a cancel."""
    _write(run, "begin")
    while not Path(run.params["until"]).exists():
        run.progress(0.5)
        run.pause(0.02)
    _write(run, "end")


def fail(run: Run) -> None:
    _write(run, "begin")
    raise OutsideError("The storage said no.", storage="vpool1")


def undo(run: Run) -> None:
    _write(run, "undo")


def succeeded(work: Work, operation: Operation) -> None:
    operation.params = {**operation.params, "settled": "done"}


def failed(work: Work, operation: Operation) -> None:
    operation.params = {**operation.params, "settled": operation.error_code}


def _type(name: str, *steps: Step, cancel: Cancel = Cancel.QUEUED, retryable: bool = True):
    return OperationType(
        name=f"trial.{name}",
        text=f"{name} {{name}}",
        privilege=PRIVILEGE,
        cancel=cancel,
        retryable=retryable,
        steps=steps,
        succeed=succeeded,
        fail=failed,
    )


FIRST = Step(name="first", text="First", run=mark, undo=undo)
types.register(
    _type("mark", Step(name="mark", text="Mark", run=mark)),
    _type(
        "wait",
        FIRST,
        Step(name="wait", text="Wait", run=wait_for_file, undo=undo),
        cancel=Cancel.STEPS,
    ),
    _type("once", Step(name="wait", text="Wait", run=wait_for_file), retryable=False),
    _type("fail", FIRST, Step(name="fail", text="Fail", run=fail, undo=undo)),
)


if __name__ == "__main__":
    from ovcadmin.config import Settings

    if FULL in os.environ:
        event.listen(Engine, "begin", bound)
    if CLOCK in os.environ:
        base.datetime = WrongClock
    from ovcadmin.worker.main import run as work_until_told

    work_until_told(Settings.from_file(Path(sys.argv[1])))

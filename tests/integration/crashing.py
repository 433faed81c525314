"""A worker that a power failure hits at a chosen point of a machine's create.

`python tests/integration/crashing.py INI` with AT=n in the environment dies by SIGKILL at the n-th
point; points stand before and after every commit of the operation.  So each time the outside
world has changed and the database does not know it yet, and the other way round, is a point.
With CANCEL=1 the operation is cancelled before its last step, so that points of the way back come
after those of the way there.
"""

if __name__ == "__main__":
    from ovcadmin import green

    green.patch()

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from ovcadmin.engine.run import Run
from ovcadmin.models import Operation
from ovcadmin.work import Work

logger = structlog.get_logger(__name__)

AT = int(os.environ.get("AT", "0"))
CRASHES = os.environ.get("CRASHES", "machine.create")
CANCEL = os.environ.get("CANCEL") == "1"


class CrashingRun(Run):
    """Counts the points of one operation, and dies at the one that was asked for."""

    passed = 0

    @contextmanager
    def writing(self) -> Iterator[tuple[Work, Operation]]:
        if CANCEL and self.type.name == CRASHES:
            self._cancel()
        with super().writing() as pair:
            yield pair
            self._point()
        self._point()

    def execute(self) -> None:
        super().execute()
        if self.type.name == CRASHES:
            logger.info("points.passed", points=self.passed)

    def progress(self, part: float) -> None:
        """Say nothing of a create: how often it would depends on time, and so would the points.

        A step of one that is cancelled would notice in its middle, too.
        """
        if CRASHES != "machine.create":
            super().progress(part)

    def _cancel(self) -> None:
        if self._position == len(self.type.steps) - 2:
            with self.database.writing() as session:
                operation = session.get_one(Operation, self.operation_id)
                operation.cancel_at = operation.cancel_at or operation.created_at

    def _point(self) -> None:
        if self.type.name != CRASHES:
            return
        self.passed += 1
        if self.passed == AT:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from ovcadmin.config import Settings
    from ovcadmin.worker.main import run

    run(Settings.from_file(Path(sys.argv[1])), make_run=CrashingRun)

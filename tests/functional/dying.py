"""A process that runs one operation and is killed at a chosen point of it.

Points stand before and after every commit: so the storage has changed and the database does not
know it yet, and the other way round.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from typing import Any

import ovcadmin.operations  # noqa: F401 - declares the types
from ovcadmin.config import Settings
from ovcadmin.engine import store
from ovcadmin.engine.run import Outside, Run
from ovcadmin.models import Operation, utcnow
from ovcadmin.models.database import Database
from ovcadmin.work import Work

LEASE = timedelta(minutes=1)
ATTEMPT_SECONDS = 120
AMID = 0
"""The point at which bytes have begun to move."""


class DyingRun(Run):
    """Dies by SIGKILL at point `at`."""

    at = 0
    passed = 0

    def progress(self, part: float) -> None:
        if self.at == AMID:
            os.kill(os.getpid(), signal.SIGKILL)
        super().progress(part)

    @contextmanager
    def writing(self) -> Iterator[tuple[Work, Operation]]:
        with super().writing() as pair:
            yield pair
            self._point()
        self._point()

    def _point(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(
    settings: Settings, make_outside: Callable[..., Outside], given: tuple[Any, ...], at: int
) -> None:
    """Claim what waits longest and run it; what runs in the new process."""
    database = Database(settings.database_url)
    with database.writing() as session:
        claimed = store.claim(session, "dying", utcnow(), LEASE)
        assert claimed is not None
    run = DyingRun(database, settings, make_outside(*given), claimed)
    run.at = at
    run.execute()


def killed_at(
    settings: Settings, make_outside: Callable[..., Outside], given: tuple[Any, ...], at: int
) -> bool:
    """Return whether the process came to that point; else it has done its work."""
    context = get_context("forkserver")
    # Children of a process that has loaded everything and has no thread.
    context.set_forkserver_preload([make_outside.__module__])
    process = context.Process(target=attempt, args=(settings, make_outside, given, at))
    process.start()
    process.join(ATTEMPT_SECONDS)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0

"""The database, reached from native threads: the hub never waits for it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from gevent.threadpool import ThreadPool

from ovcadmin.config import Settings
from ovcadmin.models.database import Database
from ovcadmin.services import changes
from ovcadmin.work import SYSTEM, Actor, Work

T = TypeVar("T")

THREADS = 4


class Records:
    """Runs short jobs on the database and hands back plain values, never rows."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.settings = settings
        self._database = database
        self._threads = ThreadPool(THREADS)
        self._watch = changes.watch(database, pause=time.sleep)
        self._watcher = ThreadPool(1)

    def read(self, job: Callable[[Work], T]) -> T:
        def run() -> T:
            with self._database.reading() as db:
                return job(self._work(db, SYSTEM, ""))

        return _apply(self._threads, run)

    def write(self, job: Callable[[Work], T], *, actor: Actor = SYSTEM, request_id: str = "") -> T:
        """Run the job in one transaction: it is committed unless the job raises."""

        def run() -> T:
            with self._database.writing() as db:
                return job(self._work(db, actor, request_id))

        return _apply(self._threads, run)

    def wait_for_change(self, seconds: float) -> None:
        """Return when something was committed, or after `seconds`."""
        _apply(self._watcher, lambda: self._watch.wait(seconds))

    def close(self) -> None:
        self._database.dispose()

    def _work(self, db: Any, actor: Actor, request_id: str) -> Work:
        return Work(
            db=db,
            actor=actor,
            settings=self.settings,
            request_id=request_id or uuid.uuid4().hex,
        )


def _apply(threads: ThreadPool, job: Callable[[], T]) -> T:
    """Run the job in a thread.  Errors travel as values: gevent would print each of them."""

    def guarded() -> tuple[T | None, BaseException | None]:
        try:
            return job(), None
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            return None, error

    value, error = threads.apply(guarded)
    if error is not None:
        raise error
    return value  # type: ignore[no-any-return]

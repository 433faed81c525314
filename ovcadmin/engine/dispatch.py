"""Telling workers that an operation waits.  A lost word costs a poll, never an operation.

The row is the message, so whatever carries the word may lose it, double it or be late.  The
database itself always carries it: on PostgreSQL a NOTIFY that is part of the transaction, so it is
heard exactly when the row can be seen; on SQLite the workers watch `PRAGMA data_version`, which
changes with every commit of another connection and costs a few microseconds to read.  With the
carrier `celery` the word goes through a broker (engine/broker), to the workers of one host group.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ovcadmin.models import Operation
from ovcadmin.models.database import Database, leave_word, wake

CHANNEL = "ovc_operation"
ANY_GROUP = ""
"""Of operations that are still to be placed, or touch no host: every worker may run them."""
SQLITE_POLL_SECONDS = 0.02
FALLBACK_SECONDS = 1.0
"""However deaf the carrier is, the queue is looked at this often."""


def tell(session: Session, *operations: Operation) -> None:
    """Wake the workers when the present transaction commits: those who may run the operations."""
    wake(session, CHANNEL)
    for operation in operations:
        leave_word(session, operation.host.worker_group if operation.host else ANY_GROUP)


class Watch:
    """Waits until something was committed that may concern `channel`, or a time has passed."""

    def __init__(self, database: Database, channel: str, *, pause: Callable[[float], None]) -> None:
        self._database = database
        self._channel = channel
        self._pause = pause
        self._connection: PoolProxiedConnection | None = None
        self._version = -1

    def wait(self, seconds: float = FALLBACK_SECONDS) -> None:
        """Return when a commit was noticed, or after `seconds`."""
        connection = self._connect()
        try:
            if self._database.is_sqlite:
                self._wait_sqlite(connection, seconds)
            else:
                self._wait_postgresql(connection, seconds)
        except (SQLAlchemyError, sqlite3.Error, psycopg.Error):
            # The connection may be dead; the next wait opens another one.
            self.close()
            self._pause(min(seconds, 1.0))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _connect(self) -> PoolProxiedConnection:
        if self._connection is None:
            self._connection = self._database.read.raw_connection()
            if not self._database.is_sqlite:
                driver: Any = self._connection.driver_connection
                driver.autocommit = True
                driver.execute(f"LISTEN {self._channel}")
        return self._connection

    def _wait_sqlite(self, connection: PoolProxiedConnection, seconds: float) -> None:
        driver: Any = connection.driver_connection
        waited = 0.0
        while waited < seconds:
            (version,) = driver.execute("PRAGMA data_version").fetchone()
            if version != self._version:
                self._version = version
                return
            self._pause(SQLITE_POLL_SECONDS)
            waited += SQLITE_POLL_SECONDS

    def _wait_postgresql(self, connection: PoolProxiedConnection, seconds: float) -> None:
        driver: Any = connection.driver_connection
        for _ in driver.notifies(timeout=seconds, stop_after=1):
            return

"""Engines and sessions on SQLite (embedded) and PostgreSQL (production).

SQLite: a deferred transaction that reads and then writes fails at once with "database is locked"
when another process wrote in between, and no busy time-out helps.  So every transaction that may
write begins with BEGIN IMMEDIATE; pages that only read use a second engine, whose snapshot reads
never wait for a writer.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from ovcadmin.models import use
from ovcadmin.models.base import utcnow
from ovcadmin.models.records import Change

AWAY = (OperationalError, InterfaceError, PoolExhausted)
"""What is raised while the database cannot be reached: nothing can be recorded then."""

_FULL = "53100"
BUSY_SECONDS = 10
"""How long a writer waits for its turn on SQLite before it gives up."""
STALLED = 10
"""Seconds after which PostgreSQL ends a transaction whose process does nothing: one that is
frozen would otherwise keep its locks from everybody."""
_BUSY_MILLISECONDS = 20
_FED = ("kind", "object_id", "pool_id")
_FEED_ROWS = insert(Change.__table__)  # type: ignore[arg-type]
_FEED = """
    WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(5486001), {})
    INSERT INTO change (at, kind, object_id, pool_id)
    SELECT :at, row.* FROM turn, unnest(
        CAST(:kind AS varchar[]), CAST(:object_id AS bigint[]), CAST(:pool_id AS bigint[])
    ) AS row
"""
"""All rows of a transaction in one statement: others wait until it is committed."""
_NEWEST = select(Change.sequence).order_by(Change.sequence.desc()).limit(1)
"""Made once: every page asks, and making it takes as long as the answer."""
_TURN_SECONDS = 0.003


def is_full(error: BaseException) -> bool:
    """Whether the disk of the database has no room for what was to be written.

    SQLite takes the whole transaction back by itself then: what is raised last may be that there
    is no savepoint any more.
    """
    seen: BaseException | None = error
    while seen is not None:
        if getattr(seen, "sqlite_errorname", "") == "SQLITE_FULL":
            return True
        if getattr(seen, "sqlstate", "") == _FULL:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


class Database:
    """The engines of one process: `read` for what only looks, `write` for everything else."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = make_url(url)
        self.told: Callable[[Iterable[str]], None] = lambda _: None
        """Gets the words of a transaction (`leave_word`) once it is committed; must not wait."""
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self.write = _sqlite_engine(url, begin="BEGIN IMMEDIATE", pool_size=pool_size)
            self.read = _sqlite_engine(url, begin="BEGIN", pool_size=pool_size)
        else:
            self.write = self.read = create_engine(
                url,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                connect_args={"options": f"-c idle_in_transaction_session_timeout={STALLED}s"},
            )

    def session(self, *, write: bool) -> Session:
        """Return a new session; a writing one puts its changes into the change feed."""
        return _Session(self, write=write)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One short write transaction: commits at the end, rolls back when raised through."""
        with self.session(write=True) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self.session(write=False) as session:
            yield session

    def dispose(self) -> None:
        self.write.dispose()
        self.read.dispose()


class _Session(Session):
    """A session that counts use, feeds the readers of changes, and passes words on."""

    def __init__(self, database: Database, *, write: bool) -> None:
        super().__init__(database.write if write else database.read, expire_on_commit=False)
        self.database = database


def announce(session: Session, kind: str, object_id: int, pool_id: int) -> None:
    """Put the object into the change feed of this transaction, once."""
    session.info.setdefault("changes", {})[(kind, object_id)] = pool_id


def wake(session: Session, channel: str) -> None:
    """Notify those that listen to the channel when this transaction commits; PostgreSQL only."""
    session.info.setdefault("channels", set()).add(channel)


def settle(session: Session) -> None:
    """Count what this transaction changed of the pools' use, so that it can be read and decided on.

    Takes the lock of `models.use`; at the end of each transaction it happens by itself.
    """
    for pool_id in use.settle(session):
        announce(session, "pool", pool_id, pool_id)


def _publish(session: Session) -> None:
    """Write the feed's rows at the very end of the transaction.

    PostgreSQL hands out sequence numbers before commit, so a reader that follows the highest
    number could pass by a row that commits later.  The advisory lock makes the order of numbers
    the order of commits; it is held only from here to the commit.
    """
    changes = session.info.pop("changes", {})
    channels = session.info.pop("channels", set()) | ({"ovc_change"} if changes else set())
    if not channels:
        return
    session.flush()
    rows = [
        {"kind": kind, "object_id": object_id, "pool_id": pool_id}
        for (kind, object_id), pool_id in changes.items()
    ]
    if dialect_of(session) == "postgresql":
        told = ", ".join(f"pg_notify('{channel}', '')" for channel in sorted(channels))
        if rows:
            lists = {name: [row[name] for row in rows] for name in _FED}
            session.connection().execute(_feed(told), {"at": utcnow(), **lists})
        else:
            session.connection().exec_driver_sql(f"SELECT {told}")
    elif rows:
        session.connection().execute(_FEED_ROWS, rows)


def _pass_on(session: _Session) -> None:
    words = session.info.pop("words", ())
    if words:
        session.database.told(words)


# For all sessions at once: to listen to each of them takes longer than some of its statements.
event.listen(_Session, "after_transaction_create", use.begun)
event.listen(_Session, "after_soft_rollback", use.undone)
event.listen(_Session, "before_commit", settle)
event.listen(_Session, "before_commit", _publish)
event.listen(_Session, "after_commit", _pass_on)


@cache
def _feed(told: str) -> TextClause:
    return text(_FEED.format(told))


def latest_change(session: Session) -> int:
    """Return the feed's highest sequence number, 0 when it is empty."""
    return session.scalar(_NEWEST) or 0


def _sqlite_engine(url: str, *, begin: str, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
        # Let SQLAlchemy's begin event say BEGIN, not the driver's own guess.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_SECONDS * 1000 if begin == 'BEGIN' else _BUSY_MILLISECONDS}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        _begin(connection, begin)

    return engine


def _begin(connection: Connection, statement: str) -> None:
    """Begin, as soon as no other writer is at work.

    SQLite's own busy handler would hold up every greenlet of a green process; this sleep only
    holds up the one that waits.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    deadline = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < deadline:
        try:
            driver.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY":
                raise
            time.sleep(_TURN_SECONDS)
        else:
            return
    connection.exec_driver_sql(statement)  # the last attempt: its error is SQLAlchemy's own


def dialect_of(session: Session) -> str:
    return session.get_bind().dialect.name


def leave_word(session: Session, word: str) -> None:
    """Have the word passed on when the transaction is committed, once."""
    session.info.setdefault("words", {})[word] = None


def take_turns(session: Session, number: int) -> None:
    """Let no other transaction that takes this turn run beside this one, until it ends."""
    if dialect_of(session) == "postgresql":
        session.connection().exec_driver_sql(f"SELECT pg_advisory_xact_lock({number:d})")


def lock_rows(session: Session, statement: Any, of: Any) -> Any:
    """Lock the rows of `of` where row locks exist; under SQLite the write lock is held anyway.

    FOR NO KEY UPDATE: an insert that refers to the row takes a key share lock on it, which a
    plain FOR UPDATE would wait for, and two such transactions would wait for each other.
    """
    if dialect_of(session) != "postgresql":
        return statement
    return statement.with_for_update(key_share=True, of=of)

"""Tables as `ovcadmin init` makes them, copied: the migrations take two seconds.

Each test process runs them once for each kind of database.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

from ovcadmin.config import Settings
from ovcadmin.manage import schema
from ovcadmin.models.database import Database
from ovcadmin.services import knowledge_search
from ovcadmin.work import SYSTEM, Work

PATTERN = "prepared"
"""The database of a PostgreSQL cluster that the others are copied from."""


def fill(url: str) -> None:
    """Put the tables, and the index of the knowledge base, into a database that has none."""
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        _fill_file(Path(where.database or ""))
    else:
        _fill_database(where)


def make_tables(url: str) -> None:
    """Put the tables alone into a database that has none."""
    where = make_url(url)
    if where.get_backend_name() == "sqlite" and not Path(where.database or "").exists():
        _write(Path(where.database or ""), _tables())
        return
    database = Database(url, pool_size=1)
    schema.upgrade(database)
    database.dispose()


def _fill_file(path: Path) -> None:
    if not path.exists():
        _write(path, _file())


def _write(path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)


@cache
def _tables() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "prepared.db")
        database = Database(f"sqlite:///{path}", pool_size=1)
        schema.upgrade(database)
        database.dispose()
        return path.read_bytes()


@cache
def _file() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "prepared.db")
        _make(f"sqlite:///{path}")
        return path.read_bytes()


def _fill_database(where: URL) -> None:
    server = f"host={where.query['host']} user={where.username} dbname="
    with psycopg.connect(f"{server}{where.database}") as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() != (None,):
            return
    with psycopg.connect(f"{server}postgres", autocommit=True) as connection:
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(known, [PATTERN]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {PATTERN}".encode())
            _make(where.set(database=PATTERN).render_as_string(hide_password=False))
        connection.execute(f"DROP DATABASE {where.database}".encode())
        connection.execute(f"CREATE DATABASE {where.database} TEMPLATE {PATTERN}".encode())


def _make(url: str) -> None:
    make_tables(url)
    database = Database(url, pool_size=1)
    with database.writing() as session:
        settings = Settings.from_mapping({"ovc.data_dir": "/nonexistent", "ovc.database_url": url})
        knowledge_search.refresh(Work(db=session, actor=SYSTEM, settings=settings))
    database.dispose()

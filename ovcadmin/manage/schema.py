"""The tables of the database: brought up to date, and checked against what the code declares."""

from __future__ import annotations

import fcntl
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command, util
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

import ovcadmin.models
from ovcadmin.config import Settings
from ovcadmin.errors import Conflict
from ovcadmin.models.database import Database

MIGRATIONS = Path(ovcadmin.models.__file__).parent / "migrations"
_ADVISORY = 5486002


def upgrade(database: Database) -> str:
    """Bring the tables up to date, in one transaction; return the revision."""
    with database.write.begin() as connection, _one_root_is_known():
        if not database.is_sqlite:  # two machines at once; SQLite's write lock does the same
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY})")
        command.upgrade(_config(connection), "head")
        return revision(connection)


def ensure_current(database: Database) -> None:
    """Raise `Conflict` unless the database is at the revision that this code wants."""
    path = database.url.database if database.is_sqlite else None
    if path is not None and not Path(path).exists():
        found = ""
    else:
        try:
            with database.read.connect() as connection:
                found = revision(connection)
        except OperationalError as error:
            raise Conflict(f"The database cannot be opened: {error.orig}.") from error
    wanted = head()
    if found != wanted:
        raise Conflict(
            f"The database is at revision {found or 'none'}, this version needs {wanted}. "
            "Run `ovcadmin init` with the same settings file.",
            found=found,
            wanted=wanted,
        )


def differences(database: Database) -> str:
    """Say where the tables differ from the declarations; empty when they agree."""
    with database.write.begin() as connection, _one_root_is_known():
        try:
            command.check(_config(connection))
        except util.CommandError as error:
            return str(error)
    return ""


def revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def head() -> str:
    script = ScriptDirectory(str(MIGRATIONS))
    return script.get_current_head() or ""


def make_revision(database: Database, message: str) -> None:
    """Write a migration from what the tables and the declarations differ in."""
    with database.write.begin() as connection:
        command.revision(_config(connection), message=message, autogenerate=True)


@contextmanager
def one_at_a_time(settings: Settings) -> Iterator[None]:
    """Let only one `init` of this data directory work; others wait."""
    with (settings.data_dir / "init.lock").open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _one_root_is_known() -> Iterator[None]:
    """SQLite cannot tell of the index that allows one root pool; a test holds that one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*expression-based index.*")
        yield


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection}, stdout=io.StringIO())
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config

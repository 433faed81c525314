"""A throw-away PostgreSQL cluster: no network port, no care for power failures."""

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.rig.base import private_directory, spawn, wait_until

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "synchronous_commit": "off",
    "wal_level": "minimal",
}


class PostgresServer:
    """A running cluster; `directory` holds its socket."""

    def __init__(self, directory: Path, user: str) -> None:
        self.directory = directory
        self._socket = f"host={directory} user={user} dbname=postgres"
        self._place = f"postgresql+psycopg://{user}@/{{}}?host={directory}"
        self._numbers = itertools.count(1)

    def answers(self) -> bool:
        try:
            psycopg.connect(self._socket, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def new_database(self) -> str:
        """Make an empty database; its address in SQLAlchemy's form."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self._socket, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._place.format(name)


def _tool(name: str) -> str:
    """Debian keeps the server's programs off the path, a directory for each version."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: p.parts[4])
    found = str(newest[-1]) if newest else shutil.which(name)
    if not found:
        raise FileNotFoundError(f"{name} of PostgreSQL is not installed")
    return found


@contextmanager
def postgres(**settings: str) -> Iterator[PostgresServer]:
    """A cluster of our own; it refuses to run as root and then runs as `postgres`.

    Settings of the server replace those of `SETTINGS`.
    """
    as_root = os.geteuid() == 0
    user = "postgres" if as_root else None
    with private_directory("pg") as directory:
        if as_root:
            shutil.chown(directory, "postgres")
        data = directory / "data"
        initdb = (
            f"{_tool('initdb')} -D {data} -A trust -U tester -E UTF8 --locale=C.UTF-8 --no-sync"
        )
        subprocess.run(
            initdb.split(), check=True, capture_output=True, cwd="/",
            user=user, group=user, extra_groups=[] if user else None,
        )  # fmt: skip
        options = [f"--{name}={value}" for name, value in (SETTINGS | settings).items()]
        server = spawn(
            _tool("postgres"), "-D", data, "-k", directory, *options,
            log=directory / "log", user=user, death="QUIT",
        )  # fmt: skip
        try:
            running = PostgresServer(directory, "tester")
            wait_until(running.answers, "PostgreSQL", log=directory / "log")
            yield running
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing in it is worth a clean end
            server.wait(20)

"""A console of its own for a test: settings, database, and worker processes on it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

import ovcadmin.operations  # noqa: F401 - declares every operation type
from ovcadmin.config import Settings
from ovcadmin.engine.broker import Post
from ovcadmin.manage import first_run
from ovcadmin.models import ENDED, Operation
from ovcadmin.models.database import Database
from ovcadmin.services import people
from ovcadmin.services import setup as first
from ovcadmin.work import Actor, Work
from tests.rig import database
from tests.rig.base import ROOT, TEMPLATES, spawn, wait_until
from tests.rig.nursery import bear

BUSY = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"""
"""How many other connections are in the middle of something; PostgreSQL."""


class Process:
    """A process of the console; `log` is what it said."""

    def __init__(self, command: Sequence[str | Path], log: Path, **environment: str) -> None:
        self.path = log
        self._before = len(self.log) if log.exists() else 0
        values = [f"{name}={value}" for name, value in environment.items()]
        self._popen = bear(command, log, environment) or spawn(
            "env", f"PYTHONPATH={ROOT}", *values, *command, log=log
        )

    @property
    def log(self) -> str:
        return self.path.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._popen.poll()

    def said(self, text: str, seconds: float = 120) -> None:
        """Wait until this process says the text; others may have written to the same log before."""
        wait_until(lambda: text in self.log[self._before :], f"“{text}” in {self.path}", seconds)

    def forget(self) -> None:
        """What was said until now is no answer to `said` any more."""
        self._before = len(self.log)

    def freeze(self) -> None:
        self._popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._popen.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """What a power failure does to it."""
        self._popen.kill()
        self._popen.wait()

    def stop(self, seconds: float = 20) -> int:
        """Ask it to stop, and wait until it has; return the exit code."""
        self.ask_to_stop()
        return self._popen.wait(seconds)

    def ask_to_stop(self) -> None:
        self._popen.terminate()


class Console:
    """A prepared database with its settings file; its processes end with the context."""

    def __init__(self, directory: Path, database_url: str, **settings: object) -> None:
        self.directory = directory
        self.ini = directory / "console.ini"
        values = {
            "data_dir": directory / "data",
            "template_dir": TEMPLATES,
            "database_url": database_url.replace("%", "%%"),
            "local_host": "none",
            "operation_lease_seconds": 2,
            "stop_seconds": 2,
            **settings,
        }
        lines = [f"ovc.{name} = {value}" for name, value in values.items()]
        self.ini.write_text("[app:main]\nuse = egg:ovcadmin\n" + "\n".join(lines) + "\n")
        self.settings = Settings.from_file(self.ini)
        database.fill(database_url)
        self.password = first_run.initialise(self.settings)
        self.database = Database(self.settings.database_url)
        if self.settings.dispatch == "celery":
            self.database.told = Post(self.settings).send
        self.processes: list[Process] = []

    def start(self, *command: str | Path, **environment: str) -> Process:
        log = self.directory / f"process-{len(self.processes) + 1}.log"
        process = Process(command, log, **environment)
        self.processes.append(process)
        return process

    def worker(self, *command: str | Path, ini: Path | None = None, **environment: str) -> Process:
        """Start a worker, ours or the one of a test's own command, and wait until it works."""
        words = command or ("-m", "ovcadmin.worker")
        process = self.start(sys.executable, *words, ini or self.ini, **environment)
        process.said("worker.up")
        return process

    def variant(self, name: str, **settings: object) -> Path:
        """Return another settings file, as of another machine with the same database."""
        path = self.directory / f"{name}.ini"
        mine = self.ini.read_text().splitlines()
        kept = [
            line for line in mine if line.partition(" =")[0].removeprefix("ovc.") not in settings
        ]
        lines = [f"ovc.{key} = {value}" for key, value in settings.items()]
        path.write_text("\n".join(kept + lines) + "\n")
        return path

    def freeze(self, process: Process) -> None:
        """Freeze a process while it holds nothing that the others need to go on.

        SQLite has one lock for all: who is frozen while it writes stops everybody.  PostgreSQL
        ends the connection of who is frozen in a transaction.
        """
        while True:
            process.freeze()
            if self._is_free():
                return
            process.thaw()
            wait_until(self._is_free, "a moment in which nobody writes")

    def _is_free(self) -> bool:
        try:
            with self.database.write.begin() as connection:
                busy = "SELECT 0" if self.database.is_sqlite else BUSY
                return not connection.scalar(text(busy))
        except OperationalError:
            return False

    @contextmanager
    def work(self, *, write: bool = False) -> Iterator[Work]:
        """One transaction, acting as the administrator."""
        with self.database.writing() if write else self.database.reading() as session:
            system = Work(
                db=session,
                actor=Actor(user_id=None, name="test", door="system"),
                settings=self.settings,
            )
            user = people.find(system, first.ADMINISTRATOR)
            assert user is not None
            actor = Actor(user_id=user.id, name="admin@internal", door="api")
            yield Work(db=session, actor=actor, settings=self.settings)

    def operation(self, operation_id: int) -> Operation:
        with self.work() as work:
            found = work.db.get_one(Operation, operation_id)
            _ = found.steps, found.log
            return found

    def ended(self, operation_id: int, seconds: float = 30) -> Operation:
        """Wait for the operation's end and return it."""
        wait_until(
            lambda: self.operation(operation_id).state in ENDED,
            f"the end of operation {operation_id}",
            seconds,
        )
        return self.operation(operation_id)

    def close(self) -> None:
        left = [process for process in self.processes if process.code is None]
        for process in left:
            process.thaw()
            process.ask_to_stop()
        for process in left:
            if process.code is None:
                try:
                    process.stop(5)
                except subprocess.TimeoutExpired:
                    process.kill()
        self.database.dispose()


@contextmanager
def console(directory: Path, database_url: str, **settings: object) -> Iterator[Console]:
    made = Console(directory, database_url, **settings)
    try:
        yield made
    finally:
        made.close()

"""The local command `ovcadmin`, as an administrator types it."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from ovcadmin.config import Settings
from ovcadmin.models import Grant, User
from ovcadmin.models.database import Database
from ovcadmin.services import people, second_factors, sessions, super_admins
from ovcadmin.work import SYSTEM, Work
from tests.rig.articles import blocks, body, commands
from tests.rig.base import ROOT, TEMPLATES, spawn, wait_until
from tests.rig.database import fill
from tests.rig.network import free_port
from tests.rig.ovcadmin import ovcadmin

KINDS = ("gateway", "web", "worker")


class Machine:
    """A machine with a settings file on it, and the command."""

    def __init__(self, directory: Path, database_url: str) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.ini = directory / "ovcadmin.ini"
        self.front = free_port()
        self.ini.write_text(
            "[app:main]\n"
            "use = egg:ovcadmin\n"
            f"ovc.data_dir = {self.data}\n"
            f"ovc.template_dir = {TEMPLATES}\n"
            f"ovc.database_url = {database_url}\n"
            f"ovc.gateway_listen = 127.0.0.1:{self.front}\n"
            "ovc.gateway_front = true\n"
            f"ovc.web_listen = 127.0.0.1:{free_port()}\n"
            "ovc.local_host = none\n"
        )
        self.log = directory / "serve.log"
        self.started: list[subprocess.Popen[bytes]] = []

    def run(self, *words: str, fails: bool = False) -> str:
        """Run `ovcadmin WORDS` with INI in the place of `-`; return all that it said."""
        code, said = ovcadmin(*(self.ini if word == "-" else word for word in words))
        assert (code != 0) == fails, said
        assert "Traceback" not in said
        return said

    def serve(self) -> subprocess.Popen[bytes]:
        process = spawn(
            "env", f"PYTHONPATH={ROOT}",
            sys.executable, "-m", "ovcadmin.manage.main", "serve", self.ini, log=self.log,
        )  # fmt: skip
        self.started.append(process)
        self.said("OpenvCloud is served on")
        wait_until(lambda: len(self.up()) == 3, "all three up", 90)
        return process

    def said(self, text: str, seconds: float = 60) -> None:
        wait_until(lambda: text in self.log.read_text(), f"“{text}” in {self.log}", seconds)

    def up(self) -> dict[str, int]:
        """Kinds of the processes that are up by `ovcadmin status`, with their pids."""
        code, said = ovcadmin("status", self.ini)
        found = {
            kind: int(pid) for kind, pid in re.findall(r"^(\w+) +up +(\d+)", said, re.MULTILINE)
        }
        assert (code == 0) == (set(found) == set(KINDS)), said
        return found

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                process.wait(30)


@pytest.fixture
def machine(tmp_path: Path, sqlite_url: str) -> Iterator[Machine]:
    made = Machine(tmp_path, sqlite_url)
    yield made
    made.close()


@pytest.fixture
def prepared(machine: Machine, sqlite_url: str) -> Machine:
    fill(sqlite_url)
    machine.run("init", "-")
    return machine


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def ended(process: psutil.Process) -> bool:
    """Whether it ended, buried or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_init_prints_the_password_once_and_keeps_everything_private(machine: Machine) -> None:
    first = machine.run("init", "-")
    assert f"http://localhost:{machine.front}" in first
    assert re.search(r"User: +admin\nPassword: +\S{12,}", first)
    assert stat.S_IMODE(machine.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((machine.directory / "ovcadmin.db").stat().st_mode) == 0o600
    again = machine.run("init", "-")
    assert "Password" not in again


def test_init_is_safe_many_times_at_once(tmp_path: Path, database_url: str) -> None:
    machine = Machine(tmp_path, database_url)
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: machine.run("init", "-"), range(4)))
    assert sum("Password" in text for text in said) == 1
    assert "as this version declares them" in machine.run("db", "check", "-")


def test_commands_say_what_to_do_before_the_first_init(machine: Machine) -> None:
    for words in (("serve", "-"), ("status", "-"), ("token", "create", "-", "admin", "t")):
        assert "Run `ovcadmin init`" in machine.run(*words, fails=True)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("ovc.no_such = 1", "ovc.no_such is no setting"),
        ("ovc.web_threads = ٣x", "ovc.web_threads = ٣x"),
        ("ovc.web_threads = 0", "must be between 1 and 64"),
        ("ovc.starter_image = x\novc.log_level = loud", "must be one of debug, info"),
        ("ovc.public_url = cloud.example.org", "must look like https://"),
    ],
)
def test_a_bad_setting_stops_the_start_with_its_name(
    machine: Machine, line: str, complaint: str
) -> None:
    with machine.ini.open("a") as file:
        file.write(line + "\n")
    for command in ("init", "worker"):
        assert complaint in machine.run(command, "-", fails=True)


@pytest.mark.requirement("OVC-01")
def test_serve_runs_all_three_restarts_what_dies_and_leaves_nothing(prepared: Machine) -> None:
    process = prepared.serve()
    before = prepared.up()
    os.kill(before["worker"], signal.SIGKILL)
    prepared.said("worker ended with signal SIGKILL")
    wait_until(
        lambda: prepared.up().get("worker", before["worker"]) != before["worker"],
        "another worker", 30,
    )  # fmt: skip
    after = prepared.up()
    assert (after["web"], after["gateway"]) == (before["web"], before["gateway"])

    children = family(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    assert all(ended(child) for child in children)
    assert "Traceback" not in prepared.log.read_text()
    assert prepared.up() == {}
    # And again, at once: nothing holds the ports or the data directory.
    prepared.log.unlink()
    prepared.serve()


def test_serve_refuses_to_serve_the_same_data_twice(prepared: Machine) -> None:
    process = prepared.serve()
    assert f"by process {process.pid}" in prepared.run("serve", "-", fails=True)
    assert len(prepared.up()) == 3


def test_serve_names_the_address_that_another_program_has(prepared: Machine) -> None:
    with socket.create_server(("127.0.0.1", prepared.front)):
        said = prepared.run("serve", "-", fails=True)
    assert f"127.0.0.1:{prepared.front} (ovc.gateway_listen): Address already in use" in said
    assert "Traceback" not in said
    prepared.serve()


def test_a_killed_serve_takes_its_children_with_it(prepared: Machine) -> None:
    process = prepared.serve()
    children = family(process)
    assert len(children) >= 3
    process.kill()
    wait_until(lambda: all(ended(child) for child in children), "the children's end")


def test_status_knows_a_dead_process_before_its_silence_is_noticed(prepared: Machine) -> None:
    process = prepared.serve()
    first = psutil.Process(process.pid)
    first.suspend()  # it would make new ones; and without it they would leave in good order
    every = [*family(process), first]
    for one in every:
        one.kill()
    wait_until(lambda: all(ended(one) for one in every), "the end of all")
    said = prepared.run("status", "-", fails=True)
    assert len(re.findall(r"^\w+ +dead", said, re.MULTILINE)) == 3


def test_whoever_stands_at_the_machine_lets_somebody_in(prepared: Machine) -> None:
    rescue = ("user", "rescue", "-", "anna", "--password")
    assert "Use 10 to" in prepared.run(*rescue, "x", fails=True)
    assert "anna can sign in and is Super Admin" in prepared.run(*rescue, "correct horse")
    settings = Settings.from_file(prepared.ini)
    database = Database(settings.database_url)

    def anna(work: Work) -> User:
        found = people.find(work, "anna")
        assert found is not None
        return found

    with database.writing() as session:
        work = Work(db=session, actor=SYSTEM, settings=settings)
        key = sessions.begin(work, anna(work))
        second_factors.begin(work, anna(work))
        people.set_disabled(work, anna(work), disabled=True)
        for way in super_admins.ways(work):
            session.delete(session.get_one(Grant, way.grant_id))
        assert super_admins.ways(work) == []
    prepared.run(*rescue, "battery staple")
    prepared.run(*rescue, "battery staple")
    with database.reading() as session:
        work = Work(db=session, actor=SYSTEM, settings=settings)
        assert [way.user_id for way in super_admins.ways(work)] == [anna(work).id]
        assert people.proves(anna(work).password_hash, "battery staple")
        assert sessions.by_key(work, key) is None
    database.dispose()


def test_accounts_and_tokens_are_made_on_the_machine_itself(prepared: Machine) -> None:
    prepared.run(
        "user", "add", "-", "anna", "--password", "correct horse", "--display-name", "Anna"
    )
    assert "already a user Anna" in prepared.run(
        "user", "add", "-", "Anna", "--password", "correct horse", fails=True
    )
    assert "Use 10 to" in prepared.run(
        "user", "password", "-", "anna", "--password", "x", fails=True
    )
    prepared.run("user", "password", "-", "anna", "--password", "battery staple")
    assert prepared.run("token", "create", "-", "anna", "laptop").startswith("ovc_")
    assert "no local account nobody" in prepared.run(
        "token", "create", "-", "nobody", "laptop", fails=True
    )
    assert "What is held is what the machines hold" in prepared.run("quota", "check", "-")


@pytest.mark.timeout(400)
@pytest.mark.requirement("NEW-08")
def test_the_article_on_backup_brings_a_console_back(tmp_path: Path, database_url: str) -> None:
    machine = Machine(tmp_path, database_url)
    machine.run("init", "-")
    machine.run("user", "add", "-", "anna", "--password", "correct horse")
    names = {"/etc/ovcadmin.ini": "-"}
    if database_url.startswith("sqlite"):
        names["var/ovcadmin.db"] = database_url.removeprefix("sqlite:///")
    else:
        found = f"'{database_url.replace('+psycopg', '')}'"
        names |= {"custom ovcadmin >": f"custom {found} >", "-d ovcadmin FILE": f"-d {found} FILE"}
    text = body("administration", "backup", names)
    dump, backup = blocks(text)
    _typed(dump if "pg_dump" in dump and "custom ovcadmin" not in dump else backup, tmp_path)
    (made,) = (*tmp_path.glob("ovcadmin-*.dump"), *tmp_path.glob("ovcadmin-*.db"))
    assert stat.S_IMODE((machine.data / "seal.key").stat().st_mode) == 0o600

    machine.run("user", "add", "-", "berta", "--password", "correct horse")
    if made.suffix == ".dump":
        (restore,) = re.findall(r"`(pg_restore [^`]+)`", text)
        _typed(restore.replace("FILE", str(made)), tmp_path)
    else:
        for more in ("-wal", "-shm"):
            Path(names["var/ovcadmin.db"] + more).unlink(missing_ok=True)
        made.replace(names["var/ovcadmin.db"])
    for command in ("ovcadmin init", "ovcadmin quota check", "ovcadmin audit verify"):
        (words,) = {one for one in commands(text) if one.startswith(command)}
        machine.run(*words.split()[1:])
    assert "already a user anna" in machine.run(
        "user", "add", "-", "anna", "--password", "correct horse", fails=True
    )
    machine.run("user", "add", "-", "berta", "--password", "correct horse")


def _typed(command: str, directory: Path) -> None:
    subprocess.run(["sh", "-ec", command], cwd=directory, check=True, timeout=60)


def test_config_shows_what_is_in_force_and_no_password(machine: Machine) -> None:
    text = machine.ini.read_text()
    machine.ini.write_text(re.sub(r"sqlite://.*", "postgresql+psycopg://ovc:hunter2@db/ovc", text))
    said = machine.run("config", "-")
    assert "hunter2" not in said
    assert "ovc.database_url = postgresql+psycopg://ovc:[hidden]@db/ovc" in said
    assert "ovc.local_host = none" in said

"""Two settings for browsers: pages on a database that the test fills, and the whole console.

`Site` runs the real web and gateway processes; the test writes through the same services into
their database, so that any state can be shown at once.  `Cloud` runs `ovcadmin serve` with a
worker and a real libvirt host.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from playwright.sync_api import Page

from ovcadmin.manage.processes import MODULES
from ovcadmin.models import User
from ovcadmin.services import people
from tests import rig
from tests.functional.world import PASSWORD, World
from tests.rig.base import TEMPLATES, private_directory, spawn, wait_until
from tests.rig.console import Process
from tests.rig.network import free_port

OVCADMIN = Path(sys.executable).with_name("ovcadmin")
INI = """
[app:main]
use = egg:ovcadmin
ovc.data_dir = {directory}
ovc.template_dir = {templates}
ovc.database_url = sqlite:///{directory}/ovcadmin.db
ovc.gateway_listen = 127.0.0.1:{front}
ovc.gateway_front = true
ovc.web_listen = 127.0.0.1:{web}
ovc.log_level = warning
{more}
"""


def sign_in(page: Page, url: str, name: str, password: str) -> None:
    """Sign in as a person does."""
    page.goto(f"{url}/signin")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/signin" not in address)


class Site:
    """Web and gateway on a database of the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"http://127.0.0.1:{free_port()}"
        self.world = World(f"sqlite:///{directory}/ovcadmin.db", directory)
        self.ini = directory / "site.ini"
        self.ini.write_text(
            INI.format(
                templates=TEMPLATES,
                directory=directory,
                front=self.url.rpartition(":")[2],
                web=free_port(),
                more="",
            )
        )
        self._processes = [
            Process((sys.executable, "-m", MODULES[kind], self.ini), directory / f"{kind}.log")
            for kind in ("web", "gateway")
        ]
        wait_until(lambda: answers(self.url), "the site", seconds=120, log=directory / "web.log")

    def close(self) -> None:
        for process in self._processes:
            process.ask_to_stop()
        for process in self._processes:
            process.stop()
        self.world.close()

    def administrator(self) -> User:
        """The first user, with a password that the test knows."""
        with self.world.work() as work:
            user = people.find(work, "admin")
            assert user is not None
            people.set_password(work, user, PASSWORD)
        return user

    def sign_in(self, page: Page, name: str = "admin") -> None:
        if name == "admin":
            self.administrator()
        sign_in(page, self.url, name, PASSWORD)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/signin", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def site() -> Iterator[Site]:
    with private_directory("site") as directory:
        made = Site(directory)
        try:
            yield made
        finally:
            made.close()


class Cloud:
    """The whole console on a real host, after its first run."""

    def __init__(self, url: str, password: str, host: rig.LibvirtHost, pid: int) -> None:
        self.url = url
        self.password = password
        self.host = host
        self._pid = pid

    def kill_gateway(self) -> None:
        """What a crash does to it; the program that serves all starts another."""
        for child in psutil.Process(self._pid).children():
            if "ovcadmin.gateway" in child.cmdline():
                child.kill()

    def sign_in(self, page: Page) -> None:
        sign_in(page, self.url, "admin", self.password)


@contextmanager
def cloud(host: rig.LibvirtHost) -> Iterator[Cloud]:
    with private_directory("cloud") as directory:
        front = free_port()
        more = f"ovc.local_host = {host.uri}\novc.starter_image = {rig.starter_image()}\n"
        ini = directory / "cloud.ini"
        ini.write_text(
            INI.format(
                templates=TEMPLATES, directory=directory, front=front, web=free_port(), more=more
            )
        )
        log = directory / "serve.log"
        first = spawn(OVCADMIN, "init", ini, log=log)
        first.wait(60)
        password = re.search(r"Password:\s*(\S+)", log.read_text())
        assert password, log.read_text()
        process = spawn(OVCADMIN, "serve", ini, log=log, death="TERM")
        url = f"http://127.0.0.1:{front}"
        try:
            wait_until(lambda: answers(url), "the console", seconds=120, log=log)
            yield Cloud(url, password.group(1), host, process.pid)
        finally:
            process.terminate()
            process.wait(90)


_numbers = itertools.count(1)


def free_name(stem: str) -> str:
    """A name that no other test took in this cloud."""
    return f"{stem}-{next(_numbers)}"

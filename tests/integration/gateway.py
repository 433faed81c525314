"""A real gateway process on a database of its own, and people who use it."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import delete, func, select

from ovcadmin.config import Settings
from ovcadmin.domain.states import State
from ovcadmin.drivers.hypervisor.base import DiskSpec, MachineSpec, VirtType
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.models import ConsolePolicy, ConsoleSession, Host, Machine, Pool, Session, User
from ovcadmin.services import consoles, hosts, machine_states, pools, sessions
from ovcadmin.services.setup import ADMINISTRATOR
from ovcadmin.work import Actor, Work
from tests.functional.world import FACTS, World
from tests.rig.base import TEMPLATES, wait_until
from tests.rig.console import Process
from tests.rig.hypervisor import LibvirtHost
from tests.rig.network import free_port
from tests.rig.terminal import Terminal
from tests.rig.websocket import WebSocketClient

OWN = ("-m", "ovcadmin.gateway")
PROMPT = "starter:~# "
"""Of the shell on a guest's serial line."""


@dataclass
class Visitor:
    """A signed-in user."""

    user: User
    key: str
    session_id: int

    def work_actor(self) -> Actor:
        return Actor(
            user_id=self.user.id,
            name=f"{self.user.name}@internal",
            door="page",
            session_id=self.session_id,
        )


class GatewayRig:
    def __init__(self, directory: Path, url: str, **settings: object) -> None:
        self.world = World(url, directory)
        self.directory = directory
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.origin = f"http://127.0.0.1:{self.port}"
        values = {
            "data_dir": directory,
            "template_dir": TEMPLATES,
            "database_url": url.replace("%", "%%"),
            "gateway_listen": f"127.0.0.1:{self.port}",
            "gateway_front": "true",
            "web_listen": f"127.0.0.1:{free_port()}",
            "log_level": "debug",
            **settings,
        }
        self.ini = directory / "gateway.ini"
        self._values = values
        self._set()
        self.terminals: list[Terminal] = []
        self.process: Process

    def _set(self, **changed: object) -> None:
        self._is_changed = bool(changed)
        lines = [f"ovc.{name} = {value}" for name, value in (self._values | changed).items()]
        self.ini.write_text("[app:main]\nuse = egg:ovcadmin\n" + "\n".join(lines) + "\n")
        self.settings = Settings.from_file(self.ini)

    def start(self, *command: str | Path) -> Process:
        self.process = Process(
            (sys.executable, *(command or OWN), self.ini), self.directory / "gateway.log"
        )
        self.process.said("gateway.listening")
        return self.process

    def restart(self, **changed: object) -> None:
        """Start again, with other settings where given."""
        if self.process.code is None:
            self.process.stop()
        self._set(**changed)
        self.start()

    def leave(self) -> None:
        """Make room for the next test: everybody went home and left his name free for others."""
        self._close_terminals()
        if self._is_changed or self.process.code is not None:
            self.restart()
        with self.world.work() as work:
            for row in work.db.scalars(select(Session).where(Session.revoked_at.is_(None))):
                sessions.close(work, row.id)
            for user in work.db.scalars(select(User).where(User.name != ADMINISTRATOR)):
                user.name = user.name_key = f"{user.name}-{user.id}"
            work.db.execute(delete(ConsolePolicy))
        wait_until(lambda: not self._open_consoles(), "the end of all consoles", 30)
        self.process.forget()

    def _open_consoles(self) -> int:
        with self.world.work() as work:
            still = select(func.count(ConsoleSession.id)).where(ConsoleSession.ended_at.is_(None))
            return work.db.scalar(still) or 0

    def _close_terminals(self) -> None:
        for terminal in self.terminals:
            terminal.close()
        self.terminals.clear()

    def close(self) -> None:
        self._close_terminals()
        if self.process.code is None:
            self.process.stop()
        sys.stderr.write(self.process.log)  # pytest shows it when the test failed
        self.world.close()

    @property
    def memory(self) -> int:
        """Private memory of the process, bytes."""
        return int(psutil.Process(self.process.pid).memory_full_info().uss)

    # --- people ---------------------------------------------------------------------------------

    def visitor(self, name: str, role: str = "User", pool: Pool | None = None) -> Visitor:
        return self.sign_in(self.world.user(name, role, pool))

    def sign_in(self, user: User) -> Visitor:
        with self.world.work() as work:
            key = sessions.begin(work, user)
            found = sessions.by_key(work, key)
            assert found is not None
            return Visitor(user=user, key=key, session_id=found.id)

    def ticket(self, visitor: Visitor, machine: Machine) -> str:
        with self.world.database.writing() as session:
            work = Work(db=session, actor=visitor.work_actor(), settings=self.settings)
            return consoles.issue(work, work.db.get_one(Machine, machine.id))

    # --- connections ----------------------------------------------------------------------------

    def socket(self, visitor: Visitor | None, **more: Any) -> WebSocketClient:
        """Open a WebSocket as the visitor's browser does."""
        headers = {"Origin": self.origin}
        if visitor is not None:
            headers["Cookie"] = f"theme=dark; ovc_session={visitor.key}"
        return WebSocketClient(
            self.address, "/live/console", {**headers, **more.pop("headers", {})}, **more
        )

    def terminal(self, visitor: Visitor, number: int = 1, **more: Any) -> Terminal:
        """Open an embedded terminal as the drawer does."""
        with self.world.database.writing() as session:
            work = Work(db=session, actor=visitor.work_actor(), settings=self.settings)
            key = consoles.issue_terminal(work, number)
        terminal = Terminal(self.socket(visitor, **more), ticket=key, kind="terminal")
        self.terminals.append(terminal)
        return terminal

    def enter(
        self, visitor: Visitor, key: str, machine: Machine | None = None, **more: Any
    ) -> Terminal:
        """Come with a ticket; the machine is named where given."""
        named = {"machine": machine.id, "kind": "serial"} if machine else {}
        terminal = Terminal(self.socket(visitor, **more), ticket=key, **named)
        self.terminals.append(terminal)
        return terminal

    def open(self, visitor: Visitor, machine: Machine, **more: Any) -> Terminal:
        """Open a console as the page does."""
        return self.enter(visitor, self.ticket(visitor, machine), machine, **more)

    def at_prompt(self, visitor: Visitor, machine: Machine) -> Terminal:
        """Open a console and press Enter until the guest's shell answers."""
        terminal = self.open(visitor, machine)
        terminal.expect_state("connected", 60)
        terminal.press_enter_until(PROMPT, 120)
        return terminal

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None
    ) -> Answer:
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            with suppress(ConnectionError):  # it may answer before it has heard everything
                connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self.request("GET", path, headers)

    @contextmanager
    def events(
        self, visitor: Visitor | None, path: str = "/live/events", **headers: str
    ) -> Iterator[Events]:
        """Listen to live events as a page does."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if visitor is not None:
            named["Cookie"] = f"ovc_session={visitor.key}"
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        connection.request("GET", path, headers=named)
        response = connection.getresponse()
        try:
            yield Events(response)
        finally:
            response.close()
            connection.close()

    def raw_events(self, visitor: Visitor) -> socket.socket:
        """Ask for live events and read none of them."""
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.connect(self.address)
        head = f"GET /live/events HTTP/1.1\r\nHost: x\r\nCookie: ovc_session={visitor.key}\r\n\r\n"
        made.sendall(head.encode())
        return made

    # --- machines -------------------------------------------------------------------------------

    def host(self, uri: str, name: str = "kvm-a") -> Host:
        with self.world.work() as work:
            made = hosts.enroll(work, pools.root(work), name=name, uri=uri)
            hosts.answered(work, made.id, FACTS)
        return made

    def set_state(self, machine: Machine, state: State) -> None:
        """What the worker writes when it sees or did it."""
        with self.world.work() as work:
            row = work.db.get_one(Machine, machine.id)
            if row.state != state:
                machine_states.enter(work, row, state)


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes


class Events:
    """An open stream of live events."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status

    def next(self) -> dict[str, Any] | None:
        """Return the next event with its name, data and id; None at the end of the stream."""
        found: dict[str, Any] = {}
        for raw in self._response:
            line = raw.decode().rstrip("\n")
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(": ")
                found[name] = json.loads(value) if name == "data" else value
            elif "event" in found:
                return found
            else:
                found = {}
        return None


class Guest:
    """A real guest of a libvirt host, defined as the product does it."""

    def __init__(self, host: LibvirtHost, machine: Machine, image: Path) -> None:
        self.host = host
        self.name = machine.domain_name
        disk = host.images / f"{machine.uuid}.raw"
        shutil.copy(image, disk)
        self.uuid = machine.uuid
        driver = LibvirtHypervisor(host.name, host.uri)
        driver.define(
            MachineSpec(
                uuid=machine.uuid,
                name=self.name,
                title=machine.name,
                vcpus=1,
                memory=192 * 1024,
                virt_type=VirtType.QEMU,
                disks=(DiskSpec(source=str(disk), target="vda", boot_order=1),),
                nics=(),
            )
        )
        driver.close()
        self.start()

    def start(self) -> None:
        """Start it unless it runs."""
        if self.name not in self.host.virsh("list", "--name").split():
            self.host.virsh("start", self.name)

    @contextmanager
    def console(self, on_close: Callable[[str], None]) -> Iterator[None]:
        """Take the console over without the gateway, as somebody on the host can."""
        driver = LibvirtHypervisor(self.host.name, self.host.uri)
        stream = driver.open_console(self.uuid, on_data=lambda _chunk: None, on_close=on_close)
        try:
            yield
        finally:
            stream.close()
            driver.close()


@contextmanager
def gateway_rig(directory: Path, url: str, **settings: object) -> Iterator[GatewayRig]:
    made = GatewayRig(directory, url, **settings)
    try:
        yield made
    finally:
        made.close()

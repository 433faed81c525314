"""The articles that lead into a machine nothing can connect to: their commands, between servers.

Server, machine and desk are SSH servers and clients of one computer; the commands are those of the
articles, with the addresses of these in the place of their examples.
"""

from __future__ import annotations

import getpass
import http.server
import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.rig.articles import blocks, body
from tests.rig.base import private_directory, spawn, wait_until
from tests.rig.network import LOOPBACK, free_port

ME = getpass.getuser()
CLIENT = "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host
PidFile none
StrictModes no
UsePAM no
AuthorizedKeysFile {home}/.ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
GatewayPorts clientspecified
"""


class Computer:
    """An SSH server with keys of its own, and somebody at its shell."""

    def __init__(self, directory: Path, name: str) -> None:
        self.home, self.port = directory / name, free_port()
        (self.home / ".ssh").mkdir(parents=True)
        self.key = self.home / "key"
        for key in ("host", "key"):
            words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.home / key)
            subprocess.run(words, check=True)
        config = f"{CLIENT}  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
        (self.home / "client").write_text(config)
        (self.home / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.home}/client "$@"\n')
        (self.home / "ssh").chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{self.home}:{os.environ['PATH']}"}

    @property
    def public(self) -> str:
        return self.key.with_suffix(".pub").read_text().strip()

    def lets_in(self, line: str) -> None:
        with (self.home / ".ssh/authorized_keys").open("a") as file:
            file.write(line + "\n")

    def types(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-ec", command], env=self.environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    @contextmanager
    def keeps_typed(self, command: str) -> Iterator[None]:
        """Leave a command running that does not end."""
        process = subprocess.Popen(["sh", "-ec", f"exec {command}"], env=self.environment)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)

    @contextmanager
    def serves(self) -> Iterator[None]:
        Path("/run/sshd").mkdir(exist_ok=True)
        config = self.home / "sshd_config"
        config.write_text(SERVER.format(port=self.port, home=self.home))
        server = spawn("/usr/sbin/sshd", "-D", "-e", "-f", config, log=self.home / "log")
        try:
            log = self.home / "log"
            wait_until(lambda: "Server listening" in log.read_text(), "sshd", log=log)
            yield
        finally:
            server.kill()
            server.wait(20)


@pytest.fixture
def computers() -> Iterator[tuple[Computer, Computer, Computer]]:
    """The server that both reach, the machine, and the desk; the first two serve."""
    with private_directory("ssh") as directory, ExitStack() as stack:
        jump, machine, desk = (Computer(directory, name) for name in ("jump", "machine", "desk"))
        jump.lets_in(machine.public)
        jump.lets_in(desk.public)
        stack.enter_context(jump.serves())
        stack.enter_context(machine.serves())
        yield jump, machine, desk


def _opens(port: int, computer: Computer) -> Callable[[], bool]:
    probe = f"ssh -p {port} {ME}@localhost true"
    return lambda: computer.types(probe).returncode == 0


@pytest.mark.requirement("NEW-08")
def test_root_over_ssh_by_way_of_a_server(computers: tuple[Computer, Computer, Computer]) -> None:
    jump, machine, desk = computers
    way = str(free_port())
    text = body(
        "tutorials", "ssh",
        {
            "ssh-ed25519 AAAA... you@desk": desk.public, "/root/.ssh": f"{machine.home}/.ssh",
            "localhost:22 ": f"localhost:{machine.port} -p {jump.port} ",
            "-J you@jump.example.org": f"-J {ME}@{LOOPBACK}:{jump.port}",
            "you@jump.example.org": f"{ME}@{LOOPBACK}", "2201": way,
            "root@localhost": f"{ME}@localhost",
            "ssh-ed25519 AAAA... root@first": machine.public,
        },
    )  # fmt: skip
    keys, back, there, restricted, service = blocks(text)
    assert machine.types(keys).returncode == 0
    listed = machine.home / ".ssh/authorized_keys"
    assert (listed.stat().st_mode & 0o777, listed.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "PermitRootLogin prohibit-password" in text
    with machine.keeps_typed(back.strip()):
        wait_until(_opens(int(way), desk), "the way back", 30)
        said = desk.types(f"{there.strip()} 'echo reached-$SSH_CONNECTION'")
        assert said.stdout.startswith("reached-"), said.stderr
    # What a service of the machine may do on the server: this port, and no other.
    (jump.home / ".ssh/authorized_keys").write_text(restricted)
    other = back.replace(way, str(free_port())).replace("-N", "-N -o ExitOnForwardFailure=yes")
    assert machine.types(other.strip()).returncode != 0
    (start,) = (line for line in service.splitlines() if line.startswith("ExecStart="))
    command = start.removeprefix("ExecStart=/usr/bin/").replace(
        "way@jump.example.org", f"{ME}@{LOOPBACK}"
    )
    with machine.keeps_typed(command.replace("-N", f"-N -p {jump.port}", 1)):
        wait_until(_opens(int(way), desk), "the service's way back", 30)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[int]:
    """A web server of the machine, on loopback alone; yields its port."""
    (tmp_path / "index.html").write_text("from the machine")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join(20)


def _shows(url: str) -> Callable[[], bool]:
    def look() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.read() == b"from the machine")
        except (urllib.error.URLError, OSError):
            return False

    return look


@pytest.mark.requirement("NEW-08")
def test_a_port_of_a_machine_for_oneself_and_for_colleagues(
    computers: tuple[Computer, Computer, Computer], website: int
) -> None:
    jump, machine, desk = computers
    on_jump, on_desk, for_all = free_port(), free_port(), free_port()
    text = body(
        "tutorials", "port-forwards",
        {
            "localhost:80 ": f"localhost:{website} -p {jump.port} ",
            "you@jump.example.org": f"{ME}@{LOOPBACK}",
            "-R 8080:": f"-R {on_jump}:",
            "-L 8080:localhost:8080 ": f"-p {jump.port} -L {on_desk}:localhost:{on_jump} ",
            "-R 10.0.0.5:8080:": f"-R 127.0.0.5:{for_all}:",
            "http://localhost:8080": f"http://localhost:{on_desk}",
        },
    )  # fmt: skip
    by_machine, by_desk, open_to_all = (block.strip() for block in blocks(text))
    assert f"http://localhost:{on_desk}" in text
    with machine.keeps_typed(by_machine), desk.keeps_typed(by_desk):
        wait_until(_shows(f"http://localhost:{on_desk}"), "the site at the desk", 30)
        assert not _shows(f"http://127.0.0.5:{on_jump}")(), (
            "it is open on the server's loopback only"
        )
    with machine.keeps_typed(open_to_all):
        wait_until(_shows(f"http://127.0.0.5:{for_all}"), "the site for colleagues", 30)

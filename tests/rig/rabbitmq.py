"""A real RabbitMQ broker in a private directory, with a port mapper of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.base import private_directory, wait_until
from tests.rig.network import LOOPBACK, free_ports

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
NODE = "ovcadmin@localhost"
SETTINGS = """
listeners.tcp.1 = {host}:{port}
loopback_users = none
log.console = true
log.console.level = warning
log.file = false
"""


class RabbitMq:
    """A broker that can be killed and started again; what it keeps survives that."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port, self._mapper_port, self._distribution = free_ports(3)
        self.url = f"amqp://guest:guest@{LOOPBACK}:{self.port}//"
        self._log = directory / "log"
        self._processes: list[subprocess.Popen[bytes]] = []
        conf = directory / "rabbitmq.conf"
        conf.write_text(SETTINGS.format(host=LOOPBACK, port=self.port))
        (directory / "plugins").write_text("[].\n")
        self._environment = {
            **os.environ,
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "HOME": str(directory),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONFIG_FILE": str(conf),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        self._mapper = self._spawn("/usr/bin/epmd")

    def start(self) -> None:
        self._processes.append(self._spawn(SERVER))
        wait_until(self._answers, "the broker", 60, self._log)

    def kill(self) -> None:
        """What a power failure does to it; the port mapper goes on."""
        for process in self._processes:
            with_group(process)
        self._processes.clear()

    def close(self) -> None:
        self.kill()
        with_group(self._mapper)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((LOOPBACK, self.port)):
                return False
            # An AMQP client of a version that nobody speaks is told the right one.
            probe.sendall(b"AMQP\x00\x00\x00\x00")
            try:
                return probe.recv(4) == b"AMQP"
            except OSError:
                return False

    def _spawn(self, command: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as out:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self._directory,
                env=self._environment, start_new_session=True,
            )  # fmt: skip


def with_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def rabbitmq() -> Iterator[RabbitMq]:
    with private_directory("rabbitmq") as directory:
        broker = RabbitMq(directory)
        try:
            broker.start()
            yield broker
        finally:
            broker.close()

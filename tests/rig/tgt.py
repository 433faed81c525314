"""An iSCSI server: tgtd in the namespaces of a libvirt host, on its loopback address."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.rig.base import spawn, wait_until
from tests.rig.hypervisor import ENTER, LibvirtHost

IQN = "iqn.2026-11.test.openvcloud:store"
INITIATOR = "iqn.2026-11.test.openvcloud:console"
CONTROL = "17"


class Target:
    """One target with LUNs on sparse files; `user` and `password` where it asks for CHAP."""

    def __init__(self, host: LibvirtHost) -> None:
        assert host._init is not None
        self._inside = ["nsenter", *ENTER, f"--target={host._init.pid}"]
        self.directory = host.directory / "luns"
        self.directory.mkdir(exist_ok=True)
        self.user, self.password = "console", "twelve-chars-or-more"

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        """Start it; the process ends with the host at the latest."""
        self._run("mkdir", "-p", "/run/tgtd")
        portal = "portal=127.0.0.1:3260"
        process = spawn(*self._inside, "tgtd", "-f", "-C", CONTROL, "--iscsi", portal, log=log)
        wait_until(lambda: self._try("--mode", "system", "--op", "show"), "tgtd", log=log)
        self._process = psutil.Process(process.pid).children()[0]
        self._admin("target", "new", "--tid", "1", "-T", IQN)
        self._admin("target", "bind", "--tid", "1", "-I", "ALL")
        return process

    def ask_for_chap(self) -> None:
        self._admin("account", "new", "--user", self.user, "--password", self.password)
        self._admin("account", "bind", "--tid", "1", "--user", self.user)

    def add_lun(self, number: int, size: int) -> Path:
        file = self.directory / f"lun{number}"
        with file.open("wb") as made:
            made.truncate(size)
        self._admin("logicalunit", "new", "--tid", "1", "--lun", str(number), "-b", str(file))
        return file

    def drop_lun(self, number: int) -> None:
        self._admin("logicalunit", "delete", "--tid", "1", "--lun", str(number))

    def add_portal(self, portal: str) -> None:
        self._admin("portal", "new", "--param", f"portal={portal}")

    def drop_portal(self, portal: str) -> None:
        self._admin("portal", "delete", "--param", f"portal={portal}")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hang: it takes connections and answers nothing."""
        self._process.suspend()
        try:
            yield
        finally:
            self._process.resume()

    def stop(self) -> None:
        self._try("--mode", "target", "--op", "delete", "--tid", "1", "--force")
        self._try("--mode", "system", "--op", "delete")

    def _admin(self, mode: str, verb: str, *more: str) -> None:
        self._run("tgtadm", "-C", CONTROL, "--lld", "iscsi", "--mode", mode, "--op", verb, *more)

    def _try(self, *words: str) -> bool:
        command = [*self._inside, "tgtadm", "-C", CONTROL, "--lld", "iscsi", *words]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _run(self, *words: str) -> None:
        subprocess.run([*self._inside, *words], check=True, capture_output=True)


@contextmanager
def iscsi_target(host: LibvirtHost) -> Iterator[Target]:
    made = Target(host)
    process = made.start(host.directory / "log/tgtd")
    try:
        yield made
    finally:
        made.stop()
        process.kill()
        process.wait(20)

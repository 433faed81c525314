"""An sshd of the tests' own: at a port of this machine, and inside a libvirt host.

Whose `PATH` begins with `SshServer.client` has an ssh that knows the server and holds the key that
it believes, as the account of a worker does that somebody prepared.
"""

from __future__ import annotations

import getpass
import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.hypervisor import LibvirtHost
from tests.rig.network import LOOPBACK

SERVER = """
HostKey {0}/host
AuthorizedKeysFile {0}/client.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
"""
CLIENT = """#!/bin/sh
exec /usr/bin/ssh -F none -i {0}/client -o UserKnownHostsFile={0}/known_hosts "$@"
"""


def make_key(file: Path) -> str:
    """Make a pair of keys; return the public one."""
    words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
    subprocess.run(words, check=True)
    return file.with_name(f"{file.name}.pub").read_text()


class SshServer:
    """What is known of a running one."""

    def __init__(self, directory: Path, port: int, user: str) -> None:
        self.directory = directory
        self.port = port
        self.user = user
        self.public = (directory / "host.pub").read_text()
        self.believed = directory / "client.pub"
        """The keys that it lets in."""
        self.key = directory / "client"
        self.known_hosts = directory / "known_hosts"
        self.client = directory / "bin"
        """A directory with `ssh`."""

    @property
    def uri(self) -> str:
        """The address of the libvirt behind it."""
        return f"qemu+ssh://{self.user}@{LOOPBACK}:{self.port}/system"

    def is_known_by(self, public: str) -> None:
        """Have clients believe this key only."""
        names = (f"[{name}]:{self.port} {public}" for name in (LOOPBACK, "localhost"))
        self.known_hosts.write_text("".join(names))


@contextmanager
def ssh_server(directory: Path, inside: LibvirtHost | None = None) -> Iterator[SshServer]:
    """An sshd that lets the key `client` in: to this machine, or to a libvirt host as root."""
    directory.mkdir()
    make_key(directory / "host")
    make_key(directory / "client")
    (directory / "sshd.conf").write_text(SERVER.format(directory))
    ssh = directory / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text(CLIENT.format(directory))
    ssh.chmod(0o755)
    serve = f"exec /usr/sbin/sshd -i -e -f {directory}/sshd.conf 2>> {directory}/log"
    if inside or os.geteuid() == 0:
        serve = f"mkdir -p /run/sshd; {serve}"
    words = ["sh", "-c", serve]

    class OneGuest(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            """Let an sshd serve the line until it ends."""
            line = self.request
            serving = inside.within(*words) if inside else words
            subprocess.run(serving, check=False, stdin=line, stdout=line)

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), OneGuest) as listener:
        listener.daemon_threads = True  # a line that is still open ends with its other side
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        made = SshServer(
            directory, listener.server_address[1], "root" if inside else getpass.getuser()
        )
        made.is_known_by(made.public)
        try:
            yield made
        finally:
            listener.shutdown()
            thread.join()

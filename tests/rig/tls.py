"""A libvirt host that listens with TLS, and a gate to it at a port of this machine."""

from __future__ import annotations

import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig import certificates
from tests.rig.hypervisor import LibvirtHost, libvirt_host
from tests.rig.network import LOOPBACK

PORT = 16514
DAEMON = """
listen_tls = 1
listen_tcp = 0
listen_addr = "127.0.0.1"
auth_tls = "none"
ca_file = "{0}/ca.pem"
cert_file = "{0}/server.pem"
key_file = "{0}/server.key"
"""
# What comes at the one side goes out at the other, both ways, until both have ended.
RELAY = f"""
import socket, threading
here, there = socket.socket(fileno=0), socket.create_connection(("{LOOPBACK}", {PORT}))
def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
back = threading.Thread(target=pump, args=(there, here))
back.start()
pump(here, there)
back.join()
"""


class TlsHost:
    """`uri` is its address; `client` a directory of certificates that it believes."""

    def __init__(self, host: LibvirtHost, directory: Path, port: int) -> None:
        self.host = host
        self.directory = directory
        self.uri = f"qemu+tls://{LOOPBACK}:{port}/system"
        self.client = self.client_of("client")

    def client_of(self, name: str, *, authority: str = "ca", believes: str = "ca") -> Path:
        """Make a directory of certificates for a worker, in the words that libvirt wants.

        It believes one authority, `both` or `nobody`: then it has none to believe.
        """
        both = [self.directory / f"{one}.pem" for one in ("ca", "foreign")]
        (self.directory / "both.pem").write_text("".join(one.read_text() for one in both))
        certificates.sign(self.directory, name, f"DNS:{name}", authority=authority)
        made = self.directory / f"pki-{name}"
        made.mkdir()
        for source, target in (
            (f"{believes}.pem", "cacert.pem"),
            (f"{name}.pem", "clientcert.pem"),
            (f"{name}.key", "clientkey.pem"),
        ):
            if (self.directory / source).exists():
                shutil.copy(self.directory / source, made / target)
        return made

    def is_called(self, names: str) -> None:
        """Let the host show a certificate for these names from now on."""
        certificates.sign(self.directory, "server", names)
        self.host.stop_daemon()
        self.host.start_daemon()


@contextmanager
def tls_host(directory: Path) -> Iterator[TlsHost]:
    """A host with a daemon that only whom its authority signed gets in to by TLS."""
    directory.mkdir()
    certificates.make(directory, f"IP:{LOOPBACK}")
    with libvirt_host("tls") as host, _gate(host) as port:
        host.stop_daemon()
        with (host.directory / "etc/libvirtd.conf").open("a") as settings:
            settings.write(DAEMON.format(directory))
        host.daemon_options = ("--listen",)
        host.start_daemon()
        yield TlsHost(host, directory, port)


@contextmanager
def _gate(host: LibvirtHost) -> Iterator[int]:
    """Pass connections to a port of this machine on to the host, which has a network of its own."""

    class OneLine(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            words = host.within(sys.executable, "-c", RELAY)
            subprocess.run(words, check=False, stdin=self.request, stderr=subprocess.DEVNULL)

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), OneLine) as listener:
        listener.daemon_threads = True  # a line that is still open ends with its other side
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield listener.server_address[1]
        finally:
            listener.shutdown()
            thread.join()

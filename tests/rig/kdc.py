"""A real MIT Kerberos server: a realm of our own, keys in files, tickets in a cache of our own."""

import base64
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.base import private_directory, spawn, wait_until
from tests.rig.network import free_ports
from tests.rig.tools import run

PASSWORD = "correct horse"
CLIENT_SETTINGS = """
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {realm} = {{
    kdc = 127.0.0.1:{port}
  }}
"""
SERVER_SETTINGS = """
[realms]
  {realm} = {{
    database_name = {here}/principal
    key_stash_file = {here}/stash
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
    max_life = 1h
  }}
"""
# What a browser does: one token for the console's principal, then a look at the answer.
BROWSER = """
import base64, sys, gssapi
name = gssapi.Name(sys.argv[1], gssapi.NameType.kerberos_principal)
spnego = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
context = gssapi.SecurityContext(
    name=name, mech=spnego, usage="initiate", flags=gssapi.RequirementFlag.mutual_authentication
)
print(base64.b64encode(context.step()).decode(), flush=True)
answer = sys.stdin.readline()
if answer:
    context.step(base64.b64decode(answer))
print(context.complete)
"""


class Kdc:
    """A running realm.  `keytab` holds the keys of the services."""

    def __init__(self, directory: Path, realm: str) -> None:
        self.directory = directory
        self.realm = realm
        self.keytab = directory / "console.keytab"
        self._port = free_ports(1)[0]
        self._server: subprocess.Popen[bytes] | None = None
        self.environment = {
            "KRB5_CONFIG": f"{directory}/krb5.conf",
            "KRB5_KDC_PROFILE": f"{directory}/kdc.conf",
            "KRB5CCNAME": f"FILE:{directory}/tickets",
            "PATH": "/usr/sbin:/usr/bin:/bin",
        }

    def start(self) -> None:
        places = {"realm": self.realm, "port": self._port, "here": self.directory}
        (self.directory / "krb5.conf").write_text(CLIENT_SETTINGS.format(**places))
        (self.directory / "kdc.conf").write_text(SERVER_SETTINGS.format(**places))
        self._run("kdb5_util", "create", "-s", "-P", "master")
        environment = [f"{name}={value}" for name, value in self.environment.items()]
        self._server = spawn(
            "env", *environment, "krb5kdc", "-n", "-r", self.realm, log=self.directory / "log"
        )
        wait_until(self._answers, "the KDC")

    def stop(self) -> None:
        if self._server:
            self._server.terminate()
            self._server.wait(20)

    def add_person(self, name: str) -> None:
        self._admin(f'addprinc -pw "{PASSWORD}" {name}')

    def add_service(self, name: str) -> str:
        """Give a service a key in the keytab; return its principal."""
        self._admin(f"addprinc -randkey {name}")
        self._admin(f"ktadd -k {self.keytab} {name}")
        return f"{name}@{self.realm}"

    def change_key(self, name: str) -> None:
        """Give a service a new key that the keytab does not hold."""
        self._admin(f"cpw -randkey {name}")

    def kinit(self, name: str) -> None:
        self._run("kinit", name, text=PASSWORD + "\n")

    def kinit_service(self, name: str) -> None:
        self._run("kinit", "-k", "-t", str(self.keytab), name)

    @contextmanager
    def browser(self, service: str) -> Iterator["Browser"]:
        """Ask for a token of whom `kinit` named last, as a browser in a process of its own."""
        command = [sys.executable, "-W", "ignore", "-c", BROWSER, service]
        with subprocess.Popen(
            command, env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            yield Browser(process)
            process.kill()

    def _admin(self, command: str) -> None:
        self._run("kadmin.local", "-r", self.realm, "-q", command)

    def _run(self, *command: str, text: str = "") -> str:
        return run(*command, text=text, env=self.environment)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


class Browser:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def token(self) -> bytes:
        assert self._process.stdout
        assert self._process.stderr
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(self._process.stderr.read())
        return base64.b64decode(line)

    def is_content_with(self, reply: bytes) -> bool:
        """Whether the answer proves the console to the browser."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(base64.b64encode(reply).decode() + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip() == "True"


@contextmanager
def kdc(realm: str = "EXAMPLE.ORG") -> Iterator[Kdc]:
    with private_directory("krb") as directory:
        server = Kdc(directory, realm)
        try:
            server.start()
            yield server
        finally:
            server.stop()

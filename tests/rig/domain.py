"""A real Active Directory domain: a Samba domain controller on a loopback address of its own.

The directory and its Kerberos server, nothing of the file server.  The domain is made once (some
ten seconds) and kept in the cache; every start works on a copy.  It takes root: a domain
controller has the well-known ports.
"""

import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ovcadmin.drivers.directory.settings import Address, DirectorySettings
from ovcadmin.drivers.directory.shapes import preset
from tests.rig import certificates
from tests.rig.base import CACHE, private_directory, spawn, wait_until
from tests.rig.people import entry
from tests.rig.tools import run

BASE = "dc=corp,dc=example"
USERS = f"cn=Users,{BASE}"
PASSWORD = "Correct-horse-1"
"""Of the administrator and of everybody."""
SETTINGS = """
[global]
  netbios name = DC
  realm = CORP.EXAMPLE
  workgroup = CORP
  server role = active directory domain controller
  server services = ldap kdc
  interfaces = {host}/8
  bind interfaces only = yes
  private dir = {here}/domain/private
  state directory = {here}/domain/state
  binddns dir = {here}/domain/bind-dns
  cache directory = {here}
  lock directory = {here}
  ncalrpc dir = {here}/ncalrpc
  pid directory = {here}
  log file = {here}/log.samba
  tls cafile = {here}/ca.pem
  tls certfile = {here}/server.pem
  tls keyfile = {here}/server.key
"""
PROVISION = (
    *("samba-tool", "domain", "provision", "--realm=CORP.EXAMPLE", "--domain=CORP"),
    *("--server-role=dc", "--dns-backend=NONE", "--host-name=dc", "--host-ip=127.0.0.1"),
    f"--adminpass={PASSWORD}",
    # A file system without extended attributes will do.
    "--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb",
)


class Domain:
    """A running domain controller.  Its certificate is for its address."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # Each test process has an address: nobody else can have these ports there.
        pid = os.getpid()
        self.host = f"127.{64 + (pid >> 16) % 64}.{(pid >> 8) % 256}.{max(pid % 255, 1)}"
        self.ca_file = directory / "ca.pem"
        self._conf = directory / "smb.conf"
        self._server: subprocess.Popen[bytes] | None = None

    def settings(self, **changes: Any) -> DirectorySettings:
        given: dict[str, Any] = {
            "servers": (Address(self.host, 389),),
            "base": BASE,
            "shape": preset("active-directory", BASE),
            "ca_file": self.ca_file,
            "bind_dn": f"cn=Administrator,{USERS}",
            "bind_password": PASSWORD,
            "writable": True,
        }
        return DirectorySettings(**given | changes)

    def start(self) -> None:
        here = self.directory
        shutil.copytree(_provisioned(), here / "domain")
        certificates.make(here, f"IP:{self.host}")
        self._conf.write_text(SETTINGS.format(here=here, host=self.host))
        (here / "ncalrpc").mkdir()
        self._server = spawn(
            "samba", "--foreground", "--model=single", "--configfile", self._conf,
            log=here / "log",
        )  # fmt: skip
        wait_until(self._answers, "the domain controller", 60, here / "log.samba")

    def stop(self) -> None:
        if self._server:
            self._server.terminate()
            self._server.wait(20)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, 389)) == 0

    # --- what tests do behind the console's back ---
    def tool(self, *command: str) -> str:
        """Run samba-tool on the domain's own files: `user create ann secret`."""
        database = self.directory / "domain/private/sam.ldb"
        return run("samba-tool", *command, "-s", self._conf, "-H", database)

    def policy(self, **values: str) -> None:
        """Set the password policy: `account_lockout_threshold="3"`."""
        options = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
        self.tool("domain", "passwordsettings", "set", *options)

    def add(self, *entries: str) -> None:
        self._ldap("ldapadd", text="".join(entries))

    def search(self, query: str, *attributes: str) -> str:
        """Return what ldapsearch prints to the administrator."""
        return self._ldap("ldapsearch", "-LLL", "-b", BASE, query, *attributes)

    def _ldap(self, name: str, *args: str, text: str = "") -> str:
        who = ["-x", "-D", f"cn=Administrator,{USERS}", "-w", PASSWORD]
        place = ["-ZZ", "-o", "ldif-wrap=no", "-H", f"ldap://{self.host}"]
        environment = {"LDAPTLS_CACERT": str(self.ca_file), "PATH": os.environ["PATH"]}
        return run(name, *place, *who, *args, text=text, env=environment)


def person(name: str) -> str:
    """Return the entry of somebody who can sign in, for `Domain.add`."""
    return entry(
        f"cn={name},{USERS}",
        "user",
        sAMAccountName=name,
        mail=f"{name}@corp.example",
        unicodePwd=f'"{PASSWORD}"'.encode("utf-16-le"),
        userAccountControl="512",
    )


def group(name: str, *members: str, mailing_list: bool = False) -> str:
    security = 0 if mailing_list else -(2**31)
    held = [f"cn={member},{USERS}" for member in members]
    return entry(
        f"cn={name},{USERS}",
        "group",
        sAMAccountName=name,
        groupType=str(security | 2),
        member=held,
    )


def _provisioned() -> Path:
    """Return the files of a fresh domain, made at the first time."""
    version = run("samba", "--version")
    key = hashlib.sha256(repr((PROVISION, version)).encode()).hexdigest()[:12]
    made = CACHE / f"domain-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "domain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with private_directory("provision") as here:
                attributes = f"--option=posix:eadb={here}/attributes.tdb"
                run(*PROVISION, attributes, f"--targetdir={here}/domain", seconds=300)
                shutil.copytree(here / "domain", here / "kept", ignore=_not_worth_keeping)
                shutil.move(here / "kept", made)
    return made


def _not_worth_keeping(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("etc", "sysvol") or name.endswith(".sock")]


@contextmanager
def domain() -> Iterator[Domain]:
    with private_directory("domain") as directory:
        running = Domain(directory)
        try:
            running.start()
            yield running
        finally:
            running.stop()

"""A real OpenLDAP server with an authority of its own, a password policy, groups within groups.

Two trees: `people.EXAMPLE` as OpenLDAP is usually laid out, with memberships kept on both sides,
lock-out and a referral; `people.IPA` with layout, classes and attributes of FreeIPA.
"""

import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ovcadmin.drivers.directory.settings import Address, DirectorySettings
from ovcadmin.drivers.directory.shapes import preset
from tests.rig import certificates, people
from tests.rig.base import private_directory, spawn, wait_until
from tests.rig.network import free_ports
from tests.rig.tools import run

ADMIN_PASSWORD = "admin"
SETTINGS = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload ppolicy
include {here}/ipa.schema
TLSCACertificateFile {here}/ca.pem
TLSCertificateFile {here}/server.pem
TLSCertificateKeyFile {here}/server.key
sizelimit size.soft=500 size.hard=unlimited size.prtotal=unlimited

database mdb
suffix {example}
directory {here}/example
maxsize 1073741824
dbnosync
rootdn cn=admin,{example}
rootpw admin
index objectClass,uid,cn,member,entryUUID eq
limits dn.exact="cn=limited,ou=services,{example}" size=500 size.prtotal=700
access to attrs=userPassword
  by dn.exact="cn=console,ou=services,{example}" write
  by self write
  by anonymous auth
access to *
  by dn.exact="cn=console,ou=services,{example}" write
  by users read
overlay memberof
memberof-dangling ignore
overlay refint
refint_attributes member
refint_nothing cn=nobody
overlay ppolicy
ppolicy_default cn=default,ou=policies,{example}
ppolicy_use_lockout
ppolicy_hash_cleartext

database mdb
suffix {ipa}
directory {here}/ipa
maxsize 67108864
dbnosync
rootdn cn=admin,{ipa}
rootpw admin
index objectClass,uid,cn,ipaUniqueID,krbPrincipalName eq
access to attrs=userPassword by dn.exact="{ipa_service}" write by anonymous auth
access to * by dn.exact="{ipa_service}" write by users read
"""


class Slapd:
    """A running server.  Its certificate is for `localhost` and 127.0.0.1, not for 127.0.0.2."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, self.tls_port = free_ports(2)
        self.ca_file = directory / "ca.pem"
        self.foreign_ca_file = directory / "foreign.pem"
        """An authority that signed nothing here."""
        self._admin_uri = "ldapi://" + quote(f"{directory}/socket", safe="")
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self, extra: Iterable[str] = ()) -> None:
        """Write certificates, settings and all entries but the groups."""
        here = self.directory
        certificates.make(here, "DNS:localhost,IP:127.0.0.1")
        (here / "ipa.schema").write_text(people.IPA_SCHEMA)
        places = {"example": people.EXAMPLE, "ipa": people.IPA, "ipa_service": people.IPA_SERVICE}
        (here / "slapd.conf").write_text(SETTINGS.format(here=here, **places))
        seeds = {"example": [*people.example(), *extra], "ipa": [*people.ipa()]}
        for tree in seeds:
            (here / tree).mkdir()
        for number, entries in enumerate(seeds.values(), 1):
            conf = ["-f", str(here / "slapd.conf"), "-n", str(number)]
            run("/usr/sbin/slapadd", "-q", *conf, text="".join(entries))

    # --- the console's view ---
    def settings(self, *, account: str = "console", **changes: Any) -> DirectorySettings:
        """Settings of a realm on `people.EXAMPLE`; the account is one of ou=services."""
        base = changes.get("base", people.EXAMPLE)
        given: dict[str, Any] = {
            "servers": (Address("localhost", self.port),),
            "base": base,
            "shape": preset("openldap", base),
            "ca_file": self.ca_file,
            "bind_dn": f"cn={account},ou=services,{people.EXAMPLE}",
            "bind_password": people.PASSWORD,
            "writable": True,
        }
        return DirectorySettings(**given | changes)

    def ipa_settings(self, **changes: Any) -> DirectorySettings:
        """Settings of a realm on `people.IPA`."""
        given: dict[str, Any] = {"base": people.IPA, "shape": preset("freeipa", people.IPA)}
        return self.settings(**given | {"bind_dn": people.IPA_SERVICE} | changes)

    # --- the server ---
    def start(self) -> None:
        places = [self._admin_uri]
        for host in ("127.0.0.1", "127.0.0.2"):
            places += [f"ldap://{host}:{self.port}", f"ldaps://{host}:{self.tls_port}"]
        self._process = spawn(
            "/usr/sbin/slapd", "-d", "0", "-f", self.directory / "slapd.conf",
            "-h", " ".join(places), log=self.directory / "log",
        )  # fmt: skip
        wait_until(self._answers, "slapd")

    def stop(self) -> None:
        if self._process:
            self.thaw()
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def freeze(self) -> None:
        """Let it hang: connections are accepted and nothing is answered."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        wait_until(self._stands_still, "every thread of slapd to stop")

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def _stands_still(self) -> bool:
        assert self._process
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    # --- what tests do behind the console's back ---
    def search(self, query: str, *attributes: str, base: str = people.EXAMPLE) -> str:
        """Return what ldapsearch prints to the administrator."""
        return self._tool("ldapsearch", "-LLL", "-b", base, query, *attributes, tree=base)

    def add(self, entries: Iterable[str], tree: str = people.EXAMPLE) -> None:
        self._tool("ldapadd", text="".join(entries), tree=tree)

    def modify(self, dn: str, *lines: str) -> None:
        """Change an entry: `replace: mail`, `mail: x`, and so on."""
        text = "\n".join([f"dn: {dn}", "changetype: modify", *lines, ""])
        self._tool("ldapmodify", text=text, tree=dn)

    def rename(self, dn: str, rdn: str, new_parent: str | None = None) -> None:
        place = ["-s", new_parent] if new_parent else []
        self._tool("ldapmodrdn", "-r", *place, dn, rdn, tree=dn)

    def delete(self, dn: str) -> None:
        self._tool("ldapdelete", dn, tree=dn)

    def _tool(self, name: str, *args: str, text: str = "", tree: str = people.EXAMPLE) -> str:
        root = people.IPA if tree.endswith(people.IPA) else people.EXAMPLE
        who = ["-x", "-D", f"cn=admin,{root}", "-w", ADMIN_PASSWORD]
        return run(name, "-o", "ldif-wrap=no", "-H", self._admin_uri, *who, *args, text=text)


@contextmanager
def slapd(extra: Iterable[str] = ()) -> Iterator[Slapd]:
    """Start a server; `extra` entries go into the tree `people.EXAMPLE`."""
    with private_directory("ldap") as directory:
        server = Slapd(directory)
        server.prepare(extra)
        try:
            server.start()
            # Through the server: only so are the memberships written to the members.
            server.add(people.groups())
            yield server
        finally:
            server.stop()

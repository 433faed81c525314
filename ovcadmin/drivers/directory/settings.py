"""The settings of a directory realm, checked where they are made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ldap3.core.exceptions import LDAPInvalidDnError, LDAPInvalidFilterError
from ldap3.operation.search import parse_filter
from ldap3.utils.dn import parse_dn

from ovcadmin.drivers.directory.shapes import Shape
from ovcadmin.errors import SettingInvalid

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")


class Transport(StrEnum):
    STARTTLS = "starttls"
    LDAPS = "ldaps"
    PLAIN = "plain"
    """Passwords can be read on the way.  Never a default, never fallen back to."""


@dataclass(frozen=True)
class Address:
    """One server.  The certificate must be for `host` as it is written here."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, transport: Transport = Transport.STARTTLS) -> Address:
        """Read `host`, `host:port` or `[IPv6]:port`; raises `SettingInvalid`."""
        match = _ADDRESS.fullmatch(text.strip())
        port = int((match and match[3]) or (636 if transport == Transport.LDAPS else 389))
        if not match or not 0 < port < 2**16:
            raise SettingInvalid(f"“{text}” is no server: write host or host:port.", server=text)
        return cls(match[1] or match[2], port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class DirectorySettings:
    servers: tuple[Address, ...]
    """In order of preference."""
    base: str
    shape: Shape
    """Of `shapes.preset`."""
    transport: Transport = Transport.STARTTLS
    ca_file: Path | None = None
    """Authorities that sign the servers' certificates; None is the system's list."""
    bind_dn: str = ""
    """The service account that searches; blank searches anonymously."""
    bind_password: str = field(default="", repr=False)
    user_bind: str = ""
    """How to sign in directly, `uid={name},ou=people,dc=example` or `{name}@example`: the person's
    own entry is then read with the person's own rights.  Blank: the service account looks the
    name up first."""
    writable: bool = False
    """Whether people may be created, changed and deleted from the console."""
    timeout: float = 3
    """Seconds to connect (name and encryption included), and for each answer."""
    page_timeout: float = 30
    """Seconds for a whole page of a long list, as long as data keeps flowing."""
    page_size: int = 1000
    nesting_depth: int = 10
    """Groups within groups are followed so far down."""

    def __post_init__(self) -> None:
        if not self.servers:
            raise SettingInvalid("A directory needs at least one server.")
        if not self.base:
            raise SettingInvalid("A directory needs the DN of its base.")
        if self.bind_dn and not self.bind_password:
            # Many directories take a bind without a password for an anonymous one and say yes.
            raise SettingInvalid("The service account of a directory needs a password.")
        if self.user_bind and "{name}" not in self.user_bind:
            raise SettingInvalid("user_bind must say where the name stands: {name}.")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise SettingInvalid(f"There is no file {self.ca_file} of certificate authorities.")
        _check_place("base", self.base)
        for name in ("people_base", "groups_base"):
            _check_place(name, getattr(self.shape, name))
        for name in ("people_filter", "groups_filter"):
            _check_filter(name, getattr(self.shape, name))

    @property
    def domain(self) -> str:
        """The DNS name that the base spells by its `dc` parts."""
        parts = (part.strip().partition("=") for part in self.base.split(","))
        return ".".join(value for name, _, value in parts if name.strip().lower() == "dc")


def _check_place(field: str, text: str) -> None:
    try:
        parse_dn(text)
    except LDAPInvalidDnError:
        raise SettingInvalid(
            f"“{text}” is no DN, such as dc=example,dc=org.", field=field
        ) from None


def _check_filter(field: str, text: str) -> None:
    """A filter is put into others: half of one would change what they ask."""
    try:
        parse_filter(  # type: ignore[no-untyped-call]
            text, None, auto_escape=True, auto_encode=False, validator=None, check_names=False
        )
    except LDAPInvalidFilterError:
        raise SettingInvalid(
            f"“{text}” is no filter, such as (objectClass=person).", field=field
        ) from None


@dataclass(frozen=True, kw_only=True)
class KerberosSettings:
    """Single sign-on of a directory realm."""

    principal: str
    """Of the console: `HTTP/console.example@EXAMPLE`."""
    keytab: Path
    realm: str
    """Only principals of this Kerberos realm sign in."""

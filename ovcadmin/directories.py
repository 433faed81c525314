"""The directories of a process: one driver for each realm, and who may wait for them.

A directory that hangs must cost the web process no more than a few threads: of one realm only
so many callers ask at a time, a few more wait a moment for their turn, all others are refused at
once, so that pages and internal sign-ins always find a free thread.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ovcadmin.drivers.directory.base import Directory, Finding
from ovcadmin.drivers.directory.ldap import LdapDirectory
from ovcadmin.drivers.directory.settings import (
    Address,
    DirectorySettings,
    KerberosSettings,
    Transport,
)
from ovcadmin.drivers.directory.shapes import preset
from ovcadmin.errors import DirectoryUnreachable, DomainError, InvalidInput, SettingInvalid
from ovcadmin.services.realms import Contact, Ticket

if TYPE_CHECKING:
    from ovcadmin.drivers.directory.kerberos import Spnego

PATIENCE = 1.0
"""Seconds that a caller waits for his turn."""


@dataclass(frozen=True, kw_only=True)
class _Kept:
    contact: Contact
    driver: LdapDirectory
    turns: threading.BoundedSemaphore


class Directories:
    """Meets `services.realms.Directories`."""

    def __init__(self, data_dir: Path, *, threads: int) -> None:
        """Keep `threads` from being eaten up: three eighths may ask one realm, some may wait."""
        self._data_dir = data_dir
        self._of_one = max(1, threads * 3 // 8)
        self._room = threading.BoundedSemaphore(max(1, threads * 5 // 8))
        self._kept: dict[int, _Kept] = {}
        self._lock = threading.Lock()

    def directory(self, contact: Contact) -> LdapDirectory:
        """Return the realm's driver, for callers who hold up nobody."""
        return self._keep(contact).driver

    def trial(self, contact: Contact) -> LdapDirectory:
        """Return a driver that nobody else uses, for settings that are only tried."""
        return LdapDirectory(self._settings(contact))

    @contextmanager
    def asking(self, contact: Contact) -> Iterator[Directory]:
        kept = self._keep(contact)
        if not self._room.acquire(blocking=False):
            raise _busy(contact)
        try:
            if not kept.turns.acquire(timeout=PATIENCE):
                raise _busy(contact)
            try:
                yield kept.driver
            finally:
                kept.turns.release()
        finally:
            self._room.release()

    def validate(self, contact: Contact) -> None:
        try:
            self._settings(contact)
            _spnego(contact)
        except SettingInvalid as error:
            field = "servers" if "server" in error.context else error.context.get("field")
            named = {str(field): error.text} if field else {}
            raise InvalidInput(error.text, fields=named) from None

    def check(self, contact: Contact) -> Sequence[Finding]:
        try:
            with self.asking(contact) as directory:
                found = list(directory.check())
            spnego = _spnego(contact)
        except DomainError as error:
            return [Finding(server="", step="settings", good=False, text=error.text, seconds=0)]
        return [*found, spnego.check()] if spnego else found

    def accept(self, contact: Contact, token: bytes) -> Ticket:
        spnego = _spnego(contact)
        assert spnego is not None
        accepted = spnego.accept(token)
        return Ticket(principal=accepted.principal, reply=accepted.reply)

    def _keep(self, contact: Contact) -> _Kept:
        with self._lock:
            kept = self._kept.get(contact.realm_id)
            if kept is None or kept.contact != contact:
                # The turns stay: who still asks the old driver holds a thread all the same.
                turns = kept.turns if kept else threading.BoundedSemaphore(self._of_one)
                driver = LdapDirectory(self._settings(contact))
                kept = _Kept(contact=contact, driver=driver, turns=turns)
                self._kept[contact.realm_id] = kept
            return kept

    def _settings(self, contact: Contact) -> DirectorySettings:
        given = contact.settings
        transport = Transport(given.get("transport") or Transport.STARTTLS)
        changes = {
            name: given[name]
            for name in ("people_base", "people_filter", "groups_base", "groups_filter")
            if given.get(name)
        }
        return DirectorySettings(
            servers=tuple(Address.parse(line, transport) for line in str(given["servers"]).split()),
            base=given["base"],
            shape=preset(contact.kind, given["base"], **changes),
            transport=transport,
            ca_file=self._authority(given.get("authority", "")),
            bind_dn=given.get("bind_dn", ""),
            bind_password=contact.password,
            user_bind=given.get("user_bind", ""),
            writable=contact.writable,
        )

    def _authority(self, text: str) -> Path | None:
        """Put certificates into a file named by their content, which LDAP libraries want."""
        if not text:
            return None
        try:
            ssl.create_default_context(cadata=text)
        except (ssl.SSLError, ValueError):
            raise SettingInvalid(
                "The certificate authority is no certificate in PEM form.", field="authority"
            ) from None
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = self._data_dir / f"authority-{digest}.pem"
        if not path.exists():
            path.write_text(text, encoding="ascii")
        return path


def _spnego(contact: Contact) -> Spnego | None:
    """Return what takes Kerberos tickets for a realm that signs in by them."""
    settings = _kerberos(contact)
    if settings is None:
        return None
    try:
        # Only here: its library is installed where single sign-on is wanted.
        from ovcadmin.drivers.directory.kerberos import Spnego  # noqa: PLC0415
    except ImportError:
        raise SettingInvalid(
            "Single sign-on needs the packages of requirements/kerberos.txt on the console's "
            "machine; docs/directories.md says how.",
            field="kerberos_principal",
        ) from None
    return Spnego(settings)


def _kerberos(contact: Contact) -> KerberosSettings | None:
    given = contact.settings
    if not contact.single_sign_on:
        return None
    if not given.get("kerberos_keytab") or not given.get("kerberos_realm"):
        raise SettingInvalid(
            "Single sign-on needs principal, keytab and Kerberos realm.", field="kerberos_keytab"
        )
    return KerberosSettings(
        principal=given["kerberos_principal"],
        keytab=Path(given["kerberos_keytab"]),
        realm=given["kerberos_realm"],
    )


def _busy(contact: Contact) -> DirectoryUnreachable:
    return DirectoryUnreachable(
        f"{contact.label} does not answer quickly enough: others are waiting for it already. "
        "Try again in a moment.",
        realm=contact.name,
    )

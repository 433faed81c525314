"""Realms: where users are checked, and how a company directory is reached.

Talking to a directory is done outside of any transaction: `contact` reads what is needed into
plain values, and whoever composes a process makes a driver of them (`Directories`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sqlalchemy import select, update

from ovcadmin.domain import names
from ovcadmin.drivers.directory.base import Directory, Finding
from ovcadmin.errors import Conflict, InvalidInput, NameTaken, NotFound, Outdated
from ovcadmin.models import Realm, Session, User
from ovcadmin.services import audit, directory_people, people, seals, super_admins
from ovcadmin.work import Work

KINDS = {
    "openldap": "OpenLDAP",
    "freeipa": "FreeIPA",
    "active-directory": "Active Directory",
}
MAPPING = ("people_base", "people_filter", "groups_base", "groups_filter")
"""Settings that say who and which groups are taken in."""
TEXTS = (
    *("servers", "base", "transport", "authority", "bind_dn", "user_bind"),
    *MAPPING,
    *("kerberos_principal", "kerberos_keytab", "kerberos_realm"),
)
"""Settings that are text; blank is what the kind of directory has by itself."""
SENT_TO = ("servers", "transport", "authority")
"""Settings that say who gets to see the service account's password."""
SYNC_MINUTES = 60
LONGEST_SYNC = 7 * 24 * 60


@dataclass(frozen=True, kw_only=True)
class Contact:
    """How a directory is reached: plain values that outlive the transaction they were read in."""

    realm_id: int
    name: str
    label: str
    kind: str
    settings: Mapping[str, Any]
    password: str = field(default="", repr=False)

    @property
    def writable(self) -> bool:
        return bool(self.settings.get("writable"))

    @property
    def single_sign_on(self) -> bool:
        return bool(self.settings.get("kerberos_principal"))

    def mapped(self, mapping: Mapping[str, str]) -> Contact:
        """Return the same directory with other bases and filters, to try them."""
        return replace(self, settings={**self.settings, **mapping})


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A Kerberos ticket that was accepted."""

    principal: str
    reply: bytes


class Directories(Protocol):
    """Where the directories come from; made where a process is composed."""

    def asking(self, contact: Contact) -> AbstractContextManager[Directory]:
        """Give the directory of a realm to one caller.

        Raises `DirectoryUnreachable` at once when as many callers as may wait for directories do.
        """
        ...

    def validate(self, contact: Contact) -> None:
        """Raise `InvalidInput` when no driver can be made of these settings."""
        ...

    def check(self, contact: Contact) -> Sequence[Finding]:
        """Test the connection, single sign-on included, step by step; never raises."""
        ...

    def accept(self, contact: Contact, token: bytes) -> Ticket:
        """Take the Kerberos token of a browser; raises `KerberosRefused`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What somebody typed of a realm."""

    label: str
    settings: Mapping[str, Any]
    password: str | None = field(default=None, repr=False)
    """Of the service account; None keeps the old one."""


def listing(work: Work) -> list[Realm]:
    return list(work.db.scalars(select(Realm).where(Realm.deleted_at.is_(None)).order_by(Realm.id)))


def directories(work: Work) -> list[Realm]:
    """Return the directory realms that are enabled."""
    return [realm for realm in listing(work) if realm.enabled and not realm.is_internal]


def get(work: Work, realm_id: int) -> Realm:
    """Return a directory realm: the internal one has nothing to set."""
    realm = work.db.get(Realm, realm_id)
    if realm is None or realm.is_internal or realm.deleted_at is not None:
        raise NotFound("There is no such realm.", realm_id=realm_id)
    return realm


def contact(work: Work, realm: Realm) -> Contact:
    return Contact(
        realm_id=realm.id,
        name=realm.name,
        label=realm.label,
        kind=realm.kind,
        settings=dict(realm.settings),
        password=seals.unseal(work, realm.sealed_password) if realm.sealed_password else "",
    )


def create(work: Work, doors: Directories, *, name: str, kind: str, draft: Draft) -> Realm:
    """Make a directory realm.  It signs nobody in until it is enabled: test it first."""
    cleaned = _name(work, name)
    settings = _settings(draft.settings)
    password = draft.password or ""
    trial = Contact(
        realm_id=0,
        name=cleaned,
        label=draft.label,
        kind=kind,
        settings=settings,
        password=password,
    )
    doors.validate(trial)
    realm = Realm(
        name=cleaned,
        kind=kind,
        label=draft.label,
        settings=settings,
        sealed_password=seals.seal(work, password) if password else None,
        enabled=False,
    )
    work.db.add(realm)
    work.db.flush()
    audit.record(work, "realm.create", "realm", realm.id, realm.name, after=_told(realm))
    return realm


def edit(work: Work, doors: Directories, realm: Realm, *, version: int, draft: Draft) -> None:
    """Change a realm.  A blank password keeps the one that is sealed."""
    if version != realm.version:
        raise Outdated(
            f"Somebody else changed {realm.label} since you opened this form. Load it again."
        )
    before = _told(realm)
    settings = _settings(draft.settings)
    password = _password(work, realm, settings, draft)
    trial = Contact(
        realm_id=realm.id,
        name=realm.name,
        label=draft.label,
        kind=realm.kind,
        settings=settings,
        password=password,
    )
    doors.validate(trial)
    realm.label, realm.settings = draft.label, settings
    if draft.password or not password:
        realm.sealed_password = seals.seal(work, password) if password else None
    realm.version += 1
    work.db.flush()
    audit.record(
        work, "realm.edit", "realm", realm.id, realm.name, before=before, after=_told(realm)
    )


def set_enabled(work: Work, realm: Realm, *, enabled: bool) -> None:
    """Enable a realm, or disable it: its users are out at their next request."""
    if realm.enabled == enabled:
        word = "enabled" if enabled else "disabled"
        raise Conflict(f"{realm.label} is {word} already.")
    if not enabled:
        directory_people.hold(work, realm.id)
        super_admins.ensure_remain(work, without_realm_id=realm.id)
    realm.enabled = enabled
    if not enabled:
        _end_sessions(work, realm)
    work.db.flush()
    action = "realm.enable" if enabled else "realm.disable"
    audit.record(work, action, "realm", realm.id, realm.name)


def _password(work: Work, realm: Realm, settings: Mapping[str, Any], draft: Draft) -> str:
    """Return the service account's password.

    The one that is sealed is never sent to servers that somebody else wrote down later.
    """
    if not settings["bind_dn"]:
        return ""
    moved = any(settings[name] != realm.settings.get(name, "") for name in SENT_TO)
    if moved and realm.sealed_password and not draft.password:
        raise InvalidInput(
            "The realm was not saved.",
            fields={"bind_password": "Enter it again: it would be sent to other servers."},
        )
    return draft.password or contact(work, realm).password


def _end_sessions(work: Work, realm: Realm) -> None:
    mine = select(User.id).where(User.realm_id == realm.id)
    living = Session.user_id.in_(mine), Session.revoked_at.is_(None)
    for user_id in work.db.scalars(select(Session.user_id).where(*living).distinct()):
        people.announce_rights(work, user_id)
    work.db.execute(
        update(Session)
        .where(*living)
        .values(revoked_at=work.now())
        .execution_options(synchronize_session=False)
    )


def _name(work: Work, name: str) -> str:
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        raise InvalidInput("The realm needs a name.", fields={"name": str(error)}) from None
    if "@" in cleaned or " " in cleaned:
        raise InvalidInput(
            "The realm cannot be made.",
            fields={"name": "Use one word without @: it stands behind every user's name."},
        )
    if work.db.scalar(select(Realm.id).where(Realm.name == cleaned)) is not None:
        raise NameTaken(f"There is already a realm {cleaned}.", field="name")
    return cleaned


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with every part there; raises `InvalidInput`."""
    minutes = given.get("sync_minutes")
    minutes = SYNC_MINUTES if minutes is None else int(minutes)
    if not 0 <= minutes <= LONGEST_SYNC:
        raise InvalidInput(
            "The realm was not saved.",
            fields={"sync_minutes": f"Choose 0 (never by itself) to {LONGEST_SYNC} minutes."},
        )
    texts = {name: str(given.get(name) or "").strip() for name in TEXTS}
    return {**texts, "writable": bool(given.get("writable")), "sync_minutes": minutes}


def _told(realm: Realm) -> dict[str, Any]:
    """Return what the audit log may know; the password is not among it."""
    return {"label": realm.label, "kind": realm.kind, **realm.settings}

"""Signing in: by password, by a company directory, by Kerberos, and the second factor after it.

In short parts, so that no transaction is open while argon2 works (some 50 ms on purpose) or a
directory is asked: `look_up` reads, `prove` or `prove_ticket` works outside, `accept` writes
what a directory said, `admit` opens the session, `refuse` writes a failure down.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, or_, select

from ovcadmin.domain import names
from ovcadmin.drivers.directory.base import Group, Person
from ovcadmin.errors import DomainError, SettingInvalid, SignInFailed, SignInThrottled
from ovcadmin.models import Realm, SignInFailure, User
from ovcadmin.security.visibility import privileges_anywhere
from ovcadmin.services import (
    attempts,
    audit,
    directory_people,
    people,
    realms,
    seals,
    second_factors,
    sessions,
)
from ovcadmin.services.realms import Contact, Directories
from ovcadmin.work import Work

ADDRESS_FACTOR = 10
"""One address may fail this many times as often as one account: offices share addresses."""
HALF_WAY = timedelta(minutes=10)
"""How long the second factor may take after the first."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Who somebody says to be, and what can prove it."""

    account: str
    """For the throttle: name and realm, or where a Kerberos ticket comes from."""
    name: str
    user_id: int | None = None
    """Of the internal realm."""
    password_hash: str | None = None
    contact: Contact | None = None
    """Of the directory that checks the password."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the directory said of whom it let in; nothing for the internal realm."""

    person: Person | None = None
    groups: Sequence[Group] = ()
    reply: bytes = b""
    """What Kerberos sends back to the browser."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Somebody who proved the first factor and owes the second."""

    user_id: int
    account: str


def choices(work: Work) -> list[Realm]:
    """Return the realms that sign people in, the internal one first."""
    return [realm for realm in realms.listing(work) if realm.enabled]


def look_up(work: Work, realm: str, name: str) -> Claim:
    """Read what is needed to check a sign-in.

    Raises `SignInThrottled` after too many failures of the account or from the address; that
    answer is the same for accounts that do not exist.
    """
    account = f"{names.key(name)}@{realm}"[:300]
    _throttle(work, account)
    row = work.db.scalar(select(Realm).where(Realm.name == realm, Realm.enabled))
    if row is not None and not row.is_internal:
        return Claim(account=account, name=name, contact=realms.contact(work, row))
    user = people.find(work, name, realm) if row is not None else None
    if user is None or user.disabled_at is not None:
        return Claim(account=account, name=name)
    return Claim(account=account, name=name, user_id=user.id, password_hash=user.password_hash)


def look_up_single(work: Work, realm: str) -> Claim:
    """Read what a Kerberos ticket is checked with; raises `SignInFailed` for other realms."""
    # Whose ticket it is, is not known yet: failures count for the address.
    account = f"ticket from {work.actor.address}@{realm}"[:300]
    _throttle(work, account)
    row = work.db.scalar(select(Realm).where(Realm.name == realm, Realm.enabled))
    contact = realms.contact(work, row) if row is not None and not row.is_internal else None
    if contact is None or not contact.single_sign_on:
        raise SignInFailed("This realm has no single sign-on. Use name and password.")
    return Claim(account=account, name="", contact=contact)


def prove(claim: Claim, password: str, doors: Directories) -> Proof:
    """Check the password, in no transaction.

    Raises `SignInFailed`, and for a directory that cannot be asked `DirectoryUnreachable` or
    `DirectoryRefused`.
    """
    if not password:
        raise refused()  # many directories say yes to a name without one
    if claim.contact is None:
        if not people.proves(claim.password_hash, password):
            raise refused()
        return Proof()
    with doors.asking(claim.contact) as directory:
        person = directory.authenticate(claim.name, password)
        return Proof(person=person, groups=directory.groups_of(person))


def prove_ticket(claim: Claim, token: bytes, doors: Directories) -> Proof:
    """Take a Kerberos ticket, and ask the directory whose it is."""
    assert claim.contact is not None
    ticket = doors.accept(claim.contact, token)
    with doors.asking(claim.contact) as directory:
        person = directory.person_by_principal(ticket.principal)
        if person is None or person.disabled:
            raise SignInFailed(
                f"The ticket of {ticket.principal} is good, but the directory has no such user, "
                "or has disabled him."
            )
        return Proof(person=person, groups=directory.groups_of(person), reply=ticket.reply)


def accept(work: Work, claim: Claim, proof: Proof) -> User:
    """Return the user who proved to be one, made or refreshed from what the directory said.

    Raises `SignInFailed` when he is disabled here.
    """
    if claim.contact is not None and proof.person is not None:
        user = directory_people.take_in(work, claim.contact.realm_id, proof.person, proof.groups)
    else:
        assert claim.user_id is not None
        user = people.get(work, claim.user_id)
    if user.disabled_at is not None or not user.realm.enabled:
        raise refused()
    return user


def admit(work: Work, user: User) -> str:
    """Open a session; return its key for the cookie."""
    if user.disabled_at is not None or not user.realm.enabled:
        raise refused()
    work.db.execute(delete(SignInFailure).where(SignInFailure.account == account_of(user)))
    key = sessions.begin(work, user)
    audit.record(work, "session.open", "user", user.id, user.name)
    return key


def refuse(work: Work, account: str, error: DomainError) -> None:
    """Write the failure down.  The caller commits, then raises."""
    now = work.now()
    work.db.add(SignInFailure(at=now, account=account, address=work.actor.address))
    work.db.execute(delete(SignInFailure).where(SignInFailure.at < now - timedelta(days=1)))
    attempts.record_sign_in(work, account, error.code)


def refused() -> SignInFailed:
    return SignInFailed("This user name and password do not fit together.")


def has_access(work: Work, user_id: int) -> bool:
    """Whether anybody granted the user anything."""
    return bool(privileges_anywhere(work.db, user_id))


# --- the second factor at sign-in ---
def half_way(work: Work, user: User) -> str:
    """Return what the browser brings back together with the code: sealed, for some minutes."""
    until = (work.now() + HALF_WAY).timestamp()
    return seals.seal(
        work, json.dumps({"half_way": user.id, "account": account_of(user), "until": until})
    )


def pending(work: Work, sealed: str) -> Pending:
    """Open it again; raises `SignInFailed` when it is too old or not ours."""
    try:
        values = json.loads(seals.unseal(work, sealed))
        found = Pending(user_id=values["half_way"], account=values["account"])
        late = values["until"] < work.now().timestamp()
    except (SettingInvalid, ValueError, KeyError, TypeError):
        raise SignInFailed("This does not go on from here. Sign in once more.") from None
    if late:
        raise SignInFailed("That took too long. Sign in once more.")
    _throttle(work, found.account)
    return found


def second(work: Work, waiting: Pending, code: str) -> tuple[User, list[str]]:
    """Take the second factor's code; return the recovery codes too when this confirmed it.

    Raises `SignInFailed` for a wrong code, or one that was used before.
    """
    user = people.get(work, waiting.user_id)
    if second_factors.confirmed(work, user.id) is None:
        return user, second_factors.confirm(work, user, code)
    if not second_factors.takes(work, user, code):
        raise second_factors.wrong()
    return user, []


def account_of(user: User) -> str:
    """Return the user's name for the throttle."""
    return f"{user.name_key}@{user.realm.name}"[:300]


def throttle(work: Work, user: User) -> None:
    """Raise `SignInThrottled` for signed-in users too: a wrong old password counts elsewhere."""
    _throttle(work, account_of(user))


def _throttle(work: Work, account: str) -> None:
    since = work.now() - timedelta(minutes=work.settings.signin_window_minutes)
    rows = work.db.execute(
        select(SignInFailure.account, SignInFailure.address, func.count(SignInFailure.id))
        .where(
            SignInFailure.at > since,
            or_(SignInFailure.account == account, SignInFailure.address == work.actor.address),
        )
        .group_by(SignInFailure.account, SignInFailure.address)
    ).all()
    of_account = sum(count for name, _, count in rows if name == account)
    of_address = sum(count for _, address, count in rows if address == work.actor.address)
    allowed = work.settings.signin_failures
    if of_account >= allowed or of_address >= allowed * ADDRESS_FACTOR:
        minutes = work.settings.signin_window_minutes
        raise SignInThrottled(
            f"Too many failed sign-ins. Try again in {minutes} minutes.", retry_after=minutes * 60
        )

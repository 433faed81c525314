"""One's own password: proved by the old one, changed where it is kept.

As at sign-in no transaction is open while argon2 works or a directory is asked, and wrong tries
are throttled: they may lock the account in the directory.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ovcadmin.errors import Forbidden, InvalidInput
from ovcadmin.services import audit, people, realms, sessions, sign_ins, users
from ovcadmin.services.realms import Contact, Directories
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Own:
    """Whose password it is, and where it is kept; outlives the transaction."""

    user_id: int
    name: str
    account: str
    """For the throttle."""
    password_hash: str | None = field(repr=False)
    contact: Contact | None


def look_up(work: Work, user_id: int) -> Own:
    """Read what is needed.  Raises `SignInThrottled`, `Forbidden` in a read-only directory."""
    user = people.get(work, user_id)
    if not users.changeable(user):
        raise Forbidden("Your password is kept by the company directory; change it there.")
    sign_ins.throttle(work, user)
    return Own(
        user_id=user.id,
        name=user.name,
        account=sign_ins.account_of(user),
        password_hash=user.password_hash,
        contact=None if user.realm.is_internal else realms.contact(work, user.realm),
    )


def prove_and_change(own: Own, doors: Directories, *, old: str, new: str, again: str) -> None:
    """Check the old password; in a directory also set the new one.

    Raises `InvalidInput` with the field `old`, `new` or `again`.
    """
    people.ensure_same(new, again)
    if own.contact is not None:
        with doors.asking(own.contact) as directory:
            directory.change_password(own.name, old=old, new=new)
    elif not people.proves(own.password_hash, old):
        raise InvalidInput(
            "The password was not changed.", fields={"old": "This is not your present password."}
        )


def changed(work: Work, own: Own, new: str) -> None:
    """Write it down; every other session of the user ends."""
    user = people.get(work, own.user_id)
    if own.contact is None:
        people.set_password(work, user, new)
    else:
        audit.record(work, "user.password", "user", user.id, user.name)
    sessions.revoke_others(work, user.id, keep=work.actor.session_id)

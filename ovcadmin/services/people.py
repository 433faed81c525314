"""People of the internal realm: their passwords, making and disabling them."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import select

from ovcadmin.domain import names
from ovcadmin.errors import InvalidInput, NotFound
from ovcadmin.models import Pool, Realm, User
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import audit, sessions
from ovcadmin.work import Work

INTERNAL = "internal"
ADMINISTRATOR = "administrator"
"""`User.disabled_by` of those whom somebody disabled here."""
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1000

_hasher = PasswordHasher()
_NOBODY = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)
"""What no password has made, checked with the same work: for names that nobody has."""


def get(work: Work, user_id: int) -> User:
    user = work.db.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.", user_id=user_id)
    return user


def find(work: Work, name: str, realm: str = INTERNAL) -> User | None:
    return work.db.scalar(
        select(User).join(Realm).where(Realm.name == realm, User.name_key == names.key(name))
    )


def may_on_root(work: Work, privilege: Privilege) -> bool:
    user_id = work.actor.user_id
    root = work.db.scalars(select(Pool.id).where(Pool.parent_id.is_(None))).one()
    return user_id is None or privilege in privileges_on(work.db, user_id, root)


def proves(password_hash: str | None, password: str) -> bool:
    """Check a password: no database, some 50 ms of CPU, the same when there is none to check."""
    if not 0 < len(password) <= LONGEST_PASSWORD:
        return False
    try:
        _hasher.verify(password_hash or _NOBODY, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
    return password_hash is not None


def ensure_same(new: str, again: str) -> None:
    if new != again:
        raise InvalidInput(
            "The password was not changed.", fields={"again": "The two entries differ."}
        )


def reset_password(work: Work, user: User, new: str) -> None:
    """Set somebody else's password; all sessions of the user end."""
    set_password(work, user, new)
    sessions.revoke_others(work, user.id, keep=work.actor.session_id)


def set_password(work: Work, user: User, password: str) -> None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidInput(
            "The password was not changed.",
            fields={"new": f"Use {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters."},
        )
    user.password_hash = _hasher.hash(password)
    audit.record(work, "user.password", "user", user.id, user.name)


def create(work: Work, *, name: str, password: str, display_name: str = "") -> User:
    """Make a user of the internal realm.  For administrators: nobody makes his own account."""
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        raise InvalidInput("The user needs a name.", fields={"name": str(error)}) from None
    if find(work, cleaned) is not None:
        raise InvalidInput(
            "The user cannot be made.", fields={"name": f"There is already a user {cleaned}."}
        )
    realm = work.db.scalars(select(Realm).where(Realm.name == INTERNAL)).one()
    user = User(
        realm_id=realm.id,
        name=cleaned,
        name_key=names.key(cleaned),
        display_name=display_name,
        created_at=work.now(),
    )
    work.db.add(user)
    work.db.flush()
    set_password(work, user, password)
    audit.record(work, "user.create", "user", user.id, user.name)
    return user


def set_disabled(work: Work, user: User, *, disabled: bool) -> None:
    """Disable or enable a user; a disabled one is out at the next request."""
    if disabled:  # before: the sessions of a disabled user are not among the living ones
        sessions.revoke_others(work, user.id, keep=None)
    user.disabled_at = work.now() if disabled else None
    user.disabled_by = ADMINISTRATOR if disabled else None
    announce_rights(work, user.id)
    audit.record(work, "user.disable" if disabled else "user.enable", "user", user.id, user.name)


def announce_rights(work: Work, *user_ids: int) -> None:
    """Tell open pages and consoles that the rights of these users changed."""
    from ovcadmin.services import pools  # noqa: PLC0415 - pools is built on this package

    root_id = pools.root(work).id if user_ids else 0
    for user_id in user_ids:
        announce(work.db, "user", user_id, root_id)

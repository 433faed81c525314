"""Users as administrators look after them: finding, making, editing, disabling, deleting.

People of a directory are changed in the directory first (where the realm allows it), outside of
any transaction; what it answers is then taken in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Select, delete, func, or_, select, true
from sqlalchemy.exc import IntegrityError

from ovcadmin.domain import names
from ovcadmin.drivers.directory.base import Directory, NewPerson, Person
from ovcadmin.errors import Conflict, Forbidden, InvalidInput, NotFound
from ovcadmin.models import (
    ConsoleSession,
    ConsoleTicket,
    Grant,
    IdempotencyKey,
    Membership,
    Realm,
    RecoveryCode,
    SecondFactor,
    Session,
    Token,
    TokenScope,
    User,
    ViewAs,
)
from ovcadmin.services import audit, directory_people, people, realms, sessions, super_admins
from ovcadmin.services.realms import Contact, Directories
from ovcadmin.work import Work

PAGE = 50
STATES = ("enabled", "disabled")
REMOVED = "removed"
"""`User.disabled_by` of those who were deleted, but whom the history still names."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    text: str = ""
    realm_id: int | None = None
    state: str = ""
    """One of STATES; blank: both."""
    page: int = 1


@dataclass(frozen=True, kw_only=True)
class Target:
    """A user whom a change is about, and where it is made; outlives the transaction."""

    user_id: int
    key: str
    """Of the directory; blank for the internal realm."""
    contact: Contact | None


def get(work: Work, user_id: int) -> User:
    """Return a user who was not deleted."""
    user = people.get(work, user_id)
    if user.disabled_by == REMOVED:
        raise NotFound("This user was deleted.", user_id=user_id)
    return user


def listing(work: Work, wanted: Filter) -> tuple[list[User], int]:
    """Return one page of users by name, and how many there are in all."""
    statement = _select(wanted)
    total = work.db.scalar(select(func.count()).select_from(statement.subquery())) or 0
    rows = work.db.scalars(
        statement.order_by(User.name_key, User.id).limit(PAGE).offset((wanted.page - 1) * PAGE)
    )
    return list(rows), total


def after(work: Work, wanted: Filter, *, sort: str, place: int | None, size: int) -> list[User]:
    """Return the next users in the order of `sort`, for readers that want all of them.

    `place`: by id the last one seen (`id`, `-id`), by name how many were seen (`name`, `-name`).
    """
    statement = _select(wanted).limit(size)
    if sort == "id":
        statement = statement.where(User.id > (place or 0)).order_by(User.id)
    elif sort == "-id":
        seen = User.id < place if place is not None else true()
        statement = statement.where(seen).order_by(User.id.desc())
    else:
        order = (User.name_key, User.id)
        down = sort.startswith("-")
        statement = statement.order_by(*(key.desc() if down else key for key in order))
        statement = statement.offset(place or 0)
    return list(work.db.scalars(statement))


def _select(wanted: Filter) -> Select[User]:
    statement = select(User).where(User.disabled_by.is_distinct_from(REMOVED))
    if wanted.text:
        part = f"%{_literal(names.key(wanted.text))}%"
        statement = statement.where(
            or_(
                User.name_key.like(part, escape="\\"),
                func.lower(User.display_name).like(part, escape="\\"),
                func.lower(User.email).like(part, escape="\\"),
            )
        )
    if wanted.realm_id is not None:
        statement = statement.where(User.realm_id == wanted.realm_id)
    if wanted.state:
        gone = User.disabled_at.is_not(None)
        statement = statement.where(gone if wanted.state == "disabled" else ~gone)
    return statement


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def writable_realms(work: Work) -> list[Realm]:
    """Return the realms in which users can be made from here."""
    return [
        realm
        for realm in realms.listing(work)
        if realm.enabled and (realm.is_internal or realm.settings.get("writable"))
    ]


def changeable(user: User) -> bool:
    """Whether name, mail and password of the user can be changed from here."""
    return user.realm.is_internal or bool(user.realm.settings.get("writable"))


def target(work: Work, user_id: int) -> Target:
    """Read what a change needs.  Raises `Forbidden` for the users of a read-only directory."""
    user = get(work, user_id)
    if user.realm.is_internal:
        return Target(user_id=user.id, key="", contact=None)
    if not changeable(user):
        raise Forbidden(
            f"{user.realm.label} is read-only here: change its users in the directory itself."
        )
    contact = realms.contact(work, user.realm)
    return Target(user_id=user.id, key=user.directory_key or "", contact=contact)


# --- what happens in a directory, in no transaction ---
def create_outside(contact: Contact, doors: Directories, **given: str) -> Person:
    """Make a person in a directory; `given` are the parts of a `NewPerson`."""
    new = NewPerson(**given)
    with doors.asking(contact) as directory, _at_password():
        return directory.create_person(new)


def change_outside(
    where: Target, doors: Directories, change: Callable[[Directory, str], Person | None]
) -> Person | None:
    """Change the person in the directory; do nothing for the internal realm."""
    if where.contact is None:
        return None
    with doors.asking(where.contact) as directory:
        return change(directory, where.key)


# --- what happens here ---
def create(work: Work, *, name: str, password: str, display_name: str, email: str) -> User:
    """Make a user of the internal realm."""
    with _at_password():
        user = people.create(work, name=name, password=password, display_name=display_name)
    user.email = _email(email)
    return user


def changed_outside(work: Work, where: Target, person: Person | None, action: str) -> None:
    """Write down what a directory made of a change; a password changes nothing that is seen."""
    assert where.contact is not None
    if person is not None:
        took_in(work, where.contact, person, action)
        return
    user = people.get(work, where.user_id)
    sessions.revoke_others(work, user.id, keep=work.actor.session_id)
    audit.record(work, action, "user", user.id, user.name, after={"realm": where.contact.name})


def took_in(work: Work, contact: Contact, person: Person, action: str) -> User:
    """Write down what a directory made of a change."""
    directory_people.hold(work, contact.realm_id)
    held = directory_people.groups_held(work, contact.realm_id, [person.key])
    user = directory_people.bring_in_line(work, contact.realm_id, person, held)
    audit.record(work, action, "user", user.id, user.name, after={"realm": contact.name})
    return user


def edit(work: Work, user: User, *, display_name: str, email: str) -> None:
    """Change a user of the internal realm."""
    before = {"display_name": user.display_name, "email": user.email}
    user.display_name, user.email = display_name.strip(), _email(email)
    after = {"display_name": user.display_name, "email": user.email}
    audit.record(work, "user.edit", "user", user.id, user.name, before=before, after=after)


def set_disabled(work: Work, user: User, *, disabled: bool) -> None:
    """Disable or enable a user here, whatever his directory says.

    Raises `LastSuperAdmin` when nobody else could look after the console, `Conflict` for oneself
    and for enabling whom the directory disabled.
    """
    if disabled:
        ensure_removable(work, user)
    elif user.disabled_by == directory_people.DIRECTORY:
        raise Conflict(
            f"{user.label} is disabled in the directory, or not there any more: enable him there."
        )
    people.set_disabled(work, user, disabled=disabled)


def ensure_removable(work: Work, user: User) -> None:
    if user.id == work.actor.user_id:
        raise Conflict("You cannot disable or delete yourself: another administrator can.")
    super_admins.ensure_remain(work, without_user_id=user.id)


def remove(work: Work, user: User) -> None:
    """Delete a user with grants, sessions, tokens and second factor; his machines stay.

    Whom the history names keeps his row, without rights and out of sight; his name is free again.
    """
    ensure_removable(work, user)
    sessions.revoke_others(work, user.id, keep=None)
    people.announce_rights(work, user.id)
    audit.record(work, "user.delete", "user", user.id, user.name, before={"realm": user.realm.name})
    for table in (Membership, RecoveryCode, SecondFactor, Grant):
        work.db.execute(delete(table).where(table.user_id == user.id))
    user.disabled_at, user.disabled_by, user.password_hash = work.now(), REMOVED, None
    user.name_key = directory_people.nobodys(user)
    work.db.flush()
    try:
        with work.db.begin_nested():
            _forget(work, user.id)
    except IntegrityError:
        pass  # the history names him


def _forget(work: Work, user_id: int) -> None:
    tokens = select(Token.id).where(Token.user_id == user_id)
    own_sessions = select(Session.id).where(Session.user_id == user_id)
    work.db.execute(delete(TokenScope).where(TokenScope.token_id.in_(tokens)))
    work.db.execute(delete(ViewAs).where(ViewAs.session_id.in_(own_sessions)))
    for table in (ConsoleSession, ConsoleTicket, Token, Session, IdempotencyKey):
        work.db.execute(delete(table).where(table.user_id == user_id))
    work.db.execute(delete(User).where(User.id == user_id))


@contextmanager
def _at_password() -> Iterator[None]:
    """The form of a new user calls the new password just that."""
    try:
        yield
    except InvalidInput as error:
        if "new" in error.fields:
            error.fields["password"] = error.fields.pop("new")
        raise


def _email(text: str) -> str:
    cleaned = text.strip()
    if cleaned and ("@" not in cleaned or " " in cleaned or not cleaned.isprintable()):
        raise InvalidInput("The user was not saved.", fields={"email": "This is no mail address."})
    return cleaned

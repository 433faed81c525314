"""The end of a directory realm: what hangs on it is shown first, then it goes with all of that.

Machines stay, and so does the row of every user whom the history names: without rights, out of
sight, his name free again.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, not_, or_, select, update
from sqlalchemy.exc import IntegrityError

from ovcadmin.errors import Conflict, InvalidInput, ObjectInUse
from ovcadmin.models import (
    Base,
    ConsoleSession,
    ConsoleTicket,
    Grant,
    Group,
    IdempotencyKey,
    Machine,
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
from ovcadmin.services import audit, directory_people, realm_sync, super_admins
from ovcadmin.services.users import REMOVED
from ovcadmin.work import Work

_OWN = (ConsoleSession, ConsoleTicket, ViewAs, Token, Session, IdempotencyKey)
"""What goes with a user; any other row that names him keeps his."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What the end of a realm takes along."""

    users: int
    groups: int
    grants: int
    tokens: int
    machines: int
    """Machines whose owner is one of the users; they stay."""


def preview(work: Work, realm: Realm) -> Ending:
    mine, groups = _users(realm), _groups(realm)
    living = User.disabled_by.is_distinct_from(REMOVED)
    return Ending(
        users=_count(work, User, User.realm_id == realm.id, living),
        groups=_count(work, Group, Group.realm_id == realm.id),
        grants=_count(work, Grant, or_(Grant.user_id.in_(mine), Grant.group_id.in_(groups))),
        tokens=_count(work, Token, Token.user_id.in_(mine), Token.revoked_at.is_(None)),
        machines=_count(work, Machine, Machine.owner_id.in_(mine), Machine.deleted_at.is_(None)),
    )


def remove(work: Work, realm: Realm, *, typed: str) -> Ending:
    """Delete the realm; `typed` is its name, as whoever asks for it wrote it.

    Raises `InvalidInput` for another name, `Conflict` while the realm is enabled or is being
    synchronised, `LastSuperAdmin` when nobody could look after the console any more.
    """
    if typed.strip() != realm.name:
        raise InvalidInput(
            "The realm was not deleted.", fields={"name": f"Type {realm.name} to delete it."}
        )
    if realm.enabled:
        raise Conflict(f"{realm.label} is enabled. Disable it first, then see who misses it.")
    if any(not row.ended for row in realm_sync.recent(work, realm)):
        raise ObjectInUse(f"{realm.label} is being synchronised: wait for that, or cancel it.")
    directory_people.hold(work, realm.id)
    super_admins.ensure_remain(work, without_realm_id=realm.id)
    found = preview(work, realm)
    told = {**vars(found), "label": realm.label}
    audit.record(work, "realm.delete", "realm", realm.id, realm.name, before=told)
    _strip(work, realm)
    try:
        with work.db.begin_nested():
            _forget(work, realm)
    except IntegrityError:
        pass  # the history names users in a way that is not known here
    _bury(work, realm)
    work.db.expire_all()
    return found


def _strip(work: Work, realm: Realm) -> None:
    """Take every right of its users and groups away."""
    mine, groups = _users(realm), _groups(realm)
    for table in (Membership, RecoveryCode, SecondFactor, Grant):
        _delete(work, table, table.user_id.in_(mine))
    _delete(work, Grant, Grant.group_id.in_(groups))
    _delete(work, Group, Group.realm_id == realm.id)
    keys: tuple[type[Session | Token], ...] = (Session, Token)
    for kind in keys:
        work.db.execute(
            update(kind)
            .where(kind.user_id.in_(mine), kind.revoked_at.is_(None))
            .values(revoked_at=work.now())
            .execution_options(synchronize_session=False)
        )


def _forget(work: Work, realm: Realm) -> None:
    """Delete the users whom nothing names."""
    nobody = and_(User.realm_id == realm.id, not_(_named()))
    gone = select(User.id).where(nobody)
    tokens = select(Token.id).where(Token.user_id.in_(gone))
    own_sessions = select(Session.id).where(Session.user_id.in_(gone))
    _delete(work, TokenScope, TokenScope.token_id.in_(tokens))
    _delete(work, ViewAs, ViewAs.session_id.in_(own_sessions))
    for table in _OWN:
        _delete(work, table, table.user_id.in_(gone))
    _delete(work, User, nobody)


def _named() -> ColumnElement[bool]:
    """The condition that a row which does not go with its user names him."""
    own = {table.__table__ for table in _OWN}
    columns = [
        key.parent
        for table in Base.metadata.sorted_tables
        if table not in own
        for key in table.foreign_keys
        if key.column.table is User.__table__ and key.ondelete != "CASCADE"
    ]
    return or_(*(exists().where(column == User.id) for column in columns))


def _bury(work: Work, realm: Realm) -> None:
    """Delete the realm itself; while users of it must stay, only put it out of sight."""
    if not _count(work, User, User.realm_id == realm.id):
        _delete(work, Realm, Realm.id == realm.id)
        return
    work.db.execute(
        update(User)
        .where(User.realm_id == realm.id, User.disabled_by.is_distinct_from(REMOVED))
        .values(
            disabled_at=work.now(),
            disabled_by=REMOVED,
            directory_key=None,
            dn="",
            email="",
        )
        .execution_options(synchronize_session=False)
    )
    # No typed name has a blank: the name is free for another realm.
    realm.name, realm.deleted_at = f"{realm.name} (deleted {realm.id})", work.now()
    realm.sealed_password, realm.sync_error = None, None
    realm.settings = {}
    work.db.flush()


def _users(realm: Realm) -> Select[int]:
    return select(User.id).where(User.realm_id == realm.id)


def _groups(realm: Realm) -> Select[int]:
    return select(Group.id).where(Group.realm_id == realm.id)


def _count(work: Work, table: type[Base], *conditions: ColumnElement[bool]) -> int:
    return work.db.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


def _delete(work: Work, table: type[Base], condition: ColumnElement[bool]) -> None:
    work.db.execute(delete(table).where(condition).execution_options(synchronize_session=False))

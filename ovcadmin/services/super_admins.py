"""Somebody is always Super Admin of the whole cloud.

Counted are enabled users of enabled realms, by their own grant on the root or by a group's.
Whoever changes rights by hand is refused when nobody would be left (`ensure_remain`).  A directory
cannot be refused: the last one stays one, whatever it says of him (`Keeper`).  That he may not
be in, it decides: what he holds open ends like anybody's (`directory_people.shut_out`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select, union_all

from ovcadmin.errors import LastSuperAdmin
from ovcadmin.models import Grant, Group, Membership, Realm, Role, User
from ovcadmin.models.database import lock_rows
from ovcadmin.security.privileges import SUPER_ADMIN
from ovcadmin.services import pools
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way by which somebody is Super Admin of the root."""

    user_id: int
    grant_id: int
    realm_id: int
    group_id: int | None
    """The group whose grant it is; None: his own."""


def take_turn(work: Work) -> None:
    """Wait until every other change of rights is over; what is read from now on includes it.

    Who needs the turn at a realm too (`directory_people.hold`) takes that one first.
    """
    turn = select(Role.id).where(Role.name == SUPER_ADMIN)
    work.db.execute(lock_rows(work.db, turn, of=Role))


def ensure_remain(
    work: Work,
    *,
    without_user_id: int | None = None,
    without_grant_id: int | None = None,
    without_realm_id: int | None = None,
) -> None:
    """Raise `LastSuperAdmin` when nobody would be Super Admin of the root any more.

    Asked before a user or realm is disabled or deleted, and before a grant ends or changes its
    role.
    """
    take_turn(work)
    present = ways(work)
    left = any(
        way.user_id != without_user_id
        and way.grant_id != without_grant_id
        and way.realm_id != without_realm_id
        for way in present
    )
    if present and not left:
        raise LastSuperAdmin(
            "This would leave nobody who is Super Admin of the whole cloud. Make somebody else "
            "Super Admin first."
        )


def ways(work: Work) -> list[Way]:
    """Return every way by which somebody is Super Admin of the root."""
    conditions = (
        Grant.pool_id == pools.root(work).id,
        Role.name == SUPER_ADMIN,
        User.disabled_at.is_(None),
        Realm.enabled,
    )
    own = (
        select(User.id, Grant.id, User.realm_id, Grant.group_id)
        .select_from(Grant)
        .join(Role)
        .join(User, User.id == Grant.user_id)
        .join(Realm, Realm.id == User.realm_id)
        .where(*conditions)
    )
    by_group = (
        select(User.id, Grant.id, User.realm_id, Grant.group_id)
        .select_from(Grant)
        .join(Role)
        .join(Group, Group.id == Grant.group_id)
        .join(Membership, Membership.group_id == Group.id)
        .join(User, User.id == Membership.user_id)
        .join(Realm, Realm.id == User.realm_id)
        .where(*conditions, Group.vanished_at.is_(None))
    )
    return [
        Way(user_id=user_id, grant_id=grant_id, realm_id=realm_id, group_id=group_id)
        for user_id, grant_id, realm_id, group_id in work.db.execute(union_all(own, by_group))
    ]


def groups_of(work: Work, realm_id: int) -> frozenset[str]:
    """Return the keys of the realm's groups whose members are Super Admins of the root."""
    statement = (
        select(Group.directory_key)
        .join(Grant, Grant.group_id == Group.id)
        .join(Role, Role.id == Grant.role_id)
        .where(Group.realm_id == realm_id, Role.name == SUPER_ADMIN)
        .where(Grant.pool_id == pools.root(work).id)
    )
    return frozenset(work.db.scalars(statement))


class Keeper:
    """Says who must stay in although a directory puts him out.

    One for each answer of a directory.  It remembers who went already: a trial, in which nobody
    really goes, comes to the same as the real thing.
    """

    def __init__(self, lost: Collection[int] = ()) -> None:
        """`lost` are those whom the directory does not know any more; they are out later.

        Who is still there is kept rather than one of them: he can sign in.
        """
        self._lost = set(lost)
        self._gone: set[int] = set()
        self._somebody_came = False

    def came(self) -> None:
        """Note that the same answer makes somebody Super Admin."""
        self._somebody_came = True

    def person(self, work: Work, out: Collection[int], demoted: Collection[int] = ()) -> int | None:
        """Return who of those that go must stay, if nobody else would be left.

        `out` are disabled, `demoted` only lose every group that makes somebody Super Admin.
        """
        if not self._going(work, out, demoted)[0]:
            return None
        take_turn(work)
        going, left = self._going(work, out, demoted)
        kept = None if left or self._somebody_came else min(going, default=None)
        self._gone |= going - {kept}
        self._lost -= {kept}
        return kept

    def _going(
        self, work: Work, out: Collection[int], demoted: Collection[int]
    ) -> tuple[set[int], set[int]]:
        """Return which Super Admins would be none any more, and which would be left."""
        present = [way for way in ways(work) if way.user_id not in self._gone]
        own = {way.user_id for way in present if way.group_id is None}
        everybody = {way.user_id for way in present}
        going = everybody.intersection(out) | (everybody.intersection(demoted) - own)
        return going, everybody - going - self._lost

    def group(self, work: Work, vanishing: Collection[int]) -> int | None:
        """Return which of these groups must stay, for its members are the last; None: none."""
        if all(way.group_id not in vanishing for way in ways(work)):
            return None
        take_turn(work)
        out = self._gone | self._lost
        left = [way for way in ways(work) if way.group_id not in vanishing]
        if any(way.user_id not in out for way in left):
            return None
        ends = [way for way in ways(work) if way.group_id in vanishing]
        ends.sort(key=lambda way: (way.user_id in out, way.group_id))
        return ends[0].group_id if ends else None

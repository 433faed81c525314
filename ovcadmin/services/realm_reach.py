"""What a synchronisation does to rights: who gains or loses which role on which pool.

A group of the directory may hold roles, so whoever comes into it or leaves it gains or loses
rights.  That is worked out before rows are written, for a trial and for the real thing alike.
Rights are the union of grants: told is only what other grants do not give all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ovcadmin.models import Grant, Group, Lineage, Machine, Membership, Role, User
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import directory_people, grants, pools
from ovcadmin.services.grants import Privileges
from ovcadmin.services.realm_tally import GAINS, LOSES, Tally, note
from ovcadmin.services.rights import path
from ovcadmin.work import Work

Held = tuple[int, int]
"""(role, pool)"""


@dataclass(frozen=True, kw_only=True)
class _Stand:
    """What somebody holds before and after; None while he is out."""

    name: str
    user_id: int | None
    before: frozenset[Held] | None
    after: frozenset[Held] | None


class RealmReach:
    """Make it before anything is changed: it remembers which groups gave what until then.

    What it finds goes into `told`; with one that an earlier attempt began it goes on from there.
    """

    def __init__(self, work: Work, realm_id: int, told: Tally) -> None:
        self._told = told
        self._lines = {
            (line["verb"], (line["role_id"], line["pool_id"])): line for line in told.lines
        }
        roles = work.db.scalars(select(Role)).unique().all()
        self._role_names = {role.id: role.name for role in roles}
        self._roles: dict[int, Privileges] = {role.id: grants.privileges_of(role) for role in roles}
        self._above: dict[int, frozenset[int]] = {}
        self._of_group: dict[str, set[Held]] = {}
        vanished = set()
        rows = work.db.execute(
            select(Group.directory_key, Group.vanished_at, Grant.role_id, Grant.pool_id)
            .join(Grant, Grant.group_id == Group.id)
            .where(Group.realm_id == realm_id)
        )
        for key, vanished_at, role_id, pool_id in rows:
            self._of_group.setdefault(key, set()).add((role_id, pool_id))
            if vanished_at is not None:
                vanished.add(key)
        if told.dormant is None:
            told.dormant = sorted(vanished)
        self._dormant = frozenset(told.dormant)
        """Groups that gave nothing until now."""

    def people(self, work: Work, made: directory_people.Plan) -> None:
        """Tell what a batch changes; call it before the batch is applied."""
        stands = []
        for person in made.people:
            row = made.rows.get(person.key)
            held = made.held.get(person.key, frozenset()) - self._dormant
            was_in = row is not None and row.disabled_at is None
            barred = row is not None and row.disabled_by not in (None, directory_people.DIRECTORY)
            stands.append(
                _Stand(
                    name=person.name,
                    user_id=row.id if row is not None else None,
                    before=self._by(held) if was_in else None,
                    after=None if person.disabled or barred else self._by(made.groups[person.key]),
                )
            )
        self._tell(work, stands)

    def vanished(self, work: Work, users: Collection[User]) -> None:
        """Tell what it changes that these are out; call it before they are."""
        held: dict[int, set[str]] = {}
        memberships = (
            select(Membership.user_id, Group.directory_key)
            .join(Group, Group.id == Membership.group_id)
            .where(Membership.user_id.in_([user.id for user in users]))
        )
        for user_id, key in work.db.execute(memberships):
            held.setdefault(user_id, set()).add(key)
        self._tell(
            work,
            [
                _Stand(
                    name=user.name,
                    user_id=user.id,
                    before=self._by(held.get(user.id, set()) - self._dormant),
                    after=None,
                )
                for user in users
            ],
        )

    def _by(self, groups: Iterable[str]) -> frozenset[Held]:
        return frozenset(held for key in groups for held in self._of_group.get(key, ()))

    def _tell(self, work: Work, stands: Iterable[_Stand]) -> None:
        concerned = [stand for stand in stands if stand.before != stand.after]
        if not concerned:
            return
        own = _own(work, [stand.user_id for stand in concerned if stand.user_id is not None])
        losers = {}
        for stand in concerned:
            mine = own.get(stand.user_id, frozenset())
            before = frozenset() if stand.before is None else stand.before | mine
            after = frozenset() if stand.after is None else stand.after | mine
            self._learn(work, {pool_id for _, pool_id in before | after})
            self._note(work, (GAINS, stand.name), after - before, before)
            if self._note(work, (LOSES, stand.name), before - after, after):
                losers[stand.user_id] = (before, after)
        self._strand(work, losers)

    def _note(
        self, work: Work, what: tuple[str, str], differing: Iterable[Held], other: frozenset[Held]
    ) -> bool:
        """Note (verb, name) for the differences that the other side does not make up for."""
        verb, name = what
        noted = False
        for held in differing:
            role_id, pool_id = held
            if not self._may(role_id) <= self._on(other, pool_id):
                note(self._lines.get((verb, held)) or self._begin(work, verb, held), name)
                noted = True
        return noted

    def _begin(self, work: Work, verb: str, held: Held) -> dict[str, Any]:
        """Begin a line."""
        role_id, pool_id = held
        pool = pools.get(work, pool_id)
        line = {
            "verb": verb,
            "role_id": role_id,
            "role": self._role_names[role_id],
            "pool_id": pool_id,
            "pool": path(pools.lineage(work, pool), pool),
            "count": 0,
            "names": [],
        }
        self._lines[verb, held] = line
        self._told.lines.append(line)
        return line

    def _on(self, held: Iterable[Held], pool_id: int) -> Privileges:
        """Return what these grants give on a pool."""
        above = self._above[pool_id]
        found = [self._may(role_id) for role_id, place in held if place in above]
        return frozenset().union(*found)

    def _may(self, role_id: int) -> Privileges:
        """Return what a role holds; one that was made meanwhile counts from the next time on."""
        return self._roles.get(role_id, frozenset())

    def _learn(self, work: Work, pool_ids: Collection[int]) -> None:
        """Read what is above these pools, themselves included."""
        new = set(pool_ids) - self._above.keys()
        if not new:
            return
        found: dict[int, set[int]] = {pool_id: set() for pool_id in new}
        rows = select(Lineage.pool_id, Lineage.ancestor_id).where(Lineage.pool_id.in_(new))
        for pool_id, ancestor_id in work.db.execute(rows):
            found[pool_id].add(ancestor_id)
        self._above |= {pool_id: frozenset(above) for pool_id, above in found.items()}

    def _strand(
        self, work: Work, losers: Mapping[int | None, tuple[frozenset[Held], frozenset[Held]]]
    ) -> None:
        """Note the machines that their own owner could not control any more."""
        owned = work.db.execute(
            select(Machine.name, Machine.pool_id, Machine.owner_id)
            .where(Machine.owner_id.in_(list(losers)), Machine.deleted_at.is_(None))
            .order_by(Machine.name_key, Machine.id)
        ).all()
        self._learn(work, {pool_id for _, pool_id, _ in owned})
        for name, pool_id, owner_id in owned:
            before, after = losers[owner_id]
            could = Privilege.CONTROL in self._on(before, pool_id)
            if could and Privilege.CONTROL not in self._on(after, pool_id):
                note(self._told.machines, name)


def _own(work: Work, user_ids: Collection[int]) -> dict[int | None, frozenset[Held]]:
    """Return what users hold by grants of their own."""
    found: dict[int | None, set[Held]] = {}
    statement = select(Grant.user_id, Grant.role_id, Grant.pool_id)
    for user_id, role_id, pool_id in work.db.execute(statement.where(Grant.user_id.in_(user_ids))):
        found.setdefault(user_id, set()).add((role_id, pool_id))
    return {user_id: frozenset(held) for user_id, held in found.items()}

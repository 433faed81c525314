"""Users and groups of a directory as rows: taken in, renamed, put out, and who is in which group.

A row is found again by the directory's lasting key, so a rename or a move changes nothing but
words.  All of it works on batches: a sign-in is a batch of one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import delete, insert, select, update

from ovcadmin.domain import names
from ovcadmin.drivers.directory.base import Group as Found
from ovcadmin.drivers.directory.base import Person
from ovcadmin.models import Grant, Group, Membership, Realm, Role, User
from ovcadmin.models.database import lock_rows
from ovcadmin.services import audit, people, sessions, super_admins, tokens
from ovcadmin.services.super_admins import Keeper
from ovcadmin.work import Work

DIRECTORY = "directory"
"""`User.disabled_by` of those whom the directory disabled or lost."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a batch of people changes; made without writing anything."""

    realm_id: int
    people: Sequence[Person]
    rows: Mapping[str, User]
    """Known users by directory key."""
    groups: Mapping[str, frozenset[str]]
    """Wanted group keys by directory key of the person."""
    held: Mapping[str, frozenset[str]]
    """The group keys that the rows have now."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    """(kind of change, name) in the order of the people."""
    changed: list[Person] = field(default_factory=list)
    """Those of the people whose rows are not in line."""
    kept: User | None = None
    """Who stays Super Admin, as the last one, although the directory says otherwise."""
    kept_out: bool = False
    """He was disabled there: he stays what he is, and nothing of his stays open."""

    def changes_groups(self, key: str) -> bool:
        return self.groups[key] != self.held.get(key, frozenset())


def plan(
    work: Work,
    realm_id: int,
    found: Sequence[Person],
    groups: Mapping[str, frozenset[str]],
    keeper: Keeper,
) -> Plan:
    """Compare people, and the keys of the groups of each, with what is known of them.

    Whom `keeper` keeps stays enabled, and in the groups that make him Super Admin.
    """
    made = _compare(work, realm_id, found, groups)
    top = super_admins.groups_of(work, realm_id) if made.changed else frozenset()
    kept = _kept(work, made, top, keeper)
    if kept is None:
        return made
    stays = {person.key: replace(person, disabled=False) for person in found if person.key == kept}
    held = made.groups[kept] | (made.held.get(kept, frozenset()) & top)
    people = [stays.get(person.key, person) for person in found]
    out = any(person.key == kept and person.disabled for person in found)
    made = _compare(work, realm_id, people, {**groups, kept: held})
    return replace(made, kept=made.rows[kept], kept_out=out)


def _kept(work: Work, made: Plan, top: frozenset[str], keeper: Keeper) -> str | None:
    """Return the key of the person who must stay Super Admin although the directory says no."""
    out: dict[int, str] = {}
    demoted: dict[int, str] = {}
    for person in made.changed:
        row = made.rows.get(person.key)
        if person.disabled:
            out |= {row.id: person.key} if row is not None else {}
        elif top & made.groups[person.key]:
            if row is None or row.disabled_by in (None, DIRECTORY):
                keeper.came()
        elif row is not None and top & made.held.get(person.key, frozenset()):
            demoted[row.id] = person.key
    kept = keeper.person(work, out, demoted) if out or demoted else None
    return None if kept is None else {**out, **demoted}[kept]


def _compare(
    work: Work, realm_id: int, found: Sequence[Person], groups: Mapping[str, frozenset[str]]
) -> Plan:
    keys = [person.key for person in found]
    rows = {
        str(row.directory_key): row
        for row in work.db.scalars(
            select(User).where(User.realm_id == realm_id, User.directory_key.in_(keys))
        )
    }
    made = Plan(
        realm_id=realm_id,
        people=found,
        rows=rows,
        groups=groups,
        held=groups_held(work, realm_id, keys),
    )
    for person in found:
        kinds = list(_differences(made, person))
        if kinds:
            made.changed.append(person)
            made.lines.extend((kind, person.name) for kind in kinds)
    return made


def groups_held(work: Work, realm_id: int, keys: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the keys of the groups that hold these people, as far as it is known here."""
    held: dict[str, set[str]] = {}
    memberships = (
        select(User.directory_key, Group.directory_key)
        .join(Membership, Membership.user_id == User.id)
        .join(Group, Group.id == Membership.group_id)
        .where(User.realm_id == realm_id, User.directory_key.in_(keys))
    )
    for key, group_key in work.db.execute(memberships):
        held.setdefault(str(key), set()).add(group_key)
    return {key: frozenset(values) for key, values in held.items()}


def _differences(made: Plan, person: Person) -> Iterable[str]:
    row = made.rows.get(person.key)
    if row is None:
        yield "added"
    elif (row.name, row.display_name, row.email, row.dn) != _words(person) or (
        row.name_key != names.key(person.name)
    ):
        yield "changed"
    if person.disabled and (row is None or row.disabled_at is None):
        yield "disabled"
    if row is not None and not person.disabled and row.disabled_by == DIRECTORY:
        yield "returned"
    if made.changes_groups(person.key):
        yield "groups"


def _words(person: Person) -> tuple[str, str, str, str]:
    return person.name, person.display_name, person.email, person.dn


def hold(work: Work, realm_id: int) -> None:
    """Take turns with whoever else writes people of this realm: names must not collide."""
    work.db.execute(lock_rows(work.db, select(Realm.id).where(Realm.id == realm_id), Realm))


def apply(work: Work, made: Plan) -> dict[str, User]:
    """Write a plan; return the users by directory key.  Needs the groups' rows and `hold`."""
    _free_names(work, made)
    users = dict(made.rows)
    for person in made.changed:
        row = users.get(person.key)
        if row is None:
            row = users[person.key] = User(
                realm_id=made.realm_id, directory_key=person.key, created_at=work.now()
            )
            work.db.add(row)
        row.name, row.display_name, row.email, row.dn = _words(person)
        row.name_key = names.key(person.name)
    work.db.flush()
    _switch(work, [(users[person.key], person.disabled) for person in made.changed])
    _join(work, made, users)
    if made.kept is not None and made.kept_out:
        shut_out(work, made.kept)
    work.db.flush()
    work.db.execute(
        update(User)
        .where(User.id.in_([user.id for user in users.values()]))
        .values(checked_at=work.now())
        .execution_options(synchronize_session=False)
    )
    return users


def _free_names(work: Work, made: Plan) -> None:
    """Take names away from rows that the directory gave to somebody else meanwhile."""
    wanted = {names.key(person.name): person.key for person in made.changed}
    if not wanted:
        return
    holders = work.db.scalars(
        select(User).where(User.realm_id == made.realm_id, User.name_key.in_(list(wanted)))
    )
    for row in list(holders):
        if row.directory_key != wanted[row.name_key]:
            row.name_key = nobodys(row)
    work.db.flush()


def nobodys(user: User) -> str:
    """Return a key that frees the user's name: no typed name has a line break."""
    return f"{user.name_key}\n{user.id}"


def _switch(work: Work, told: Iterable[tuple[User, bool]]) -> None:
    """Follow the directory; whom an administrator disabled here stays so."""
    out = []
    for user, disabled in told:
        if disabled and user.disabled_at is None:
            out.append(user)
        elif not disabled and user.disabled_by == DIRECTORY:
            user.disabled_at = user.disabled_by = None
            people.announce_rights(work, user.id)
            audit.record(work, "user.enable", "user", user.id, user.name, after={"by": DIRECTORY})
    put_out(work, out)


def put_out(work: Work, users: Sequence[User]) -> None:
    """The directory disabled or lost them: they are out, what is theirs stays.

    Few statements for many people: half of a company may go at once.
    """
    if not users:
        return
    sessions.end_all(work, [user.id for user in users])
    for user in users:
        user.disabled_at, user.disabled_by = work.now(), DIRECTORY
        audit.record(work, "user.disable", "user", user.id, user.name, after={"by": DIRECTORY})
    people.announce_rights(work, *(user.id for user in users))


def shut_out(work: Work, user: User) -> None:
    """End all that he holds open, and his tokens for good; he stays Super Admin, as the last one.

    The directory signs him in no more until it has him again.
    """
    if tokens.end_all(work, user.id) + sessions.end(work, user):
        people.announce_rights(work, user.id)


def _join(work: Work, made: Plan, users: Mapping[str, User]) -> None:
    changed = [key for key in users if made.changes_groups(key)]
    if not changed:
        return
    wanted = set().union(*(made.groups[key] for key in changed))
    ids = {group.directory_key: group.id for group in _rows(work, made.realm_id, wanted)}
    mine = [users[key].id for key in changed]
    work.db.execute(
        delete(Membership)
        .where(Membership.user_id.in_(mine))
        .execution_options(synchronize_session=False)
    )
    rows = [
        {"user_id": users[key].id, "group_id": ids[group]}
        for key in changed
        for group in made.groups[key]
    ]
    if rows:
        work.db.execute(insert(Membership), rows)
    people.announce_rights(work, *(users[key].id for key in changed if key in made.rows))
    _record_roles(work, made, {key: users[key] for key in changed})


def _record_roles(work: Work, made: Plan, users: Mapping[str, User]) -> None:
    """Write down every role that people lost or won because their groups changed."""
    moved = {key: made.held.get(key, frozenset()) ^ made.groups[key] for key in users}
    given = _roles(work, made.realm_id, set().union(*moved.values()))
    for key, user in users.items():
        for group_key in sorted(moved[key] & given.keys()):
            joins = group_key in made.groups[key]
            for pool_id, told in given[group_key]:
                audit.record(
                    work,
                    "group.join" if joins else "group.leave",
                    "user",
                    user.id,
                    user.name,
                    pool_id=pool_id,
                    before=None if joins else told,
                    after=told if joins else None,
                )


def _roles(
    work: Work, realm_id: int, keys: Collection[str]
) -> dict[str, list[tuple[int, dict[str, str]]]]:
    """Return by group key on which pools the groups hold a role, and the words for it."""
    found: dict[str, list[tuple[int, dict[str, str]]]] = {}
    statement = (
        select(Group.directory_key, Grant.pool_id, Role.name, Group.name, Realm.name)
        .join(Grant, Grant.group_id == Group.id)
        .join(Role, Role.id == Grant.role_id)
        .join(Realm, Realm.id == Group.realm_id)
        .where(Group.realm_id == realm_id, Group.directory_key.in_(keys))
        .order_by(Grant.id)
    )
    for key, pool_id, role, group, realm in work.db.execute(statement):
        told = {"role": role, "group": f"{group}@{realm}"}
        found.setdefault(key, []).append((pool_id, told))
    return found


def take_in_groups(work: Work, realm_id: int, found: Iterable[Found]) -> dict[str, int]:
    """Make or rename groups; return how many were `added`, `changed` or `returned`."""
    by_key = {group.key: group for group in found}
    rows = {row.directory_key: row for row in _rows(work, realm_id, by_key)}
    counts = {"added": 0, "changed": 0, "returned": 0}
    for key, group in by_key.items():
        row = rows.get(key)
        if row is None:
            counts["added"] += 1
            row = Group(realm_id=realm_id, directory_key=key)
            work.db.add(row)
        elif (row.name, row.dn) != (group.name, group.dn):
            counts["changed"] += 1
        if row.vanished_at is not None:
            counts["returned"] += 1
            row.vanished_at = None
        row.name, row.name_key, row.dn = group.name, names.key(group.name), group.dn
    work.db.flush()
    return counts


def _rows(work: Work, realm_id: int, keys: Collection[str]) -> list[Group]:
    if not keys:
        return []
    return list(
        work.db.scalars(
            select(Group).where(Group.realm_id == realm_id, Group.directory_key.in_(list(keys)))
        )
    )


def take_in(work: Work, realm_id: int, person: Person, groups: Sequence[Found]) -> User:
    """Make or refresh the user of one person, with the groups that hold him now."""
    hold(work, realm_id)
    take_in_groups(work, realm_id, groups)
    wanted = {person.key: frozenset(group.key for group in groups)}
    return bring_in_line(work, realm_id, person, wanted)


def bring_in_line(
    work: Work, realm_id: int, person: Person, groups: Mapping[str, frozenset[str]]
) -> User:
    """Make or refresh the user of one person; `groups` as in `plan`.  Needs `hold`."""
    wanted = {person.key: groups.get(person.key, frozenset())}
    made = plan(work, realm_id, [person], wanted, Keeper())
    return apply(work, made)[person.key]

"""Lists and single checks agree, whatever the tree and the grants."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from ovcadmin.models import (
    Grant,
    Group,
    Lineage,
    Machine,
    Membership,
    Pool,
    Role,
    RolePrivilege,
    User,
)
from ovcadmin.security import visibility
from ovcadmin.security.privileges import SHIPPED_ROLES, Privilege
from ovcadmin.security.visibility import (
    Scope,
    held,
    holders,
    privileges_anywhere,
    privileges_on,
    visible,
)
from ovcadmin.services import machine_lists, pools, realms, rights
from ovcadmin.work import Actor, Work
from tests.functional.world import World

TREES = st.lists(st.integers(min_value=0, max_value=100), max_size=12)
"""Each further pool hangs under the pool with this number, modulo those that are there."""
ROLES = st.lists(st.frozensets(st.sampled_from(sorted(Privilege))), min_size=3, max_size=3)
"""Roles that somebody made, beside those that ship."""
USERS = GROUPS = 3
GRANTS = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.just("user"), st.integers(min_value=0, max_value=USERS - 1)),
            st.tuples(st.just("group"), st.integers(min_value=0, max_value=GROUPS - 1)),
        ),
        st.sampled_from([*sorted(SHIPPED_ROLES), "own 0", "own 1", "own 2"]),
        st.integers(min_value=0, max_value=100),
    ),
    max_size=10,
    unique=True,
)
MEMBERS = st.sets(
    st.tuples(
        st.integers(min_value=0, max_value=USERS - 1),
        st.integers(min_value=0, max_value=GROUPS - 1),
    )
)
SOME = st.sets(st.integers(min_value=0, max_value=2))
"""Users that are disabled, or groups that vanished."""
SCOPES = st.none() | st.tuples(
    st.none() | st.integers(min_value=0, max_value=100),
    st.frozensets(st.sampled_from(sorted(Privilege))),
)
"""What a token leaves: a pool and privileges."""
Holder = tuple[str, int]


class Model:
    """The rights rules once more, as plain as they can be said."""

    def __init__(
        self,
        parents: list[int],
        grants: list[tuple[Holder, str, int]],
        roles: list[frozenset[Privilege]],
        *,
        members: set[tuple[int, int]] = frozenset(),
        disabled: set[int] = frozenset(),
        vanished: set[int] = frozenset(),
    ) -> None:
        self.members, self.disabled, self.vanished = members, disabled, vanished
        self.own_roles = {f"own {number}": held for number, held in enumerate(roles)}
        self.roles = {**SHIPPED_ROLES, **self.own_roles}
        self.parent = {0: None}
        for place in parents:
            self.parent[len(self.parent)] = place % len(self.parent)
        self.grants = {(who, role, place % len(self.parent)) for who, role, place in grants}

    def chain(self, pool: int) -> list[int]:
        above = self.parent[pool]
        return [pool] if above is None else [pool, *self.chain(above)]

    def holders(self, user: int) -> set[Holder]:
        """As whom he holds grants: himself, and the groups that hold him."""
        if user in self.disabled:
            return set()
        groups = {group for who, group in self.members if who == user}
        return {("user", user)} | {("group", group) for group in groups - self.vanished}

    def privileges(self, user: int, pool: int) -> set[Privilege]:
        return {
            privilege
            for who, role, where in self.grants
            if who in self.holders(user) and where in self.chain(pool)
            for privilege in self.roles[role]
        }

    def narrowed(self, user: int, pool: int, scope: tuple[int | None, frozenset]) -> set[Privilege]:
        """What a token leaves of it."""
        place, privileges = scope
        if place is not None and place % len(self.parent) not in self.chain(pool):
            return set()
        found = self.privileges(user, pool)
        return found & privileges if privileges else found


def _build(world: World, model: Model) -> tuple[list[Pool], list[User]]:
    users = [world.user(f"user{number}") for number in range(USERS)]
    with world.work() as work:
        groups = _groups(work, model, users)
        made = [pools.root(work)]
        for number in range(1, len(model.parent)):
            made.append(pools.create(work, made[model.parent[number]], name=f"pool{number}"))
        work.db.add_all(
            Role(name=name, privileges=[RolePrivilege(privilege=one.value) for one in held])
            for name, held in model.own_roles.items()
        )
        roles = {role.name: role for role in work.db.scalars(select(Role))}
        for (kind, number), role, where in model.grants:
            grant = Grant(role_id=roles[role].id, pool_id=made[where].id)
            if kind == "user":
                grant.user_id = users[number].id
            else:
                grant.group_id = groups[number].id
            work.db.add(grant)
        for number in model.disabled:
            work.db.get(User, users[number].id).disabled_at = work.now()
    return made, users


def _groups(work: Work, model: Model, users: list[User]) -> list[Group]:
    groups = [
        Group(
            realm_id=realms.listing(work)[0].id,
            directory_key=f"key{number}",
            dn=f"cn=group{number}",
            name=f"group{number}",
            name_key=f"group{number}",
            vanished_at=work.now() if number in model.vanished else None,
        )
        for number in range(GROUPS)
    ]
    work.db.add_all(groups)
    work.db.flush()
    work.db.add_all(
        Membership(user_id=users[user].id, group_id=groups[group].id)
        for user, group in model.members
    )
    return groups


@pytest.mark.requirement("PEER-03")
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    parents=TREES,
    grants=GRANTS,
    roles=ROLES,
    members=MEMBERS,
    disabled=SOME,
    vanished=SOME,
    scope=SCOPES,
)
def test_lists_and_single_checks_agree_with_the_rules(  # noqa: PLR0917 - what hypothesis draws
    world, parents, grants, roles, members, disabled, vanished, scope
):
    world.reset()
    model = Model(parents, grants, roles, members=members, disabled=disabled, vanished=vanished)
    made, users = _build(world, model)
    _put_machines(world, made, users[0])
    with world.work() as work:
        for number, user in enumerate(users):
            expected = {pool.id: model.privileges(number, place) for place, pool in enumerate(made)}
            _agree(work, user.id, expected)
            _explained(work, user, made, expected)
            if scope is not None:
                left = {
                    pool.id: model.narrowed(number, place, scope) for place, pool in enumerate(made)
                }
                _agree_narrowed(work, user.id, left, made, scope)


def _explained(work: Work, user: User, made: list[Pool], expected: dict[int, set]) -> None:
    for pool in made:
        assert set(rights.on(work, user, pool).privileges) == expected[pool.id]


def _agree_narrowed(work: Work, user_id: int, expected, made: list[Pool], scope) -> None:
    place, privileges = scope
    visibility.narrow(
        Scope(
            user_id=user_id,
            pool_id=None if place is None else made[place % len(made)].id,
            privileges=privileges,
        )
    )
    try:
        _agree(work, user_id, expected, told_to_others=False)
    finally:
        visibility.narrow(None)


def _put_machines(world: World, made: list[Pool], owner: User) -> None:
    image = world.image()
    with world.work() as work:
        work.db.add_all(
            Machine(
                uuid=f"uuid-{pool.id}",
                pool_id=pool.id,
                owner_id=owner.id,
                name="web",
                name_key="web",
                image_id=image.id,
                size_name="tiny",
                vcpus=1,
                memory=1,
                storage=1,
            )
            for pool in made
        )


def _agree(
    work: Work, user_id: int, expected: dict[int, set[Privilege]], *, told_to_others: bool = True
) -> None:
    everything = set().union(*expected.values())
    assert set(privileges_anywhere(work.db, user_id)) == everything
    for pool_id, privileges in expected.items():
        assert set(privileges_on(work.db, user_id, pool_id)) == privileges
    for privilege in Privilege:
        holds = {pool_id for pool_id, found in expected.items() if privilege in found}
        assert set(work.db.scalars(held(user_id, privilege))) == holds
        listed = select(Pool.id).where(visible(user_id, Pool.id, privilege))
        assert set(work.db.scalars(listed)) == holds
        if told_to_others:  # the gateway's question, which no token narrows
            pairs = work.db.execute(holders(privilege, [user_id], expected))
            assert {pool_id for _, pool_id in pairs} == holds
    sees = {pool_id for pool_id, found in expected.items() if Privilege.VIEW in found}
    as_user = Work(
        db=work.db,
        actor=Actor(user_id=user_id, name="user", door="page"),
        settings=work.settings,
    )
    assert {node.pool.id for node in pools.tree(as_user)} == sees
    listed_machines = machine_lists.listing(as_user, machine_lists.Filter(size=200))
    assert {row.machine.pool_id for row in listed_machines.rows} == sees
    assert listed_machines.total == len(sees)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(parents=TREES)
def test_the_lineage_table_is_the_tree(world, parents):
    world.reset()
    model = Model(parents, [], [])
    made, _ = _build(world, model)
    with world.work() as work:
        rows = {
            (row.ancestor_id, row.pool_id): row.distance for row in work.db.scalars(select(Lineage))
        }
    assert rows == {
        (made[above].id, pool.id): distance
        for place, pool in enumerate(made)
        for distance, above in enumerate(model.chain(place))
    }

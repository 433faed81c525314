"""Rights in a large cloud: the single check and the visible list, on SQLite and PostgreSQL.

10,000 pools (a tree of four levels), 20,000 users, 2,000 groups with 50,000 memberships and
100,000 grants.  Asked for users of each kind: with one grant, with many, by way of groups, and
the administrator of the root, who sees everything.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, insert, select

from bench._database import settle
from bench._report import percentile, report, timed
from ovcadmin.config import Settings
from ovcadmin.manage import schema
from ovcadmin.models import Grant, Group, Lineage, Membership, Pool, Realm, Role, User, utcnow
from ovcadmin.models.database import Database
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on, visible
from ovcadmin.services import setup
from ovcadmin.work import SYSTEM, Work
from tests import rig

POOLS, USERS, GROUPS, MEMBERSHIPS, GRANTS = 10_000, 20_000, 2_000, 50_000, 100_000
ASKED = 200
"""Users, and checks of each, picked by the same dice each time."""
PAGE = 50
AIM_MS = 20.0


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        _measure("sqlite", f"sqlite:///{directory}/rights.db", Path(directory))
        with rig.postgres() as server:
            _measure("postgresql", server.new_database(), Path(directory))


def _measure(kind: str, url: str, directory: Path) -> None:
    with _filled(url, directory) as database:
        dice = random.Random(4)
        _checks(kind, database, dice)
        _lists(kind, database, dice)


@contextmanager
def _filled(url: str, directory: Path) -> Iterator[Database]:
    database = Database(url)
    schema.upgrade(database)
    settings = Settings.from_mapping({"ovc.database_url": url, "ovc.data_dir": str(directory)})
    with database.writing() as db:
        setup.initialise(Work(db=db, actor=SYSTEM, settings=settings))
    with database.write.begin() as connection:
        _fill(connection, random.Random(1))
    settle(database)
    try:
        yield database
    finally:
        database.dispose()


def _fill(connection: Connection, dice: random.Random) -> None:
    root = connection.scalar(select(Pool.id))
    realm = connection.scalar(select(Realm.id))
    roles = list(connection.scalars(select(Role.id).where(Role.name != "Super Admin")))
    pools = _pools(connection, root, dice)
    now = utcnow()
    users = [
        {"id": number, "realm_id": realm, "name": f"u{number}", "name_key": f"u{number}",
         "display_name": "", "created_at": now}
        for number in range(10, 10 + USERS)
    ]  # fmt: skip
    groups = [
        {"id": number, "realm_id": realm, "directory_key": f"g{number}", "dn": f"cn=g{number}",
         "name": f"g{number}", "name_key": f"g{number}"}
        for number in range(1, GROUPS + 1)
    ]  # fmt: skip
    connection.execute(insert(User), users)
    connection.execute(insert(Group), groups)
    members = {(dice.choice(users)["id"], dice.choice(groups)["id"]) for _ in range(MEMBERSHIPS)}
    connection.execute(
        insert(Membership), [{"user_id": user, "group_id": group} for user, group in members]
    )
    rows = set()
    while len(rows) < GRANTS:
        # A few hold very many grants, most of them few.
        user = users[int(USERS * dice.random() ** 3)]["id"] if dice.random() < 0.9 else None
        group = None if user else dice.choice(groups)["id"]
        rows.add((user, group, dice.choice(roles), dice.choice(pools)))
    for of_group in (False, True):
        column = "group_id" if of_group else "user_id"
        connection.execute(
            insert(Grant),
            [
                {column: group or user, "role_id": role, "pool_id": pool, "created_at": now}
                for user, group, role, pool in sorted(rows, key=repr)
                if (group is not None) is of_group
            ],
        )


def _pools(connection: Connection, root: int, dice: random.Random) -> list[int]:
    """Make the tree: 20 accounts, each further pool under a random one, four levels at most."""
    chains = {root: [root]}
    for number in range(root + 1, root + POOLS):
        open_ = root if number < root + 20 else dice.choice(list(chains)[:2000])
        above = chains[open_] if len(chains[open_]) < 5 else chains[root]
        chains[number] = [*above, number]
    made = [
        {"id": pool, "parent_id": chain[-2], "name": f"p{pool}", "name_key": f"p{pool}",
         "description": "", "created_at": utcnow(), "version": 1}
        for pool, chain in chains.items()
        if pool != root
    ]  # fmt: skip
    connection.execute(insert(Pool), made)
    lines = [
        {"ancestor_id": above, "pool_id": pool, "distance": len(chain) - 1 - place}
        for pool, chain in chains.items()
        if pool != root
        for place, above in enumerate(chain)
    ]
    connection.execute(insert(Lineage), lines)
    return list(chains)


def _asked(database: Database, dice: random.Random) -> list[int]:
    """Users of every kind, the administrator of the root among them."""
    with database.reading() as db:
        users = list(db.scalars(select(User.id).order_by(User.id)))
    return [users[0], *users[1:20], *dice.sample(users, ASKED - 20)]


def _checks(kind: str, database: Database, dice: random.Random) -> None:
    users = _asked(database, dice)
    with database.reading() as db:
        pools = list(db.scalars(select(Pool.id)))
        asked = [(user, dice.choice(pools)) for user in users for _ in range(5)]
        times = [timed(partial(privileges_on, db, user, pool)) for user, pool in asked]
    _told(f"{kind}: permission check", times)


def _lists(kind: str, database: Database, dice: random.Random) -> None:
    def first_page(user: int) -> Callable[[], object]:
        statement = (
            select(Pool.id, Pool.name)
            .where(visible(user, Pool.id, Privilege.VIEW))
            .order_by(Pool.name_key)
            .limit(PAGE)
        )
        return lambda: db.execute(statement).all()

    with database.reading() as db:
        times = [timed(first_page(user)) for user in _asked(database, dice)]
    _told(f"{kind}: visible list, first {PAGE} pools", times)


def _told(name: str, times: list[float]) -> None:
    report(f"{name}, p50", percentile(times, 50) * 1000, "ms")
    report(f"{name}, p95", percentile(times, 95) * 1000, "ms", aim=AIM_MS)


if __name__ == "__main__":
    main()

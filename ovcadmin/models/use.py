"""What the subtree of each pool uses: counters that change with the reservations.

A transaction notes what it changes, pool by pool; `settle` adds that to the pool and every pool
above it, when limits are decided about and at the latest at its end.  All counters change under
one lock, which is held until the commit.  It is taken last, when all rows that a transaction
changes are its own: whoever holds it waits for nobody, so no two can wait for each other.

See docs/decisions/0028.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, SessionTransaction

from ovcadmin.domain.resources import NAMES, Resources
from ovcadmin.models.pools import PENDING, Lineage, PoolUse

_COLUMNS = (*NAMES, *PENDING.values())
_LOCK = "SELECT pg_advisory_xact_lock(5486003)"
_LOCKED = "use_locked"
"""Key of `Session.info`: the transaction that has the lock."""
_NOTED = "use"
"""Key of `Session.info`: amounts by (pool, whether they are pending), not settled yet."""

_before: WeakKeyDictionary[SessionTransaction, dict[tuple[int, bool], Resources]] = (
    WeakKeyDictionary()
)
"""What was noted when a savepoint was made."""


def _adding(insert: Any) -> Any:
    """Build the statement that adds amounts to a pool and to every pool above it."""
    table = PoolUse.__table__
    amounts = [bindparam(name, type_=BigInteger()) for name in _COLUMNS]
    above = select(Lineage.ancestor_id, *amounts).where(Lineage.pool_id == bindparam("of"))
    statement = insert(table).from_select(["pool_id", *_COLUMNS], above)
    return statement.on_conflict_do_update(
        index_elements=["pool_id"],
        set_={name: table.c[name] + statement.excluded[name] for name in _COLUMNS},
    ).returning(table.c.pool_id)


_ADD = {"postgresql": _adding(postgresql.insert), "sqlite": _adding(sqlite.insert)}


def lock(session: Session) -> None:
    """Make this transaction the only one that decides about limits and use, until it ends.

    One lock for all: the root is above every pool.  Under SQLite a writer is alone anyway.
    """
    transaction = session.get_transaction()
    if session.get_bind().dialect.name == "postgresql" and (
        transaction is None or session.info.get(_LOCKED) is not transaction
    ):
        session.connection().exec_driver_sql(_LOCK)
        session.info[_LOCKED] = session.get_transaction()


def note(session: Session, pool_id: int, amounts: Resources, *, pending: bool) -> None:
    """Note that the pool's own reservations grew by these amounts; negative ones shrank."""
    noted = session.info.setdefault(_NOTED, {})
    key = (pool_id, pending)
    noted[key] = noted.get(key, Resources()) + amounts


def settle(session: Session) -> set[int]:
    """Add what was noted to the counters; return the pools whose use changed."""
    noted: dict[tuple[int, bool], Resources] = session.info.pop(_NOTED, {})
    if not any(noted.values()):
        return set()
    session.flush()
    lock(session)
    statement = _ADD[session.get_bind().dialect.name]
    changed: set[int] = set()
    for pool_id in {pool_id for pool_id, _ in noted}:
        held = noted.get((pool_id, False), Resources())
        pending = noted.get((pool_id, True), Resources())
        values = dict(held.items()) | {PENDING[name]: amount for name, amount in pending.items()}
        changed.update(session.connection().execute(statement, {"of": pool_id, **values}).scalars())
    return changed


def begun(session: Session, transaction: SessionTransaction) -> None:
    """A savepoint keeps what was noted before it."""
    if transaction.nested:
        _before[transaction] = dict(session.info.get(_NOTED, {}))


def undone(session: Session, transaction: SessionTransaction) -> None:
    """What was noted since is void with what it was noted for."""
    if transaction.nested:
        session.info[_NOTED] = _before.pop(transaction, {})
        session.info.pop(_LOCKED, None)  # a lock goes with the savepoint after which it was taken
    elif transaction.parent is None:
        session.info.pop(_NOTED, None)

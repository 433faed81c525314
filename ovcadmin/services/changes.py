"""The change feed as its readers see it: the names of what changed, as far as they may know them.

A reader is told that an object changed, never how: it fetches the object again by the ordinary
ways, where rights are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select

from ovcadmin.engine.dispatch import Watch
from ovcadmin.models import Change as Row
from ovcadmin.models.database import Database, latest_change
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import holders, visible
from ovcadmin.services import tokens
from ovcadmin.work import Work

CHANNEL = "ovc_change"
BATCH = 500
"""Changes that are read at once; whoever missed more starts afresh."""
KEEP = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Change:
    sequence: int
    kind: str
    object_id: int
    pool_id: int


@dataclass(frozen=True, kw_only=True)
class Missed:
    """What a reader missed while it was away.

    `complete` is false when the feed does not reach back far enough: anything may have changed.
    """

    changes: list[Change]
    complete: bool
    latest: int


def watch(database: Database, pause: Callable[[float], None]) -> Watch:
    """Return what waits for the next word of the feed."""
    return Watch(database, CHANNEL, pause=pause)


def latest(work: Work) -> int:
    return latest_change(work.db)


def after(work: Work, sequence: int) -> list[Change]:
    """Return the next changes, whoever may know of them; for readers that sort them out."""
    statement = select(Row).where(Row.sequence > sequence).order_by(Row.sequence).limit(BATCH)
    return [_change(row) for row in work.db.scalars(statement)]


def since(work: Work, sequence: int, user_id: int, token_id: int | None = None) -> Missed:
    """Return what the user may know of all that changed after `sequence`.

    With a token, only what is left by it.
    """
    newest = latest(work)
    oldest = work.db.scalar(select(Row.sequence).order_by(Row.sequence).limit(1)) or newest + 1
    statement = (
        select(Row)
        .where(Row.sequence > sequence, visible(user_id, Row.pool_id))
        .order_by(Row.sequence)
        .limit(BATCH + 1)
    )
    rows = [_change(row) for row in work.db.scalars(statement)]
    left = within(work, {token_id}, {row.pool_id for row in rows}).get(token_id)
    rows = rows if left is None else [row for row in rows if row.pool_id in left]
    reaches_back = oldest - 1 <= sequence <= newest
    if reaches_back and len(rows) <= BATCH:
        return Missed(changes=rows, complete=True, latest=newest)
    return Missed(changes=[], complete=False, latest=newest)


def audience(
    work: Work, pool_ids: Iterable[int], user_ids: Iterable[int]
) -> dict[int, frozenset[int]]:
    """Return for each of these users which of these pools he may view: one query for all."""
    statement = holders(Privilege.VIEW, user_ids, pool_ids)
    found: dict[int, set[int]] = {}
    for user_id, pool_id in work.db.execute(statement):
        found.setdefault(user_id, set()).add(pool_id)
    return {user_id: frozenset(pools) for user_id, pools in found.items()}


def within(
    work: Work, token_ids: Iterable[int | None], pool_ids: Iterable[int]
) -> dict[int | None, frozenset[int]]:
    """Return for each of these tokens in which of these pools it lets its user look."""
    keys, pools = {one for one in token_ids if one is not None}, set(pool_ids)
    found: dict[int | None, set[int]] = {key: set() for key in keys}
    for token_id, pool_id in tokens.reaching(work, Privilege.VIEW, keys, pools) if keys else ():
        found[token_id].add(pool_id)
    return {key: frozenset(pools) for key, pools in found.items()}


def sweep(work: Work) -> None:
    """Forget what no reader asks for any more; the newest line always stays."""
    work.db.execute(
        delete(Row)
        .where(Row.at < work.now() - KEEP, Row.sequence < latest(work))
        .execution_options(synchronize_session=False)
    )


def _change(row: Row) -> Change:
    return Change(
        sequence=row.sequence, kind=row.kind, object_id=row.object_id, pool_id=row.pool_id
    )

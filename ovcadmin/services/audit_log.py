"""Reading the audit log: who may read what of it, and finding something in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select

from ovcadmin.models import Audit, Lineage, Pool
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on, visible
from ovcadmin.services import pools
from ovcadmin.work import Work

PAGE = 50
MOST = 20_000
"""Rows of one export."""
REFUSED = "refused"
SETTLED = ("done", "accepted", "observed")
"""Outcomes that are no refusal."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Blank: not asked for."""

    actor: str = ""
    action: str = ""
    """`machine.start`, or a part such as `machine.`."""
    kind: str = ""
    object: str = ""
    """A part of its name, or `#7` for its number."""
    pool_id: int | None = None
    """It and everything below."""
    since: date | None = None
    until: date | None = None
    """The last day that counts; days are UTC's."""
    outcome: str = ""
    """`done`, `accepted`, `observed`, `refused` for any refusal, or an error code."""
    before: int | None = None
    """Only rows with a smaller number: the cursor."""


def listing(work: Work, wanted: Filter, *, size: int = PAGE) -> tuple[list[Audit], int | None]:
    """Return the newest matching rows that the actor may read, and the cursor of older ones."""
    statement = select(Audit).where(*readable(work), *_conditions(wanted))
    rows = list(work.db.scalars(statement.order_by(Audit.id.desc()).limit(size + 1)))
    more = len(rows) > size
    return rows[:size], rows[size - 1].id if more else None


def pool_names(work: Work, rows: list[Audit]) -> dict[int, str]:
    """Return the names of the rows' pools that are still there."""
    wanted = {row.pool_id for row in rows if row.pool_id is not None}
    found = work.db.execute(select(Pool.id, Pool.name).where(Pool.id.in_(wanted)))
    return {row[0]: row[1] for row in found}


def readable(work: Work) -> list[ColumnElement[bool]]:
    """Whoever sees the grants of a pool reads what was done there; of the root, everything."""
    user_id = work.actor.user_id
    if user_id is None:
        return []
    if Privilege.SEE_GRANTS in privileges_on(work.db, user_id, pools.root(work).id):
        return []
    column: Any = Audit.pool_id
    return [visible(user_id, column, Privilege.SEE_GRANTS)]


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    parts = [
        _holds(Audit.actor, wanted.actor),
        Audit.action.startswith(wanted.action, autoescape=True) if wanted.action else None,
        Audit.object_kind == wanted.kind if wanted.kind else None,
        _object(wanted.object),
        Audit.pool_id.in_(_below(wanted.pool_id)) if wanted.pool_id is not None else None,
        Audit.at >= _start(wanted.since) if wanted.since else None,
        Audit.at < _start(wanted.until + timedelta(days=1)) if wanted.until else None,
        _outcome(wanted.outcome),
        Audit.id < wanted.before if wanted.before is not None else None,
    ]
    return [part for part in parts if part is not None]


def _holds(column: Any, text: str) -> ColumnElement[bool] | None:
    if not text:
        return None
    found: ColumnElement[bool] = func.lower(column).contains(text.lower(), autoescape=True)
    return found


def _object(text: str) -> ColumnElement[bool] | None:
    number = text.removeprefix("#")
    if text.startswith("#") and number.isascii() and number.isdigit() and len(number) < 10:
        return Audit.object_id == int(number)
    return _holds(Audit.object_name, text)


def _outcome(text: str) -> ColumnElement[bool] | None:
    if text == REFUSED:
        return Audit.outcome.not_in(SETTLED)
    return Audit.outcome == text if text else None


def _below(pool_id: int) -> Any:
    return select(Lineage.pool_id).where(Lineage.ancestor_id == pool_id)


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)

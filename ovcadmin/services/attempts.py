"""What somebody tried and was refused, in the audit log: enough to see it, too little to drown it.

The log keeps every row for ever, so whoever is refused in a loop must not be able to fill it.  The
same attempt is written once within `WINDOW`, one origin (a user, or the address of a stranger) has
`MOST` rows in it, all strangers together `MOST_OF_STRANGERS`; the last of them says that more may
have followed.  The request log has every single one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select

from ovcadmin.models import Audit
from ovcadmin.services import audit
from ovcadmin.services.audit_log import SETTLED
from ovcadmin.work import Work

WINDOW = timedelta(hours=1)
MOST = 60
MOST_OF_STRANGERS = 1000
SAME_SIGN_IN = 10
"""So often the same account's failed sign-in from the same address is written within `WINDOW`."""
REFUSED = "request.refuse"
SIGN_IN = "session.open"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Plain values, which outlive the transaction of the request that was refused."""

    kind: str
    """Of the object: `machine`, `pool`; blank for none."""
    object_id: int | None
    name: str
    pool_id: int | None
    method: str
    path: str
    code: str
    """Of the refusal."""


def is_news(work: Work, tried: Attempt) -> bool:
    """Whether a refused request is to be written down; asked first, because it only reads."""
    same = _of_origin(work), Audit.action == REFUSED, Audit.object_name == tried.name
    of_object = Audit.object_kind == tried.kind, Audit.object_id == tried.object_id
    return not _count(work, *same, *of_object, Audit.outcome == tried.code) and _room(work) > 0


def record(work: Work, tried: Attempt) -> None:
    """Write a refused request down, unless enough of it is written."""
    if is_news(work, tried):
        room = _room(work)
        told = {"method": tried.method, "path": tried.path}
        audit.record(
            work, REFUSED, tried.kind, tried.object_id, tried.name,
            pool_id=tried.pool_id, after=_told(told, room), outcome=tried.code,
        )  # fmt: skip


def record_sign_in(work: Work, account: str, code: str, *, most: int = SAME_SIGN_IN) -> None:
    """Write a refused sign-in down, unless enough of it is written."""
    same = Audit.action == SIGN_IN, Audit.object_name == account, Audit.outcome == code
    if _count(work, _of_origin(work), *same) >= most:
        return
    room = _room(work)
    if room > 0:
        audit.record(work, SIGN_IN, "user", None, account, after=_told({}, room), outcome=code)


def _told(told: dict[str, str], room: int) -> dict[str, str]:
    return told if room > 1 else {**told, "note": "more refusals within the hour are not written"}


def _room(work: Work) -> int:
    """Return how many refusals may still be written now, whoever is refused."""
    room = MOST - _count(work, _of_origin(work))
    if work.actor.user_id is None:
        everybody = Audit.actor == work.actor.name
        room = min(room, MOST_OF_STRANGERS - _count(work, everybody))
    return room


def _of_origin(work: Work) -> ColumnElement[bool]:
    by = Audit.actor == work.actor.name
    return by if work.actor.user_id is not None else by & (Audit.address == work.actor.address)


def _count(work: Work, *conditions: ColumnElement[bool]) -> int:
    recent = Audit.at > work.now() - WINDOW, Audit.outcome.not_in(SETTLED)
    counted = select(func.count(Audit.id)).where(*recent, *conditions)
    return work.db.scalar(counted) or 0

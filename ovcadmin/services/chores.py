"""Chores: what one worker at a time does now and then."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from ovcadmin.models import Chore
from ovcadmin.work import Work

_LONGEST = timedelta(days=3660)


def asleep(work: Work, every: Mapping[str, timedelta]) -> set[str]:
    """Return the names of the chores that are not due yet; `every` says how often each is done."""
    now = work.now()
    rows = work.db.execute(select(Chore.name, Chore.due_at).where(Chore.due_at > now))
    return {name for name, due_at in rows if due_at <= now + every.get(name, _LONGEST)}


def take(work: Work, name: str, every: timedelta) -> bool:
    """Whether the chore is due and now ours; taking it makes it due again after `every`.

    One that is due later than that was taken by a clock that was ahead.
    A worker that dies in the middle loses that turn only: chores find by themselves what is left
    to do.
    """
    now = work.now()
    taken = work.db.execute(
        update(Chore)
        .where(Chore.name == name, or_(Chore.due_at <= now, Chore.due_at > now + every))
        .values(due_at=now + every)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount == 1:  # type: ignore[attr-defined]
        return True
    if work.db.get(Chore, name) is not None:
        return False
    try:
        with work.db.begin_nested():
            work.db.add(Chore(name=name, due_at=work.now() + every))
    except IntegrityError:
        return False  # another worker was the first
    return True

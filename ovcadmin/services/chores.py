"""Chores: what one worker at a time does now and then."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from ovcadmin.models import Chore
from ovcadmin.work import Work


def asleep(work: Work) -> set[str]:
    """Return the names of the chores that are not due yet."""
    return set(work.db.scalars(select(Chore.name).where(Chore.due_at > work.now())))


def take(work: Work, name: str, every: timedelta) -> bool:
    """Whether the chore is due and now ours; taking it makes it due again after `every`.

    A worker that dies in the middle loses that turn only: chores find by themselves what is left
    to do.
    """
    taken = work.db.execute(
        update(Chore)
        .where(Chore.name == name, Chore.due_at <= work.now())
        .values(due_at=work.now() + every)
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

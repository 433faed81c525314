"""Lending: a pool gives an amount of its limit to a sibling until a date.

A loan changes what both limits are in force, not what was set: while it is open the lender has so
much less and the borrower so much more.  At the end it returns by itself.  What the borrower
uses of it then stays lent for the days of grace, and returns piece by piece as it comes free;
after that it returns whatever is used, and the borrower can only shrink.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from ovcadmin.domain.amounts import show
from ovcadmin.domain.quota import phrase
from ovcadmin.domain.resources import LARGEST, NAMES, Resources
from ovcadmin.errors import Conflict, InvalidInput, NotFound, ObjectInUse
from ovcadmin.models import Loan, Pool
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on, visible
from ovcadmin.services import audit, limit_changes, quotas
from ovcadmin.services.limit_changes import Lowering
from ovcadmin.work import Work

LONGEST = timedelta(days=366)
LONGEST_GRACE = 30


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is agreed.  `amount` in the resource's own unit."""

    resource: str
    amount: int
    until: datetime
    grace_days: int = 0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A loan as one of its two pools sees it."""

    loan: Loan
    lends: bool
    """Whether it is the lender."""
    other: Pool | None
    """The pool on the other side; None when the actor may not see it."""
    in_grace: bool
    grace_until: datetime
    own: bool
    """Whether the actor may give it back now."""


def siblings(work: Work, pool: Pool) -> list[Pool]:
    """Return the siblings that the actor may see, by name."""
    statement = select(Pool).where(
        Pool.parent_id == pool.parent_id, Pool.id != pool.id, Pool.parent_id.is_not(None)
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Pool.id))
    return list(work.db.scalars(statement.order_by(Pool.name_key)).unique())


def lowering(work: Work, lender: Pool, borrower: Pool, terms: Terms) -> Lowering:
    """Say what the lender would miss.  Changes nothing; raises what `lend` would."""
    _ensure_sound(work, lender, borrower, terms)
    _ensure_free(work, lender, terms)
    lends = Resources(**{terms.resource: terms.amount})
    return limit_changes.lowering(work, lender, lender.limits, lends)


def lend(work: Work, lender: Pool, borrower: Pool, terms: Terms) -> Loan:
    """Lend from now on.  Raises `InvalidInput`, and `Conflict` when the lender has not so much."""
    _ensure_sound(work, lender, borrower, terms)
    quotas.lock_chain(work, lender, borrower)
    _ensure_free(work, lender, terms)
    loan = Loan(
        lender_id=lender.id,
        borrower_id=borrower.id,
        resource=terms.resource,
        amount=terms.amount,
        lent=terms.amount,
        until=terms.until,
        grace_days=terms.grace_days,
        note=terms.note,
        created_at=work.now(),
        user_id=work.actor.user_id,
    )
    work.db.add(loan)
    work.db.flush()
    _told(work, loan, "loan.lend", {"resource": terms.resource, "amount": terms.amount,
                                    "until": terms.until.isoformat()})  # fmt: skip
    return loan


def get(work: Work, loan_id: int) -> Loan:
    loan = work.db.get(Loan, loan_id)
    if loan is None:
        raise NotFound("There is no such loan.", loan_id=loan_id)
    return loan


def of(work: Work, pool: Pool) -> list[Side]:
    """Return the open loans of a pool, those that end first in front."""
    statement = (
        select(Loan)
        .options(joinedload(Loan.lender), joinedload(Loan.borrower))
        .where(
            Loan.returned_at.is_(None), or_(Loan.lender_id == pool.id, Loan.borrower_id == pool.id)
        )
        .order_by(Loan.until, Loan.id)
    )
    return [_side(work, loan, pool) for loan in work.db.scalars(statement).unique()]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A loan in a report.  A side that the actor may not see is blank."""

    loan: Loan
    lender: str
    borrower: str
    until: datetime
    """When it went back; of an open one, when it is to."""


def between(work: Work, start: datetime, end: datetime) -> list[Stretch]:
    """Return the loans of a span of time of which the actor sees a side, oldest first."""
    statement = (
        select(Loan)
        .options(joinedload(Loan.lender), joinedload(Loan.borrower))
        .where(Loan.created_at < end, or_(Loan.returned_at.is_(None), Loan.returned_at >= start))
        .order_by(Loan.created_at, Loan.id)
    )
    rows = list(work.db.scalars(statement).unique())
    sides = {number for row in rows for number in (row.lender_id, row.borrower_id)}
    seen = select(Pool.id).where(Pool.id.in_(sides))
    if work.actor.user_id is not None:
        seen = seen.where(visible(work.actor.user_id, Pool.id))
    known = set(work.db.scalars(seen))
    return [
        Stretch(
            loan=row,
            lender=row.lender.name if row.lender_id in known else "",
            borrower=row.borrower.name if row.borrower_id in known else "",
            until=row.returned_at or grace_until(row),
        )
        for row in rows
        if {row.lender_id, row.borrower_id} & known
    ]


def give_back(work: Work, loan: Loan) -> None:
    """Return a loan before its end; refused while the borrower uses it."""
    quotas.lock_chain(work, loan.lender, loan.borrower)
    work.db.refresh(loan)
    if loan.returned_at is not None:
        raise Conflict("This loan went back already.", loan_id=loan.id)
    kept = _in_use(work, loan)
    if kept:
        raise ObjectInUse(
            f"{loan.borrower.name} uses {show(loan.resource, kept)} of it. Stop or delete "
            "something first.",
            loan_id=loan.id,
        )
    _return(work, loan, kept=0)


def due(work: Work) -> list[int]:
    """Return the open loans whose time has come."""
    statement = select(Loan.id).where(Loan.returned_at.is_(None), Loan.until <= work.now())
    return list(work.db.scalars(statement.order_by(Loan.id)))


def settle(work: Work, loan_id: int) -> None:
    """Bring a loan that is due home, as far as its grace lets it."""
    loan = get(work, loan_id)
    quotas.lock_chain(work, loan.lender, loan.borrower)
    work.db.refresh(loan)
    if loan.returned_at is not None or loan.until > work.now():
        return
    kept = _in_use(work, loan) if work.now() < grace_until(loan) else 0
    if kept < loan.lent or not kept:
        _return(work, loan, kept=kept)


def grace_until(loan: Loan) -> datetime:
    return loan.until + timedelta(days=loan.grace_days)


def _in_use(work: Work, loan: Loan) -> int:
    """Return how much of the loan the borrower uses beyond what it has without it."""
    level = quotas.levels_of(work, [loan.borrower])[loan.borrower_id]
    limit = getattr(level.limits, loan.resource)
    if limit is None:
        return 0
    over = getattr(level.taken, loan.resource) - (limit - loan.lent)
    return int(min(max(over, 0), loan.lent))


def _return(work: Work, loan: Loan, *, kept: int) -> None:
    back = loan.lent - kept
    loan.lent = kept
    if not kept:
        loan.returned_at = work.now()
    work.db.flush()
    _told(work, loan, "loan.return", {"resource": loan.resource, "back": back, "kept": kept})


def _ensure_sound(work: Work, lender: Pool, borrower: Pool, terms: Terms) -> None:
    bad: dict[str, str] = {}
    if lender.parent_id is None or lender.parent_id != borrower.parent_id or lender is borrower:
        bad["to"] = "Only a sibling can borrow: a pool under the same parent."
    if terms.resource not in NAMES:
        bad["resource"] = "Choose one of the list."
    elif getattr(lender.limits, terms.resource) is None:
        bad["resource"] = f"{lender.name} has no limit of this, so nothing can be lent."
    elif getattr(borrower.limits, terms.resource) is None:
        bad["to"] = f"{borrower.name} has no limit of this and needs no loan."
    if not 0 < terms.amount <= LARGEST:
        bad["amount"] = "Lend more than nothing."
    if not work.now() < terms.until <= work.now() + LONGEST:
        bad["until"] = "Choose a day from tomorrow on, within a year."
    if not 0 <= terms.grace_days <= LONGEST_GRACE:
        bad["grace_days"] = f"At most {LONGEST_GRACE} days."
    if bad:
        raise InvalidInput("Nothing was lent.", fields=bad)


def _ensure_free(work: Work, lender: Pool, terms: Terms) -> None:
    name = terms.resource
    level = quotas.levels_of(work, [lender])[lender.id]
    free = getattr(level.limits, name) - getattr(level.taken, name)
    if terms.amount > free:
        raise Conflict(
            f"{lender.name} has only {phrase(name, max(free, 0))} free, so it cannot lend "
            f"{show(name, terms.amount)}.",
            free=max(free, 0),
        )


def _side(work: Work, loan: Loan, pool: Pool) -> Side:
    lends = loan.lender_id == pool.id
    other = loan.borrower if lends else loan.lender
    user_id = work.actor.user_id
    rights = set(Privilege) if user_id is None else privileges_on(work.db, user_id, other.id)
    borrower = rights if lends else None
    if borrower is None:
        borrower = set(Privilege) if user_id is None else privileges_on(work.db, user_id, pool.id)
    return Side(
        loan=loan,
        lends=lends,
        other=other if Privilege.VIEW in rights else None,
        in_grace=loan.until <= work.now(),
        grace_until=grace_until(loan),
        own=Privilege.SET_QUOTA in borrower,
    )


def _told(work: Work, loan: Loan, action: str, after: dict[str, object]) -> None:
    for pool in (loan.lender, loan.borrower):
        announce(work.db, "pool", pool.id, pool.id)
        audit.record(
            work, action, "pool", pool.id, pool.name, pool_id=pool.id,
            after={"loan_id": loan.id, **after},
        )  # fmt: skip

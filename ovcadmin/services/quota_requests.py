"""Requests for a higher limit: asked for by who was refused, decided by who sets that quota.

Who decides is whoever holds `set_quota` on the parent of the pool whose limit blocks (of the
root: on the root).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from ovcadmin.domain.quota import promised
from ovcadmin.domain.resources import LARGEST, NAMES, Limits
from ovcadmin.errors import Conflict, Forbidden, InvalidInput, NotFound
from ovcadmin.models import Pool, QuotaRequest, User
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit, pool_limits, pools, quotas
from ovcadmin.work import Work

LONGEST = 1000
SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What waits for the actor."""

    to_decide: int = 0
    answered: int = 0
    """Own requests whose answer he has not seen."""

    @property
    def total(self) -> int:
        return self.to_decide + self.answered


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What new limits mean for one level: the pool itself, or one above it."""

    pool: Pool
    resource: str
    before: int | None
    """The level's limit now; None is no limit."""
    after: int | None
    taken: int
    promised_before: int
    """Sum of its children's limits."""
    promised_after: int
    room: int | None
    """What is left below the limit after the change, before anything more is used."""

    @property
    def over_promised(self) -> bool:
        return self.after is not None and self.promised_after > self.after


def get(work: Work, request_id: int) -> QuotaRequest:
    found = work.db.get(QuotaRequest, request_id)
    if found is None:
        raise NotFound("There is no such request.", request_id=request_id)
    return found


def ask(
    work: Work, for_pool: Pool, level_id: int, amounts: dict[str, int], note: str
) -> QuotaRequest:
    """Ask for so much more of a level's limits.  Raises `InvalidInput` or `Conflict`."""
    level = next((step for step in pools.above(work, for_pool) if step.id == level_id), None)
    wanted = {name: amount for name, amount in amounts.items() if name in NAMES and amount > 0}
    limited = level is not None and all(getattr(level.limits, name) is not None for name in wanted)
    if level is None or not wanted or not limited or max(wanted.values()) > LARGEST:
        raise InvalidInput("There is nothing to ask for: no such limit stands in the way.")
    made = QuotaRequest(
        pool_id=level.id,
        for_pool_id=for_pool.id,
        user_id=work.actor.user_id,
        amounts=wanted,
        note=_written(note, "note"),
        created_at=work.now(),
    )
    try:
        with work.db.begin_nested():
            work.db.add(made)
    except IntegrityError:
        raise Conflict(
            f"You asked for more in {level.name} already; that request is still open.",
            pool_id=level.id,
        ) from None
    _told(work, made, "quota_request.ask", {"amounts": wanted, "note": made.note})
    return made


def inbox(work: Work, most: int = SHOWN) -> list[QuotaRequest]:
    """Return the open requests that the actor decides, oldest first."""
    statement = select(QuotaRequest).where(QuotaRequest.state == "open", _decides(work))
    return _listed(work, statement.order_by(QuotaRequest.id), most)


def decided(work: Work, most: int = SHOWN) -> list[QuotaRequest]:
    """Return the latest requests that were decided where the actor decides."""
    statement = select(QuotaRequest).where(
        QuotaRequest.state.in_(("approved", "declined")), _decides(work)
    )
    return _listed(work, statement.order_by(QuotaRequest.decided_at.desc()), most)


def own(work: Work, most: int = SHOWN) -> list[QuotaRequest]:
    """Return the actor's own requests, newest first."""
    statement = select(QuotaRequest).where(QuotaRequest.user_id == work.actor.user_id)
    return _listed(work, statement.order_by(QuotaRequest.id.desc()), most)


def counts(work: Work) -> Counts:
    """Return how many requests wait for the actor: for the menu."""
    waiting = select(func.count(QuotaRequest.id)).where(
        QuotaRequest.state == "open", _decides(work)
    )
    answered = select(func.count(QuotaRequest.id)).where(
        QuotaRequest.user_id == work.actor.user_id,
        QuotaRequest.state.in_(("approved", "declined")),
        QuotaRequest.seen_at.is_(None),
    )
    # One statement: every page asks.
    both = select(waiting.scalar_subquery(), answered.scalar_subquery())
    to_decide, told = work.db.execute(both).one()
    return Counts(to_decide=to_decide, answered=told)


def proposal(request: QuotaRequest) -> dict[str, int]:
    """Return the limits that would give what is asked for, no more."""
    return {
        name: (getattr(request.pool.limits, name) or 0) + amount
        for name, amount in request.amounts.items()
    }


def effects(work: Work, pool: Pool, new: dict[str, int | None]) -> list[Effect]:
    """Return what other limits of the pool mean for it and for each level above.

    Levels that the actor may not see are left out.
    """
    chain = list(reversed(pools.lineage(work, pool)))
    found = quotas.levels_of(work, chain)
    result = []
    for position, step in enumerate(chain):
        given = promised(child.limits for child in pools.children(work, step))
        for resource, limit in new.items():
            before = getattr(found[step.id].limits, resource)
            after = limit if step.id == pool.id else before
            grown = 0
            if position == 1 and pool.parent_id == step.id:
                grown = (limit or 0) - (getattr(pool.limits, resource) or 0)
            taken = getattr(found[step.id].taken, resource)
            result.append(
                Effect(
                    pool=step,
                    resource=resource,
                    before=before,
                    after=after,
                    taken=taken,
                    promised_before=getattr(given, resource),
                    promised_after=getattr(given, resource) + grown,
                    room=None if after is None else after - taken,
                )
            )
    return result


def approve(
    work: Work, request: QuotaRequest, limits: dict[str, int | None], reason: str = ""
) -> None:
    """Set the new limits and tell the requester.  Raises `Conflict` when it is decided already."""
    _decide(work, request, "approved", reason)
    pool = request.pool
    quotas.lock_chain(work, pool)
    work.db.refresh(pool, ["quota"])
    given = {name: limits[name] for name in request.amounts}
    pool_limits.set_limits(work, pool, Limits(**{**dict(pool.limits.items()), **given}))
    request.granted = given
    _told(work, request, "quota_request.approve", {"limits": given, "reason": request.reason})


def decline(work: Work, request: QuotaRequest, reason: str) -> None:
    """Say no, with the reason."""
    if not reason.strip():
        raise InvalidInput(
            "Nothing was declined.", fields={"reason": "Say why: the requester reads it."}
        )
    _decide(work, request, "declined", reason)
    _told(work, request, "quota_request.decline", {"reason": request.reason})


def withdraw(work: Work, request: QuotaRequest) -> None:
    _ensure_own(work, request)
    _decide(work, request, "withdrawn", "")
    _told(work, request, "quota_request.withdraw", {})


def see(work: Work, request: QuotaRequest) -> None:
    """The requester read the answer."""
    _ensure_own(work, request)
    request.seen_at = request.seen_at or work.now()


def _decide(work: Work, request: QuotaRequest, state: str, reason: str) -> None:
    """Decide once: of two at the same time one wins."""
    text = _written(reason, "reason")
    taken = work.db.execute(
        update(QuotaRequest)
        .where(QuotaRequest.id == request.id, QuotaRequest.state == "open")
        .values(state=state, reason=text, decided_at=work.now(), decided_by_id=work.actor.user_id)
        .execution_options(synchronize_session=False)
    )
    work.db.refresh(request)
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict(f"This request is {request.state} already.", request_id=request.id)


def _told(work: Work, request: QuotaRequest, action: str, after: dict[str, object]) -> None:
    pool = pools.get(work, request.pool_id)
    announce(work.db, "pool", pool.id, pool.parent_id or pool.id)
    audit.record(work, action, "quota_request", request.id, pool.name, pool_id=pool.id, after=after)


def _ensure_own(work: Work, request: QuotaRequest) -> None:
    if request.user_id != work.actor.user_id:
        raise Forbidden("This request is somebody else's.", request_id=request.id)


def _decides(work: Work) -> ColumnElement[bool]:
    """The predicate "the actor decides this request"."""
    assert work.actor.user_id is not None
    decided_at = (
        select(func.coalesce(Pool.parent_id, Pool.id))
        .where(Pool.id == QuotaRequest.pool_id)
        .scalar_subquery()
    )
    return visible(work.actor.user_id, decided_at, Privilege.SET_QUOTA)


def _listed(work: Work, statement: object, most: int) -> list[QuotaRequest]:
    loaded = statement.options(  # type: ignore[attr-defined]
        joinedload(QuotaRequest.pool),
        joinedload(QuotaRequest.for_pool),
        joinedload(QuotaRequest.user).lazyload(User.realm),
        joinedload(QuotaRequest.decided_by).lazyload(User.realm),
    )
    return list(work.db.scalars(loaded.limit(most)).unique())


def _written(text: str, field: str) -> str:
    if len(text) > LONGEST:
        raise InvalidInput(
            "This is too long.", fields={field: f"Use at most {LONGEST} characters."}
        )
    return text.strip()

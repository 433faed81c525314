"""A caller's case handed to somebody who can solve it, by a link that carries what is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import joinedload

from ovcadmin.errors import Conflict, InvalidInput
from ovcadmin.models import Grant, HelpCase, Machine, Membership, Operation, User
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.subjects import SUBJECTS, place
from ovcadmin.security.visibility import holders
from ovcadmin.services import audit, pools
from ovcadmin.work import Work

LONGEST = 4000
MOST_OWNERS = 50
SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is handed over."""

    kind: str
    row: Any
    owner: User
    text: str
    operation: Operation | None = None
    caller: User | None = None


def owners(work: Work, kind: str, row: Any) -> list[User]:
    """Return to whom a case about the thing can be handed, the nearest first.

    The owner of a machine, and those who may modify the pool.
    """
    pool = pools.get(work, place(work.db, kind, row))
    chain = [step.id for step in pools.above(work, pool)]
    by_group = select(Membership.user_id).join(Grant, Grant.group_id == Membership.group_id)
    near = or_(
        User.id.in_(select(Grant.user_id).where(Grant.pool_id.in_(chain))),
        User.id.in_(by_group.where(Grant.pool_id.in_(chain))),
    )
    reached = list(work.db.scalars(select(User.id).where(near, User.disabled_at.is_(None))))
    able = {user for user, _ in work.db.execute(holders(Privilege.MODIFY, reached, [pool.id]))}
    statement = select(User).where(User.id.in_(able)).order_by(User.name_key, User.id)
    found = list(work.db.scalars(statement.limit(MOST_OWNERS)).unique())
    if isinstance(row, Machine) and row.owner.disabled_at is None:
        found = [row.owner, *(one for one in found if one.id != row.owner_id)]
    return found


def hand_over(work: Work, draft: Draft) -> HelpCase:
    """Open a case.  Raises `InvalidInput`."""
    text = draft.text.strip()
    if not 0 < len(text) <= LONGEST:
        told = f"Say what it is about, in at most {LONGEST} characters."
        raise InvalidInput("The case is not handed over.", fields={"text": told})
    if draft.owner.id not in {one.id for one in owners(work, draft.kind, draft.row)}:
        raise InvalidInput(
            "The case is not handed over.",
            fields={"owner": "Choose the machine's owner, or somebody who may modify the pool."},
        )
    assert work.actor.user_id is not None, "people hand cases over"
    case = HelpCase(
        kind=draft.kind,
        object_id=draft.row.id,
        operation_id=draft.operation.id if draft.operation else None,
        caller_id=draft.caller.id if draft.caller else None,
        opened_by_id=work.actor.user_id,
        owner_id=draft.owner.id,
        text=text,
        created_at=work.now(),
    )
    work.db.add(case)
    work.db.flush()
    _told(work, "case.hand_over", case, {"to": draft.owner.name, "text": text})
    return case


def close(work: Work, case: HelpCase, answer: str) -> None:
    """End a case with what became of it.  Raises `Conflict` or `InvalidInput`."""
    answer = answer.strip()
    if case.closed_at is not None:
        raise Conflict("The case is closed already.")
    if not 0 < len(answer) <= LONGEST:
        told = f"Say what became of it, in at most {LONGEST} characters."
        raise InvalidInput("The case stays open.", fields={"answer": told})
    case.closed_at, case.closed_by_id, case.answer = work.now(), work.actor.user_id, answer
    work.db.flush()
    work.db.refresh(case, ["closed_by"])
    _told(work, "case.close", case, {"answer": answer})


def waiting(work: Work) -> int:
    """Return how many open cases were handed to the actor."""
    statement = select(func.count(HelpCase.id)).where(
        HelpCase.owner_id == work.actor.user_id, HelpCase.closed_at.is_(None)
    )
    return work.db.scalar(statement) or 0


def listing(
    work: Work, *, mine: bool = False, kind: str = "", object_id: int = 0
) -> list[HelpCase]:
    """Return cases, open ones first: handed to the actor or opened by him, or those of a thing.

    The cases of a thing are for whoever may see its grants; the caller of this checked it.
    """
    statement = select(HelpCase).options(joinedload(HelpCase.owner), joinedload(HelpCase.opened_by))
    if mine:
        user_id = work.actor.user_id
        statement = statement.where(
            or_(HelpCase.owner_id == user_id, HelpCase.opened_by_id == user_id)
        )
    else:
        statement = statement.where(HelpCase.kind == kind, HelpCase.object_id == object_id)
    ordered = statement.order_by(HelpCase.closed_at.is_not(None), HelpCase.id.desc())
    return list(work.db.scalars(ordered.limit(SHOWN)).unique())


def names(work: Work, cases: list[HelpCase]) -> dict[int, str]:
    """Return what each case is about, in a word that its owner may know: it was told to him."""
    return {case.id: thing(work, case).name for case in cases}


def thing(work: Work, case: HelpCase) -> Any:
    """Return the machine, pool or host that a case is about, whether or not it still runs."""
    return work.db.get(SUBJECTS[case.kind], case.object_id)


def _told(work: Work, action: str, case: HelpCase, after: dict[str, Any]) -> None:
    row = thing(work, case)
    pool_id = place(work.db, case.kind, row)
    audit.record(work, action, case.kind, row.id, row.name, pool_id=pool_id, after=after)

"""The audit log: who did what to what, from where, with which outcome."""

from __future__ import annotations

from typing import Any

from ovcadmin.models import Audit
from ovcadmin.work import Work


def record(  # noqa: PLR0913 - an audit row is wide, and every part is named by its caller
    work: Work,
    action: str,
    kind: str,
    object_id: int | None,
    name: str,
    *,
    pool_id: int | None = None,
    operation_id: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    outcome: str = "done",
) -> Audit:
    """Write one row, in the same transaction as what it tells of."""
    actor = work.actor
    row = Audit(
        at=work.now(),
        user_id=actor.user_id,
        actor=actor.name,
        door=actor.door,
        address=actor.address,
        request_id=work.request_id,
        action=action,
        object_kind=kind,
        object_id=object_id,
        object_name=name,
        pool_id=pool_id,
        operation_id=operation_id,
        before=before or {},
        after=after or {},
        outcome=outcome,
    )
    work.db.add(row)
    return row

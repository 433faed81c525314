"""The audit log: who did what to what, from where, with which outcome."""

from __future__ import annotations

from datetime import date
from typing import Any

from ovcadmin.api.endpoint import endpoint, query
from ovcadmin.api.lists import cursor
from ovcadmin.errors import InvalidInput
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import audit_log

PLAIN = (
    "id", "at", "actor", "door", "address", "request_id", "action", "object_kind", "object_id",
    "object_name", "pool_id", "operation_id", "before", "after", "outcome",
)  # fmt: skip


@endpoint("audit", "GET", permission=Privilege.SEE_GRANTS)
def listing(_context: Any, request: Any) -> dict[str, Any]:
    wanted = query(request)
    texts = {name: wanted[name] or "" for name in ("actor", "action", "kind", "object", "outcome")}
    rows, older = audit_log.listing(
        request.work,
        audit_log.Filter(
            **texts,
            pool_id=wanted["pool_id"],
            since=_day(wanted["since"], "since"),
            until=_day(wanted["until"], "until"),
            before=cursor(wanted["cursor"]),
        ),
        size=wanted["limit"],
    )
    return {
        "items": [{name: getattr(row, name) for name in PLAIN} for row in rows],
        "next": None if older is None else str(older),
    }


def _day(given: Any, field: str) -> date | None:
    if given is None or isinstance(given, date):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError:
        text = "Write a day like 2026-11-21."
        raise InvalidInput("Nothing was looked up.", fields={field: text}) from None

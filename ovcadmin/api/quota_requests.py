"""Requests for a higher limit: asking, deciding, reading the answer."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, query
from ovcadmin.api.lists import Listing
from ovcadmin.errors import InvalidInput
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import quota_requests

MOST = 1000

LISTS = {
    "to_decide": quota_requests.inbox,
    "decided": quota_requests.decided,
    "own": quota_requests.own,
}


@endpoint("quota_requests", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    whose = query(request)["whose"]
    rows = LISTS[whose](request.work, most=MOST)
    return Listing(rows, _shape, order="id" if whose == "to_decide" else "-id")


@endpoint("pool_quota_requests", "POST", permission=Privilege.CONTROL)
def ask(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    wanted = {name: int(amount) for name, amount in body["amounts"].items()}
    made = quota_requests.ask(
        request.work, context.pool, int(body["level_id"]), wanted, body.get("note", "")
    )
    request.response.status_int = 201
    return _shape(made)


@endpoint("quota_request", "GET", permission=Privilege.VIEW)
def show(context: Any, _request: Any) -> dict[str, Any]:
    return _shape(context.quota_request)


@endpoint("quota_request_decision", "POST", permission=Privilege.SET_QUOTA)
def decide(context: Any, request: Any) -> dict[str, Any]:
    """Approve with the limits that are given, else with those that were asked for; or decline."""
    body, row = request.openapi_validated.body, context.quota_request
    reason = body.get("reason", "")
    if body["action"] == "decline":
        quota_requests.decline(request.work, row, reason)
    else:
        limits: dict[str, int | None] = {**quota_requests.proposal(row)}
        for name, limit in body.get("limits", {}).items():
            if name not in limits:
                text = "This was not asked for."
                raise InvalidInput("Nothing was approved.", fields={f"limits.{name}": text})
            limits[name] = None if limit is None else int(limit)
        quota_requests.approve(request.work, row, limits, reason)
    return _shape(row)


@endpoint("quota_request_withdraw", "POST", permission=Privilege.VIEW)
def withdraw(context: Any, request: Any) -> dict[str, Any]:
    quota_requests.withdraw(request.work, context.quota_request)
    return _shape(context.quota_request)


@endpoint("quota_request_seen", "POST", permission=Privilege.VIEW)
def seen(context: Any, request: Any) -> Response:
    quota_requests.see(request.work, context.quota_request)
    return Response(status=204)


def _shape(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "pool": shapes.reference(row.pool),
        "user": f"{row.user.name}@{row.user.realm.name}",
        "amounts": dict(row.amounts),
        "note": row.note,
        "state": row.state,
        "reason": row.reason,
        "created_at": row.created_at,
        "decided_at": row.decided_at,
    }

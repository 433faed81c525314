"""What a pool arranges about its quota: shares of persons, warnings, defaults, loans."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.lists import Listing
from ovcadmin.api.pools import limits
from ovcadmin.domain.quota import WARNING_PERCENT
from ovcadmin.domain.resources import NAMES
from ovcadmin.errors import InvalidInput
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import limit_changes, loans, person_quotas, pool_limits


@endpoint("pool_persons", "GET", permission=Privilege.SET_QUOTA)
def persons(context: Any, request: Any) -> Listing:
    return _persons(request, context.pool)


@endpoint("pool_persons", "PUT", permission=Privilege.SET_QUOTA)
def set_person(context: Any, request: Any) -> Listing:
    body = request.openapi_validated.body
    given = limits(body["limits"])
    person_quotas.set_limits(request.work, context.pool, body.get("who", ""), given)
    return _persons(request, context.pool)


@endpoint("pool_persons_preview", "POST", permission=Privilege.SET_QUOTA)
def preview_person(context: Any, request: Any) -> dict[str, Any]:
    """Tell what other limits would take away; nothing is changed."""
    body, given = request.openapi_validated.body, limits(request.openapi_validated.body["limits"])
    found = limit_changes.person_lowering(request.work, context.pool, body.get("who", ""), given)
    return shapes.lowering(found)


@endpoint("pool_policy", "GET", permission=Privilege.SET_QUOTA)
def policy(context: Any, _request: Any) -> dict[str, Any]:
    return _policy(context.pool)


@endpoint("pool_policy", "PUT", permission=Privilege.SET_QUOTA)
def set_policy(context: Any, request: Any) -> dict[str, Any]:
    body, pool = request.openapi_validated.body, context.pool
    warnings = {name: int(percent) for name, percent in body.get("warnings", {}).items()}
    pool_limits.set_policy(
        request.work,
        pool,
        warnings={name: warnings.get(name, WARNING_PERCENT) for name in NAMES},
        defaults=limits(body.get("defaults", {})),
    )
    return _policy(pool)


@endpoint("pool_loans", "GET", permission=Privilege.VIEW)
def list_loans(context: Any, request: Any) -> Listing:
    return Listing([_loan(side) for side in loans.of(request.work, context.pool)])


@endpoint("pool_loans", "POST", permission=Privilege.SET_QUOTA)
def lend(context: Any, request: Any) -> dict[str, Any]:
    pool, work = context.pool, request.work
    number = loans.lend(work, pool, *_deal(request, pool)).id
    request.response.status_int = 201
    return next(_loan(side) for side in loans.of(work, pool) if side.loan.id == number)


@endpoint("pool_loans_preview", "POST", permission=Privilege.SET_QUOTA)
def preview_loan(context: Any, request: Any) -> dict[str, Any]:
    """Tell what the lender would miss; nothing is changed."""
    pool = context.pool
    return shapes.lowering(loans.lowering(request.work, pool, *_deal(request, pool)))


@endpoint("loan_return", "POST", permission=Privilege.SET_QUOTA)
def give_back(context: Any, request: Any) -> dict[str, Any]:
    loans.give_back(request.work, context.loan)
    return {"id": context.loan.id, "returned_at": context.loan.returned_at}


def _deal(request: Any, lender: Any) -> tuple[Any, loans.Terms]:
    """Read who borrows, and on what terms."""
    body = request.openapi_validated.body
    known = {one.id: one for one in loans.siblings(request.work, lender)}
    borrower = known.get(int(body["borrower_id"]))
    if borrower is None:
        text = "This is no pool beside it that you may see."
        raise InvalidInput("Nothing was lent.", fields={"borrower_id": text})
    return borrower, loans.Terms(
        resource=body["resource"],
        amount=int(body["amount"]),
        until=_last_moment(body["until"]),
        grace_days=int(body.get("grace_days", 0)),
        note=body.get("note", ""),
    )


def _persons(request: Any, pool: Any) -> Listing:
    return Listing(person_quotas.listing(request.work, pool), _share, order="")


def _share(share: Any) -> dict[str, Any]:
    return {
        "who": share.name if share.level else None,
        "limits": dict(share.row.limits.items()),
        "used": dict(share.level.used.items()) if share.level else None,
    }


def _policy(pool: Any) -> dict[str, Any]:
    warnings = pool.quota.warnings if pool.quota else {}
    defaults = pool.quota.defaults if pool.quota else {}
    return {
        "warnings": {name: (warnings or {}).get(name, WARNING_PERCENT) for name in NAMES},
        "defaults": {name: (defaults or {}).get(name) for name in NAMES},
    }


def _loan(side: loans.Side) -> dict[str, Any]:
    row = side.loan
    return {
        "id": row.id,
        "lends": side.lends,
        "other": shapes.reference(side.other),
        "resource": row.resource,
        "amount": row.amount,
        "lent": row.lent,
        "until": row.until,
        "grace_until": side.grace_until,
        "note": row.note,
    }


def _last_moment(given: Any) -> datetime:
    day = given if isinstance(given, date) else _day(given)
    return datetime.combine(day, time(23, 59, 59), UTC)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        told = {"until": "Write a day like 2026-12-31."}
        raise InvalidInput("Nothing was lent.", fields=told) from None

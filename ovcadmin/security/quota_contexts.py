"""Contexts of what people arrange about quotas; the same rules as `security.contexts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ovcadmin.models import Loan, LogicalGroup, Pool, QuotaRequest
from ovcadmin.security.contexts import Privileges, _found, _get, _nothing, _user_id
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on


@dataclass(frozen=True, kw_only=True)
class QuotaRequestContext:
    """A request for more; it is there for who asked and for who decides."""

    quota_request: QuotaRequest
    pool: Pool
    privileges: Privileges
    """On the pool where the quota is set, and VIEW."""
    own: bool
    """Whether the user asked it himself."""


@dataclass(frozen=True, kw_only=True)
class LogicalGroupContext:
    group: LogicalGroup
    pool: Pool
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class LoanContext:
    """A loan, seen from the borrower: who gives it back."""

    loan: Loan
    pool: Pool
    privileges: Privileges


def loan(request: Any) -> LoanContext:
    user_id = _user_id(request)
    found = _get(request, Loan, request.matchdict["id"])
    privileges = privileges_on(request.db, user_id, found.borrower_id)
    if Privilege.VIEW not in privileges:
        raise _nothing()
    return LoanContext(loan=found, pool=found.borrower, privileges=privileges)


def quota_request(request: Any) -> QuotaRequestContext:
    user_id = _user_id(request)
    found = _get(request, QuotaRequest, request.matchdict["id"])
    decided_at = found.pool.parent_id or found.pool_id
    privileges = privileges_on(request.db, user_id, decided_at)
    own = found.user_id == user_id
    if not own and Privilege.SET_QUOTA not in privileges:
        raise _nothing()
    return QuotaRequestContext(
        quota_request=found, pool=found.pool, privileges=privileges | {Privilege.VIEW}, own=own
    )


def logical_group(request: Any) -> LogicalGroupContext:
    found, privileges = _found(request, LogicalGroup)
    return LogicalGroupContext(group=found, pool=found.pool, privileges=privileges)

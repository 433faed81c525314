"""What leases the machines of a pool get by themselves."""

from __future__ import annotations

from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import lease_defaults, pools


@endpoint("pool_leases", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _shape(request, context.pool)


@endpoint("pool_leases", "PUT", permission=Privilege.MODIFY)
def set_leases(context: Any, request: Any) -> dict[str, Any]:
    body = dict(request.openapi_validated.body)
    inherit = body.pop("inherit", False)
    terms = None if inherit else lease_defaults.Terms(**{k: _whole(v) for k, v in body.items()})
    lease_defaults.set_own(request.work, context.pool, terms)
    return _shape(request, context.pool)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) else value


def _shape(request: Any, pool: Any) -> dict[str, Any]:
    found = lease_defaults.of(request.work, pool.id)
    terms = found or lease_defaults.Terms()
    own = found is not None and found.pool_id == pool.id
    known = {one.id: one for one in pools.lineage(request.work, pool)}
    source = known.get(found.pool_id) if found is not None else None
    return {
        "own": own,
        "pool": shapes.reference(source),
        "run_hours": terms.run_hours,
        "run_end": terms.run_end,
        "keep_days": terms.keep_days,
    }

"""Copies of machines: clones and templates."""

from __future__ import annotations

from typing import Any

from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.machines import accepted
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import clones, pools


@endpoint("machine_clones", "POST", permission=Privilege.CREATE)
def clone(context: Any, request: Any) -> dict[str, Any]:
    pool = target(request, context.pool)
    name = request.openapi_validated.body["name"]
    made = clones.clone(request.work, context.machine, pool, name)
    return accepted(request, made, made.tail_id)


@endpoint("machine_templates", "POST", permission=Privilege.MODIFY)
def template(context: Any, request: Any) -> dict[str, Any]:
    pool = target(request, context.pool)
    name = request.openapi_validated.body["name"]
    operation = clones.template(request.work, context.machine, pool, name)
    return accepted(request, context.machine, operation.id)


def target(request: Any, own: Any) -> Any:
    """Return the pool that the copy is to be in; one that may not be seen is as if not there."""
    number = request.openapi_validated.body.get("pool_id")
    if number is None:
        return own
    found = pools.get(request.work, int(number))
    if Privilege.VIEW not in privileges_on(request.db, request.identity.user_id, found.id):
        return pools.get(request.work, 0)
    return found

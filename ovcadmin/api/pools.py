"""Pools and their quota."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import Listing
from ovcadmin.api.versions import tell_content, tell_version, version
from ovcadmin.domain.resources import NAMES, Limits
from ovcadmin.security.policy import PARENT, SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import limit_changes, pool_limits, pools, quotas, tags


@endpoint("pools", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    asked = query(request)
    parent_id = asked["parent_id"]
    nodes = {node.pool.id: node for node in pools.tree(request.work)}
    found = [node.pool for node in nodes.values() if parent_id in (None, node.pool.parent_id)]
    found = tags.narrowed(request.work, "pool", found, word=asked["tag"] or "")
    return Listing(found, lambda row: {**shapes.pool(row), "machines": nodes[row.id].machines})


@endpoint("pool", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _one(context.pool, context.privileges, request)


@endpoint("pool_pools", "POST", permission=Privilege.MODIFY)
def create(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    made = pools.create(
        request.work, context.pool, name=body["name"], description=body.get("description", "")
    )
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "pool", id=made.id)
    return _one(made, context.privileges, request)


@endpoint("pool", "PATCH", permission=Privilege.MODIFY)
def edit(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    pool = context.pool
    pools.edit(
        request.work,
        pool,
        name=body.get("name", pool.name),
        description=body.get("description", pool.description),
        version=version(request, pool),
    )
    return _one(pool, context.privileges, request)


@endpoint("pool", "DELETE", permission=PARENT + Privilege.MODIFY)
def delete(context: Any, request: Any) -> Response:
    pools.delete(request.work, context.pool)
    return Response(status=204)


@endpoint("pool_quota", "GET", permission=Privilege.VIEW)
def quota(context: Any, request: Any) -> dict[str, Any]:
    return _levels(request, context.pool)


@endpoint("pool_quota", "PUT", permission=PARENT + Privilege.SET_QUOTA)
def set_quota(context: Any, request: Any) -> dict[str, Any]:
    pool_limits.set_limits(request.work, context.pool, limits(request.openapi_validated.body))
    return _levels(request, context.pool)


@endpoint("pool_quota_preview", "POST", permission=PARENT + Privilege.SET_QUOTA)
def preview(context: Any, request: Any) -> dict[str, Any]:
    """Tell what other limits would take away; nothing is changed."""
    given = limits(request.openapi_validated.body)
    return shapes.lowering(limit_changes.lowering(request.work, context.pool, given))


def limits(given: dict[str, Any]) -> Limits:
    """Read the limits of a body; null or left out is no limit."""
    return Limits(**{name: None if given.get(name) is None else int(given[name]) for name in NAMES})


def _levels(request: Any, pool: Any) -> dict[str, Any]:
    tell_content(request, dict(pool.limits.items()))
    return {"levels": [shapes.level(level) for level in quotas.levels(request.work, pool)]}


def _one(pool: Any, privileges: Any, request: Any) -> dict[str, Any]:
    tell_version(request, pool)
    return {**shapes.pool(pool), "privileges": sorted(privileges)}

"""Profiles, and machines made by them."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.copies import target
from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.lists import Listing
from ovcadmin.api.machines import accepted
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import cloud_init, profiles
from ovcadmin.services.profiles import Wish


@endpoint("profiles", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    return Listing(profiles.listing(request.work), _shape)


@endpoint("pool_profiles", "POST", permission=Privilege.MODIFY)
def create(context: Any, request: Any) -> dict[str, Any]:
    body = dict(request.openapi_validated.body)
    told = cloud_init.Wish.of(body.pop("cloud_init", None) or {})
    made = profiles.create(request.work, context.pool, Wish(cloud_init=told, **body))
    request.response.status_int = 201
    return _shape(made)


@endpoint("profile", "DELETE", permission=Privilege.MODIFY)
def delete(context: Any, request: Any) -> Response:
    profiles.delete(request.work, context.profile)
    return Response(status=204)


@endpoint("profile_machines", "POST", permission=Privilege.CREATE)
def use(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    pool = target(request, context.pool)
    made = profiles.use(request.work, context.profile, pool, body.get("name", ""))
    return accepted(request, made, made.tail_id)


def _shape(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "pool": shapes.reference(row.pool),
        "image": shapes.reference(row.image),
        "size": row.size_name,
        "network": row.network,
        "start": row.start,
        "cloud_init": shapes.cloud_init(row.cloud_init),
    }

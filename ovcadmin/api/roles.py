"""Roles: named sets of privileges."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path
from ovcadmin.api.lists import Listing
from ovcadmin.api.versions import tell_version, version
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import grants, roles


@endpoint("roles", "GET", permission=Privilege.SEE_GRANTS)
def listing(_context: Any, request: Any) -> Listing:
    return Listing(roles.listing(request.work), shapes.role)


@endpoint("roles", "POST", permission=Privilege.SET_GRANTS)
def create(_context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    made = roles.create(
        request.work,
        name=body["name"],
        description=body.get("description", ""),
        privileges=_privileges(body["privileges"]),
        second_factor=body.get("second_factor", False),
    )
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "role", id=made.id)
    return _one(request, made)


@endpoint("role", "GET", permission=Privilege.SEE_GRANTS)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _one(request, context.role)


@endpoint("role", "PATCH", permission=Privilege.SET_GRANTS)
def edit(context: Any, request: Any) -> dict[str, Any]:
    body, role = request.openapi_validated.body, context.role
    given = body.get("privileges")
    roles.edit(
        request.work,
        role,
        name=body.get("name", role.name),
        description=body.get("description", role.description),
        privileges=grants.privileges_of(role) if given is None else _privileges(given),
        second_factor=body.get("second_factor", role.second_factor),
        version=version(request, role),
    )
    return _one(request, role)


@endpoint("role", "DELETE", permission=Privilege.SET_GRANTS)
def delete(context: Any, request: Any) -> Response:
    roles.delete(request.work, context.role)
    return Response(status=204)


def _privileges(names: list[str]) -> list[Privilege]:
    return [Privilege(name) for name in names]


def _one(request: Any, role: Any) -> dict[str, Any]:
    tell_version(request, role)
    used = roles.use(request.work, role)
    return {
        **shapes.role(role),
        "use": {"grants": used.grants, "pools": used.pools, "people": used.people},
    }

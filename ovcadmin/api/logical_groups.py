"""Logical groups: named sets across the tree; and tags, by which things are found again."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import Listing
from ovcadmin.api.versions import tell_version, version
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import logical_groups, tags


@endpoint("logical_groups", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    return Listing(logical_groups.listing(request.work), _shape)


@endpoint("pool_logical_groups", "POST", permission=Privilege.MODIFY)
def create(context: Any, request: Any) -> dict[str, Any]:
    body, work = request.openapi_validated.body, request.work
    made = logical_groups.create(
        work, context.pool, name=body["name"], description=body.get("description", "")
    )
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "logical_group", id=made.id)
    return _one(request, made)


@endpoint("logical_group", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _one(request, context.group)


@endpoint("logical_group", "PATCH", permission=Privilege.MODIFY)
def edit(context: Any, request: Any) -> dict[str, Any]:
    body, group = request.openapi_validated.body, context.group
    logical_groups.edit(
        request.work,
        group,
        name=body.get("name", group.name),
        description=body.get("description", group.description),
        version=version(request, group),
        placement=body.get("placement"),
    )
    return _one(request, group)


@endpoint("logical_group", "DELETE", permission=Privilege.MODIFY)
def delete(context: Any, request: Any) -> Response:
    logical_groups.delete(request.work, context.group)
    return Response(status=204)


@endpoint("logical_group_members", "POST", permission=Privilege.MODIFY)
def add(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    made = logical_groups.add(request.work, context.group, body["kind"], body["name"])
    request.response.status_int = 201
    return vars(made)


@endpoint("logical_group_members", "DELETE", permission=Privilege.MODIFY)
def remove(context: Any, request: Any) -> Response:
    wanted = query(request)
    logical_groups.remove(request.work, context.group, wanted["kind"], wanted["object_id"])
    return Response(status=204)


@endpoint("tagged", "GET", permission=SIGNED_IN)
def tagged(_context: Any, request: Any) -> Listing:
    return Listing(tags.with_tag(request.work, query(request)["word"]), vars, order="")


@endpoint("machine_tags", "GET", permission=Privilege.VIEW)
def of_machine(context: Any, request: Any) -> dict[str, Any]:
    return _tags(request, "machine", context.machine)


@endpoint("machine_tags", "PUT", permission=Privilege.CONTROL)
def put_machine(context: Any, request: Any) -> dict[str, Any]:
    return _put(request, "machine", context.machine)


@endpoint("pool_tags", "GET", permission=Privilege.VIEW)
def of_pool(context: Any, request: Any) -> dict[str, Any]:
    return _tags(request, "pool", context.pool)


@endpoint("pool_tags", "PUT", permission=Privilege.MODIFY)
def put_pool(context: Any, request: Any) -> dict[str, Any]:
    return _put(request, "pool", context.pool)


@endpoint("host_tags", "GET", permission=Privilege.VIEW)
def of_host(context: Any, request: Any) -> dict[str, Any]:
    return _tags(request, "host", context.host)


@endpoint("host_tags", "PUT", permission=Privilege.MODIFY)
def put_host(context: Any, request: Any) -> dict[str, Any]:
    return _put(request, "host", context.host)


@endpoint("storage_pool_tags", "GET", permission=Privilege.VIEW)
def of_storage_pool(context: Any, request: Any) -> dict[str, Any]:
    return _tags(request, "storage_pool", context.storage_pool)


@endpoint("storage_pool_tags", "PUT", permission=Privilege.MODIFY)
def put_storage_pool(context: Any, request: Any) -> dict[str, Any]:
    return _put(request, "storage_pool", context.storage_pool)


def _put(request: Any, kind: str, row: Any) -> dict[str, Any]:
    tags.put(request.work, kind, row, " ".join(request.openapi_validated.body["tags"]))
    return _tags(request, kind, row)


def _tags(request: Any, kind: str, row: Any) -> dict[str, Any]:
    return {"tags": tags.of(request.work, kind, row.id)}


def _one(request: Any, group: Any) -> dict[str, Any]:
    tell_version(request, group)
    members = logical_groups.members(request.work, group)
    return {**_shape(group), "members": [vars(one) for one in members]}


def _shape(group: Any) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "placement": group.placement,
        "pool": shapes.reference(group.pool),
        "version": group.version,
    }

"""Storage pools: how full they are, and who reaches them."""

from __future__ import annotations

from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, query
from ovcadmin.api.lists import Listing
from ovcadmin.api.operations import accepted
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    conversions,
    storage,
    storage_changes,
    storage_layers,
    storage_usage,
    tags,
)


@endpoint("storage_pools", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    word = query(request)["tag"] or ""
    found = tags.narrowed(request.work, "storage_pool", storage.listing(request.work), word=word)
    spaces = storage.spaces(request.work, found)
    return Listing(found, lambda row: shapes.storage_pool(row, spaces[row.id]))


@endpoint("storage_pool", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    store = context.storage_pool
    return shapes.storage_pool(store, storage.space(request.work, store))


@endpoint("storage_pool", "DELETE", permission=Privilege.MODIFY)
def remove(context: Any, request: Any) -> dict[str, Any]:
    return accepted(request, storage_changes.remove(request.work, context.storage_pool))


@endpoint("storage_pool_refresh", "POST", permission=Privilege.MODIFY)
def refresh(context: Any, request: Any) -> dict[str, Any]:
    return accepted(request, storage_changes.refresh(request.work, context.storage_pool))


@endpoint("storage_pool_usage", "GET", permission=Privilege.VIEW)
def usage(context: Any, request: Any) -> Listing:
    found = storage_usage.of_pool(request.work, context.storage_pool)
    return Listing(found, _usage, order="")


def _usage(row: Any) -> dict[str, Any]:
    return {"at": row.at, "capacity": row.capacity, "available": row.available}


@endpoint("storage_pool_layers", "GET", permission=Privilege.VIEW)
def layers(context: Any, _request: Any) -> dict[str, Any]:
    return {"layers": storage_layers.lines(context.storage_pool)}


@endpoint("storage_pool_layers", "PUT", permission=Privilege.MODIFY)
def describe(context: Any, request: Any) -> dict[str, Any]:
    body, store = request.openapi_validated.body, context.storage_pool
    storage_layers.describe(request.work, store, body["layers"], body.get("status", ""))
    return shapes.storage_pool(store, storage.space(request.work, store))


@endpoint("pool_storage_pools", "POST", permission=Privilege.MODIFY)
def add(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    draft = storage_changes.Draft(
        name=body["name"],
        driver=body["driver"],
        path=body.get("path", ""),
        source={name: body.get(name) for name in storage_changes.FIELDS},
        password=body.get("password", ""),
    )
    host = storage_changes.host_to_modify(request.work, int(body["host_id"]))
    _, operation = storage_changes.add(request.work, context.pool, host, draft)
    return accepted(request, operation)


@endpoint("storage_pool_conversions", "POST", permission=Privilege.MODIFY)
def convert(context: Any, request: Any) -> dict[str, Any]:
    wanted = conversions.Wanted(**request.openapi_validated.body)
    return accepted(request, conversions.submit(request.work, context.storage_pool, wanted))

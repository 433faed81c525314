"""Volumes: what is in a storage pool, and those that no machine has."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.lists import Listing
from ovcadmin.api.operations import accepted
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import pools, storage, storage_changes, storage_usage, volume_changes


@endpoint("storage_pool_volumes", "GET", permission=Privilege.VIEW)
def listing(context: Any, request: Any) -> Listing:
    return Listing(storage.volumes(request.work, context.storage_pool), shapes.volume)


@endpoint("storage_pool_volumes", "POST", permission=Privilege.MODIFY)
def create(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    operation = volume_changes.create(
        request.work,
        context.storage_pool,
        pools.to_modify(request.work, int(body["pool_id"])),
        name=body["name"],
        size=int(body["size"]),
    )
    return accepted(request, operation)


@endpoint("storage_pool_volume", "PATCH", permission=Privilege.MODIFY)
def offer(context: Any, request: Any) -> dict[str, Any]:
    volume = _volume(context, request)
    offered = request.openapi_validated.body["offered"]
    storage_changes.set_offered(request.work, volume, offered=offered)
    return shapes.volume(volume)


@endpoint("storage_pool_volume", "DELETE", permission=Privilege.MODIFY)
def delete(context: Any, request: Any) -> dict[str, Any]:
    return accepted(request, volume_changes.delete(request.work, _volume(context, request)))


@endpoint("storage_pool_volume_grow", "POST", permission=Privilege.MODIFY)
def grow(context: Any, request: Any) -> dict[str, Any]:
    size = int(request.openapi_validated.body["size"])
    return accepted(request, volume_changes.grow(request.work, _volume(context, request), size))


@endpoint("storage_pool_volume_image", "POST", permission=Privilege.MODIFY)
def register(context: Any, request: Any) -> dict[str, Any]:
    name = request.openapi_validated.body["name"]
    volume = _volume(context, request)
    return accepted(request, volume_changes.register(request.work, volume, name))


@endpoint("storage_pool_volume_usage", "GET", permission=Privilege.VIEW)
def usage(context: Any, request: Any) -> Listing:
    found = storage_usage.of_volume(request.work, _volume(context, request))
    return Listing(found, asdict, order="")


def _volume(context: Any, request: Any) -> Any:
    volume_id = int(request.openapi_validated.parameters.path["volume_id"])
    return volume_changes.get(request.work, context.storage_pool, volume_id)

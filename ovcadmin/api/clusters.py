"""OpenvStorage clusters, their storage routers and vPools."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path
from ovcadmin.api.lists import Listing
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import clusters, storage, vpools


@endpoint("storage_clusters", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    return Listing(clusters.listing(request.work), lambda row: _shape(request, row))


@endpoint("pool_storage_clusters", "POST", permission=Privilege.MODIFY)
def add(context: Any, request: Any) -> dict[str, Any]:
    made = clusters.create(request.work, context.pool, _draft(request.openapi_validated.body))
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "storage_cluster", id=made.id)
    return _shape(request, made)


@endpoint("storage_cluster", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _shape(request, context.cluster)


@endpoint("storage_cluster", "PATCH", permission=Privilege.MODIFY)
def edit(context: Any, request: Any) -> dict[str, Any]:
    cluster = context.cluster
    body = dict(request.openapi_validated.body)
    version = body.pop("version", cluster.version)
    present = {
        "name": cluster.name,
        "addresses": cluster.addresses,
        "client_id": cluster.client_id,
        "authority": cluster.authority,
        "fingerprints": cluster.fingerprints,
    }
    draft = _draft({**present, **body})
    clusters.edit(request.work, cluster, version=version, draft=draft)
    return _shape(request, cluster)


@endpoint("storage_cluster", "DELETE", permission=Privilege.MODIFY)
def remove(context: Any, request: Any) -> Response:
    clusters.remove(request.work, context.cluster)
    return Response(status=204)


@endpoint("storage_cluster_look", "POST", permission=Privilege.MODIFY)
def look(context: Any, request: Any) -> dict[str, Any]:
    clusters.look_again(request.work, context.cluster)
    return _shape(request, context.cluster)


@endpoint("storage_cluster_routers", "POST", permission=Privilege.MODIFY)
def place(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    router = clusters.router(context.cluster, body["router"])
    clusters.place(request.work, router, body.get("host_id"))
    return _shape(request, context.cluster)


@endpoint("storage_cluster_vpools", "POST", permission=Privilege.MODIFY)
def add_vpool(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    made = vpools.add(
        request.work, context.cluster, context.pool, guid=body["vpool"],
        name=body.get("name", ""), declared=body.get("declared", 0),
        access=body.get("access", vpools.FILE),
    )  # fmt: skip
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "storage_pool", id=made.id)
    return shapes.storage_pool(made, storage.space(request.work, made))


@endpoint("storage_cluster_vpools", "DELETE", permission=Privilege.MODIFY)
def remove_vpool(context: Any, request: Any) -> Response:
    guid = request.openapi_validated.body["vpool"]
    vpools.remove(request.work, vpools.held_one(request.work, context.cluster, guid))
    return Response(status=204)


def _draft(body: dict[str, Any]) -> clusters.Draft:
    return clusters.Draft(
        name=body["name"],
        addresses="\n".join(body["addresses"]),
        client_id=body["client_id"],
        secret=body.get("secret", ""),
        authority=body.get("authority", ""),
        fingerprints="\n".join(body.get("fingerprints", [])),
    )


def _shape(request: Any, row: Any) -> dict[str, Any]:
    held = {store.target: store for store in vpools.held(request.work, row)}
    return {
        "id": row.id,
        "name": row.name,
        "pool": shapes.reference(row.pool),
        "addresses": list(row.addresses),
        "client_id": row.client_id,
        "state": row.state,
        "state_reason": row.state_reason,
        "observed_at": row.observed_at,
        "version": row.version,
        "routers": [
            {
                "guid": router.guid,
                "name": router.name,
                "ip": router.ip,
                "status": router.status,
                "host": shapes.reference(router.host),
            }
            for router in row.routers
        ],
        "vpools": [
            {
                "guid": told["guid"],
                "name": told["name"],
                "status": told["status"],
                "configuration": told["configuration"],
                "statistics": told["statistics"],
                "storage_pool": shapes.reference(held.get(told["guid"])),
            }
            for told in vpools.seen(row)
        ],
    }

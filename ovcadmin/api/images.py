"""Images and sizes: what a machine is made from."""

from __future__ import annotations

from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import Listing
from ovcadmin.api.operations import accepted
from ovcadmin.domain.images import ImageKind
from ovcadmin.errors import Conflict
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import image_removal, images, kickstarts, pools, sizes, storage, uploads


@endpoint("images", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    found = images.listing(request.work)
    pool_id = query(request)["pool_id"]
    if pool_id is not None:
        seen = {node.pool.id: node.pool for node in pools.tree(request.work)}
        chain = pools.above(request.work, seen[pool_id]) if pool_id in seen else []
        serving = {pool.id for pool in chain}
        found = [image for image in found if image.pool_id in serving]
    kind = query(request)["kind"]
    if kind is not None:
        found = [image for image in found if image.kind == kind]
    return Listing(found, shapes.image)


@endpoint("image", "GET", permission=Privilege.VIEW)
def show(context: Any, _request: Any) -> dict[str, Any]:
    return shapes.image(context.image)


@endpoint("image", "PATCH", permission=Privilege.MODIFY)
def edit(context: Any, request: Any) -> dict[str, Any]:
    body, image = request.openapi_validated.body, context.image
    images.edit(
        request.work,
        image,
        name=body.get("name", image.name),
        description=body.get("description", image.description),
        pool=_pool_named(request, body.get("pool_id", image.pool_id)),
    )
    return shapes.image(image)


@endpoint("image", "DELETE", permission=Privilege.MODIFY)
def delete(context: Any, request: Any) -> dict[str, Any]:
    return accepted(request, image_removal.delete(request.work, context.image))


@endpoint("image_copies", "GET", permission=Privilege.VIEW)
def copies(context: Any, request: Any) -> Listing:
    found = images.places(request.work, context.image)
    return Listing(found, lambda place: shapes.image_copy(*place), order="")


@endpoint("image_copies", "POST", permission=Privilege.MODIFY)
def copy(context: Any, request: Any) -> dict[str, Any]:
    store = _store(request, request.openapi_validated.body["storage_pool_id"])
    operation = images.spread(request.work, context.image, store)
    if operation is None:
        raise Conflict(f"{context.image.name} is in {store.name} already, or on its way there.")
    return accepted(request, operation)


@endpoint("image_copy", "DELETE", permission=Privilege.MODIFY)
def delete_copy(context: Any, request: Any) -> dict[str, Any]:
    store = _store(request, request.openapi_validated.parameters.path["storage_pool_id"])
    return accepted(request, image_removal.delete_copy(request.work, context.image, store))


@endpoint("pool_images", "POST", permission=Privilege.MODIFY)
def add_network(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    made = images.register_network(
        request.work, context.pool, _draft({**body, "kind": "network"}), body["address"]
    )
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "image", id=made.id)
    return shapes.image(made)


@endpoint("pool_kickstarts", "POST", permission=Privilege.MODIFY)
def add_kickstart(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    draft = _draft({**body, "kind": "kickstart"})
    made = kickstarts.add(
        request.work, context.pool, draft, iso_id=body["iso_id"], answers=body["answers"]
    )
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "image", id=made.id)
    return shapes.image(made)


@endpoint("image_kickstart", "GET", permission=Privilege.MODIFY)
def kickstart(context: Any, request: Any) -> dict[str, Any]:
    return _kickstart(context, request)


@endpoint("image_kickstart", "PUT", permission=Privilege.MODIFY)
def set_kickstart(context: Any, request: Any) -> dict[str, Any]:
    body, image = request.openapi_validated.body, context.image
    iso_id = body.get("iso_id", image.installer_id)
    kickstarts.change(request.work, image, iso_id=iso_id, answers=body["answers"])
    return _kickstart(context, request)


@endpoint("pool_image_fetches", "POST", permission=Privilege.FETCH_IMAGES)
def fetch(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    return accepted(request, images.fetch(request.work, context.pool, _draft(body), body["url"]))


def _kickstart(context: Any, request: Any) -> dict[str, Any]:
    answers = kickstarts.answers(request.work, context.image)
    return {"iso": shapes.reference(context.image.installer), "answers": answers}


def _draft(body: Any) -> uploads.Draft:
    return uploads.Draft(
        name=body["name"],
        kind=ImageKind(body.get("kind", "disk")),
        os_type=body.get("os_type", "linux"),
        description=body.get("description", ""),
        checksum=body.get("checksum", ""),
    )


def _store(request: Any, storage_pool_id: int) -> Any:
    """Return a storage pool that the actor may change, or raise as for one that is not there."""
    return storage.to_modify(request.work, int(storage_pool_id))


def _pool_named(request: Any, pool_id: int) -> Any:
    return pools.to_modify(request.work, int(pool_id))


@endpoint("sizes", "GET", permission=SIGNED_IN)
def all_sizes(_context: Any, request: Any) -> Listing:
    return Listing(sizes.listing(request.settings), _size, order="")


def _size(size: Any) -> dict[str, Any]:
    return {name: getattr(size, name) for name in ("name", "vcpus", "memory", "storage")}

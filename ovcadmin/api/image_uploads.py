"""Files that are sent in pieces and become images."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import Listing
from ovcadmin.domain.images import ImageKind
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import uploads


@endpoint("pool_image_uploads", "POST", permission=Privilege.MODIFY)
def begin(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    draft = uploads.Draft(
        name=body["name"],
        kind=ImageKind(body.get("kind", "disk")),
        os_type=body.get("os_type", "linux"),
        description=body.get("description", ""),
        checksum=body.get("checksum", ""),
    )
    made = uploads.begin(request.work, context.pool, draft, int(body["size"]))
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "image_upload", id=made.id)
    return shapes.image_upload(made)


@endpoint("image_uploads", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    return Listing(uploads.listing(request.work), shapes.image_upload)


@endpoint("image_upload", "GET", permission=SIGNED_IN)
def show(_context: Any, request: Any) -> dict[str, Any]:
    return shapes.image_upload(_own(request))


@endpoint("image_upload", "DELETE", permission=SIGNED_IN)
def abandon(_context: Any, request: Any) -> Response:
    uploads.abandon(request.work, _own(request))
    return Response(status=204)


@endpoint("image_upload_content", "PUT", permission=SIGNED_IN)
def send(_context: Any, request: Any) -> dict[str, Any]:
    upload = _own(request)
    uploads.take(
        request.work,
        upload,
        at=int(query(request)["at"]),
        piece=request.body_file_seekable,
        length=request.content_length or 0,
    )
    return shapes.image_upload(upload)


def _own(request: Any) -> Any:
    return uploads.get(request.work, int(request.matchdict["id"]))

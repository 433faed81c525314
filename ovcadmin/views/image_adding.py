"""Adding images: a file from the browser, one from the web, an address to boot from.

A browser sends a file in pieces (static/js/upload.js); the form announces it first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.images import ImageKind
from ovcadmin.errors import RequestRefused
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import images, kickstarts, operations, pools, uploads
from ovcadmin.views.calls import Call
from ovcadmin.views.forms import Done, Form, choice, name, text
from ovcadmin.views.forms import amount as amount_of
from ovcadmin.views.kickstarts import answers_text, isos
from ovcadmin.views.pages import Crumb, Page

KINDS = [("disk", "raw disk: machines are made from it"), ("iso", "ISO: goes into CD drives")]
OS_TYPES = [(word, word) for word in uploads.OS_TYPES]


class _Described(colander.Schema):
    name = name("Name")
    pool = choice("Serves", hint="This pool and all below may use it.")
    os_type = choice("Guest", missing="linux")
    description = text("Description", kind="textarea", longest=2000, missing="")


class _Checked(_Described):
    kind = choice("Kind", insert_before="os_type")
    checksum = text(
        "SHA-256", longest=64, missing="", hint="As its publisher says; blank: not compared."
    )


class Upload(_Checked):
    size = amount_of(
        "Size", "storage", hint="Of the file; filled in when you choose it.", insert_before="kind"
    )


class Fetch(_Checked):
    url = text("Address", longest=2000, hint="https://…", insert_before="name")


class Network(_Described):
    address = text("Address", longest=2000, hint="tftp://, http:// or https://, server and file")


class Kickstart(_Described):
    iso = choice("ISO", insert_before="pool", hint="That the machine is installed from.")
    answers = answers_text()


@dataclass(frozen=True, kw_only=True)
class AddPage(Page):
    form: Form
    call: Call
    way: str
    may_fetch: bool
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UploadPage(Page):
    upload: Any
    operation: Any
    percent: int


@view_config(
    route_name="image_new",
    request_method=("GET", "POST"),
    renderer="images/upload_new.pt",
    permission=Privilege.MODIFY,
)
def upload_new(context: Any, request: Any) -> dict[str, Any] | Response:
    form = _form(request, Upload(), Privilege.MODIFY)

    def save(values: dict[str, Any]) -> Done:
        made = uploads.begin(request.work, _pool(request, values), _draft(values), values["size"])
        return Done(
            text=f"{made.name} is announced; now its content is sent.",
            path=request.route_path("image_upload", id=made.id),
        )

    call = Call("POST", "/pools/{pool}/image-uploads", {"name": "d12", "size": 2 * 10**9})
    return form.submit(request, save) or _page(context, request, form, "upload", call)


@view_config(
    route_name="image_fetch",
    request_method=("GET", "POST"),
    renderer="images/add.pt",
    permission=Privilege.FETCH_IMAGES,
)
def fetch(context: Any, request: Any) -> dict[str, Any] | Response:
    form = _form(request, Fetch(), Privilege.FETCH_IMAGES)

    def save(values: dict[str, Any]) -> Done:
        pool = _pool(request, values)
        operation = images.fetch(request.work, pool, _draft(values), values["url"])
        return Done(
            text=f"{values['name']} is being fetched.",
            path=request.route_path("images"),
            href=request.route_path("operation", id=operation.id),
        )

    call = Call("POST", "/pools/{pool}/image-fetches", {"name": "d12", "url": "https://…"})
    return form.submit(request, save) or _page(context, request, form, "fetch", call)


@view_config(
    route_name="image_network",
    request_method=("GET", "POST"),
    renderer="images/add.pt",
    permission=Privilege.MODIFY,
)
def network(context: Any, request: Any) -> dict[str, Any] | Response:
    form = _form(request, Network(), Privilege.MODIFY)

    def save(values: dict[str, Any]) -> Done:
        draft = _draft({**values, "kind": "network"})
        made = images.register_network(
            request.work, _pool(request, values), draft, values["address"]
        )
        return Done(text=f"{made.name} is added.", path=request.route_path("image", id=made.id))

    call = Call("POST", "/pools/{pool}/images", {"name": "pxe", "address": "tftp://…"})
    return form.submit(request, save) or _page(context, request, form, "network", call)


@view_config(
    route_name="image_kickstart_new",
    request_method=("GET", "POST"),
    renderer="images/add.pt",
    permission=Privilege.MODIFY,
)
def kickstart(context: Any, request: Any) -> dict[str, Any] | Response:
    form = _form(request, Kickstart(), Privilege.MODIFY)

    def save(values: dict[str, Any]) -> Done:
        draft, iso = _draft({**values, "kind": "kickstart"}), int(values["iso"])
        made = kickstarts.add(
            request.work, _pool(request, values), draft, iso_id=iso, answers=values["answers"]
        )
        return Done(text=f"{made.name} is added.", path=request.route_path("image", id=made.id))

    call = Call("POST", "/pools/{pool}/kickstarts", {"name": "web", "iso_id": 2, "answers": "…"})
    return form.submit(request, save) or _page(context, request, form, "kickstart", call)


@view_config(
    route_name="image_upload",
    request_method="GET",
    renderer="images/upload.pt",
    permission=SIGNED_IN,
)
def upload(request: Any) -> dict[str, Any]:
    found = _own(request)
    page = UploadPage(
        title=f"Upload of {found.name}",
        section="images",
        crumbs=[Crumb(label="Images", url=request.route_path("images"))],
        upload=found,
        operation=operations.get(request.work, found.operation_id) if found.operation_id else None,
        percent=int(100 * found.received / found.size),
    )
    return {"page": page}


@view_config(
    route_name="image_upload_content",
    request_method="POST",
    renderer="json",
    permission=SIGNED_IN,
)
def send(request: Any) -> dict[str, Any]:
    """Take the next piece, as the browser cuts them."""
    found = _own(request)
    at = request.GET.get("at", "")
    if not (at.isascii() and at.isdigit() and len(at) < 16):
        raise RequestRefused("Say where the piece begins.")
    uploads.take(
        request.work,
        found,
        at=int(at),
        piece=request.body_file_seekable,
        length=request.content_length or 0,
    )
    operation = found.operation_id
    then = request.route_path("operation", id=operation) if operation else ""
    return {"received": found.received, "then": then}


@view_config(route_name="image_upload_abandon", request_method="POST", permission=SIGNED_IN)
def abandon(request: Any) -> Response:
    found = _own(request)
    uploads.abandon(request.work, found)
    request.flash(f"The upload of {found.name} is given up.")
    return HTTPSeeOther(request.route_path("images"))


def _own(request: Any) -> Any:
    return uploads.get(request.work, int(request.matchdict["id"]))


def _form(request: Any, schema: Any, privilege: Privilege) -> Form:
    nodes = pools.tree(request.work, privilege)
    choices = {
        "pool": [(str(node.pool.id), f"{'· ' * node.depth}{node.pool.name}") for node in nodes],
        "kind": KINDS,
        "iso": isos(request),
        "os_type": OS_TYPES,
    }
    asked = request.GET.get("pool", "")
    initial = {"kind": "disk", "os_type": "linux"}
    if asked in dict(choices["pool"]):
        initial["pool"] = asked
    return Form(schema, initial, choices=choices)


def _pool(request: Any, values: dict[str, Any]) -> Any:
    return pools.get(request.work, int(values["pool"]))


def _draft(values: dict[str, Any]) -> uploads.Draft:
    return uploads.Draft(
        name=values["name"],
        kind=ImageKind(values["kind"]),
        os_type=values["os_type"],
        description=values["description"],
        checksum=values.get("checksum", ""),
    )


def _page(context: Any, request: Any, form: Form, way: str, call: Call) -> dict[str, Any]:
    page = AddPage(
        title="Add an image",
        section="images",
        crumbs=[Crumb(label="Images", url=request.route_path("images"))],
        form=form,
        call=call,
        way=way,
        may_fetch=Privilege.FETCH_IMAGES in context.privileges,
        sources=request.settings.image_sources if way == "fetch" else (),
    )
    return {"page": page}

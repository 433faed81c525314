"""Images: what a new disk starts from, and in which storage pools it lies ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.images import FILES, LABELS, ImageKind
from ovcadmin.errors import InvalidInput
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import image_removal, images, machine_lists, pools, storage, uploads
from ovcadmin.services.machine_lists import Filter
from ovcadmin.views.calls import Call
from ovcadmin.views.forms import Done, Form, choice, name, text
from ovcadmin.views.pages import Crumb, Empty, Page, crumbs

TABS = (
    ("", "All"),
    ("disk", "Base images"),
    ("iso", "ISOs"),
    ("kickstart", "Kickstarts"),
    ("network", "Network boot"),
)


class Edited(colander.Schema):
    name = name()
    description = text("Description", kind="textarea", longest=2000, missing="")
    pool = choice("Serves", hint="This pool and all below may use it.")


@dataclass(frozen=True, kw_only=True)
class ImagesPage(Page):
    images: Sequence[Any]
    empty: Empty
    kind: str
    uploads: Sequence[Any]
    may_add: bool

    @property
    def tabs(self) -> tuple[tuple[str, str], ...]:
        return TABS


@dataclass(frozen=True, kw_only=True)
class ImagePage(Page):
    image: Any
    machines: int = 0
    """Machines made from it that the reader may see."""
    places: Sequence[tuple[Any, Any]] = ()
    users: Sequence[Any] = ()
    may_modify: bool = False
    form: Any = None
    call: Any = None

    @property
    def kind(self) -> str:
        return LABELS[ImageKind(self.image.kind)]

    @property
    def has_file(self) -> bool:
        return self.image.kind in FILES


@view_config(
    route_name="images", request_method="GET", renderer="images/list.pt", permission=SIGNED_IN
)
def listing(context: Any, request: Any) -> dict[str, Any]:
    kind = request.GET.get("kind", "")
    found = images.listing(request.work)
    page = ImagesPage(
        title="Images",
        section="images",
        images=[image for image in found if kind in ("", image.kind)],
        kind=kind,
        uploads=uploads.listing(request.work),
        may_add=Privilege.MODIFY in context.privileges,
        empty=Empty(
            why="No image that you may use." if not kind else "None of this kind.",
            more="The first start builds and registers a starter image.",
        ),
    )
    return {"page": page}


@view_config(
    route_name="image",
    request_method="GET",
    renderer="images/image.pt",
    permission=Privilege.VIEW,
)
def image(context: Any, request: Any) -> dict[str, Any]:
    found = context.image
    counts = machine_lists.counts(request.work, Filter(image_id=found.id))
    page = _page(
        context,
        request,
        found.name,
        machines=sum(counts.values()),
        places=images.places(request.work, found) if found.kind in FILES else (),
        may_modify=Privilege.MODIFY in context.privileges,
    )
    return {"page": page}


@view_config(
    route_name="image_edit",
    request_method=("GET", "POST"),
    renderer="images/edit.pt",
    permission=Privilege.MODIFY,
)
def edit(context: Any, request: Any) -> dict[str, Any] | Response:
    found = context.image
    nodes = pools.tree(request.work, Privilege.MODIFY)
    choices = {
        "pool": [(str(node.pool.id), f"{'· ' * node.depth}{node.pool.name}") for node in nodes]
    }
    initial = {"name": found.name, "description": found.description, "pool": str(found.pool_id)}
    form = Form(Edited(), initial, choices=choices)

    def save(values: dict[str, Any]) -> Done:
        images.edit(
            request.work,
            found,
            name=values["name"],
            description=values["description"],
            pool=pools.get(request.work, int(values["pool"])),
        )
        return Done(text=f"{found.name} is saved.", path=request.route_path("image", id=found.id))

    call = Call("PATCH", f"/images/{found.id}", {"name": found.name})
    done = form.submit(request, save)
    return done or {"page": _page(context, request, f"Edit {found.name}", form=form, call=call)}


@view_config(
    route_name="image_delete",
    request_method=("GET", "POST"),
    renderer="images/delete.pt",
    permission=Privilege.MODIFY,
)
def delete(context: Any, request: Any) -> dict[str, Any] | Response:
    found = context.image
    form = Form(colander.Schema())

    def save(_values: dict[str, Any]) -> Done:
        operation = image_removal.delete(request.work, found)
        return Done(
            text=f"{found.name} is being deleted.",
            path=request.route_path("images"),
            href=request.route_path("operation", id=operation.id),
        )

    return form.submit(request, save) or {
        "page": _page(
            context,
            request,
            f"Delete {found.name}",
            form=form,
            users=image_removal.users(request.work, found),
        )
    }


@view_config(route_name="image_copy", request_method="POST", permission=Privilege.MODIFY)
def copy(context: Any, request: Any) -> Response:
    found, store = context.image, _store(request)
    operation = images.spread(request.work, found, store)
    said = f"{found.name} is being copied to {store.name}."
    if operation is None:
        request.flash(f"{found.name} is in {store.name} already, or on its way there.")
    else:
        request.flash(said, href=request.route_path("operation", id=operation.id))
    return HTTPSeeOther(request.route_path("image", id=found.id))


@view_config(route_name="image_copy_delete", request_method="POST", permission=Privilege.MODIFY)
def delete_copy(context: Any, request: Any) -> Response:
    found, store = context.image, _store(request)
    operation = image_removal.delete_copy(request.work, found, store)
    request.flash(
        f"The copy of {found.name} in {store.name} is being removed.",
        href=request.route_path("operation", id=operation.id),
    )
    return HTTPSeeOther(request.route_path("image", id=found.id))


def _store(request: Any) -> Any:
    text_ = request.POST.get("storage_pool_id", "")
    if not (text_.isascii() and text_.isdigit() and len(text_) < 10):
        raise InvalidInput(
            "Nothing was done.", fields={"storage_pool_id": "Say which storage pool."}
        )
    return storage.to_modify(request.work, int(text_))


def _page(context: Any, request: Any, title: str, **more: Any) -> ImagePage:
    return ImagePage(
        title=title,
        section="images",
        crumbs=[
            Crumb(label="Images", url=request.route_path("images")),
            *crumbs(request, context.pool),
        ],
        image=context.image,
        **more,
    )

"""Profiles: the list with its one-click buttons, making and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.errors import DomainError, InvalidInput, NotFound
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import images, pools, profiles, sizes
from ovcadmin.services.profiles import Wish
from ovcadmin.views import first_boot
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, choice, flag, name, text
from ovcadmin.views.pages import Empty, Page, crumbs
from ovcadmin.views.snapshots import FormPage, Nothing


class NewProfile(colander.Schema):
    name = name(hint="Its machines are named after it, with a number.")
    image = choice("Image")
    size = choice("Size")
    network = text(
        "Network", longest=60, missing="",
        hint="A network of the host by its name; empty for the user-mode network.",
    )  # fmt: skip
    start = flag("Start its machines", hint="as soon as they are made")
    description = text("Description", kind="textarea", longest=2000, missing="")


@dataclass(frozen=True, kw_only=True)
class Row:
    profile: Any
    targets: Sequence[Any]
    """Pools in which the reader may make a machine by it."""
    may_delete: bool


@dataclass(frozen=True, kw_only=True)
class ProfilesPage(Page):
    rows: Sequence[Row]
    places: Sequence[Any]
    """Pools in which the reader may make profiles."""
    empty: Empty


@view_config(
    route_name="profiles", request_method="GET", renderer="profiles/list.pt", permission=SIGNED_IN
)
def listing(request: Any) -> dict[str, Any]:
    work = request.work
    places = [node.pool for node in pools.tree(work, Privilege.MODIFY)]
    mine = {pool.id for pool in places}
    page = ProfilesPage(
        title="Profiles",
        section="machines",
        rows=[
            Row(
                profile=profile,
                targets=profiles.targets(work, profile),
                may_delete=profile.pool_id in mine,
            )
            for profile in profiles.listing(work)
        ],
        places=places,
        empty=Empty(
            why="No profiles yet.",
            more="A profile is an image, a size and a network under one name; machines are made "
            "from it by one click. It takes the privilege “modify” to make one.",
        ),
    )
    return {"page": page}


@view_config(
    route_name="profile_new",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.MODIFY,
)
def new(context: Any, request: Any) -> dict[str, Any] | Response:
    pool = getattr(context, "pool", None)
    if pool is None:
        raise NotFound("Say in which pool the profile is to be kept.")
    listed = sizes.listing(request.settings)
    form = Form(
        first_boot.added_to(NewProfile()),
        {"start": "yes"},
        choices={
            "image": [(str(one.id), one.name) for one in images.starts(request.work, pool)],
            "size": [(one.name, one.name) for one in listed],
        },
    )

    def save(values: dict[str, Any]) -> Done:
        told = first_boot.taken(values)
        wish = Wish(image_id=int(values.pop("image")), cloud_init=told, **values)
        made = profiles.create(request.work, pool, wish)
        return Done(text=f"The profile {made.name} is there.", path=request.route_path("profiles"))

    title = form["name"].value or "web"
    image = form["image"].value
    body = {
        "name": title,
        "image_id": int(image) if image.isdigit() else 1,
        "size": form["size"].value or "small",
        **first_boot.body(form),
    }
    return form.submit(request, save) or {
        "page": FormPage(
            title="New profile",
            section="machines",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            form=form,
            button="Make the profile",
            back=request.route_path("profiles"),
            back_label="the profiles",
            hint=f"It serves {pool.name} and every pool below.",
            call=Call(
                "POST", f"/pools/{pool.id}/profiles", body,
                shell("ovc blueprints create", title, pool=pool.name, image=body["image_id"],
                      size=body["size"], **first_boot.options(form)),
            ),
        )
    }  # fmt: skip


@view_config(route_name="profile_use", request_method="POST", permission=Privilege.CREATE)
def use(context: Any, request: Any) -> Response:
    """Make a machine: the one click."""
    number = request.POST.get("pool", "")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InvalidInput("Choose the pool that the machine is to be in.")
    pool = pools.get(request.work, int(number))
    if Privilege.VIEW not in privileges_on(request.db, request.identity.user_id, pool.id):
        raise NotFound("There is no such pool.")
    try:
        with request.db.begin_nested():
            made = profiles.use(request.work, context.profile, pool)
    except DomainError as error:
        request.flash(error.text, kind="error", code=error.code)
        return HTTPSeeOther(request.route_path("profiles"))
    request.flash(f"{made.name} is being created.")
    return HTTPSeeOther(request.route_path("machine", id=made.id))


@view_config(
    route_name="profile_delete",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.MODIFY,
)
def delete(context: Any, request: Any) -> dict[str, Any] | Response:
    profile = context.profile
    form = Form(Nothing())

    def save(_values: dict[str, Any]) -> Done:
        profiles.delete(request.work, profile)
        return Done(text=f"{profile.name} is deleted.", path=request.route_path("profiles"))

    return form.submit(request, save) or {
        "page": FormPage(
            title=f"Delete the profile {profile.name}",
            section="machines",
            crumbs=crumbs(request, context.pool),
            pool_id=context.pool.id,
            form=form,
            button="Delete the profile",
            danger=True,
            lost=[f"The profile {profile.name}; machines that were made by it stay"],
            back=request.route_path("profiles"),
            back_label="the profiles",
            call=Call(
                "DELETE", f"/profiles/{profile.id}", {},
                shell("ovc blueprints delete", profile.id, "--yes"),
            ),
        )
    }  # fmt: skip

"""What the installer of a kickstart is told: shown to who may change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.images import ImageKind
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import images, kickstarts
from ovcadmin.views.calls import Call
from ovcadmin.views.forms import Done, Form, choice, in_turn, text
from ovcadmin.views.pages import Crumb, Page, crumbs


def answers_text() -> Any:
    return text(
        "Answers", kind="textarea", rows="16", longest=kickstarts.LONGEST,
        hint="The text of ks.cfg. Only those who may modify the image see it again.",
    )  # fmt: skip


def isos(request: Any) -> list[tuple[str, str]]:
    """Return the ISOs that the reader may use, as choices."""
    found = images.listing(request.work)
    return [(str(image.id), image.name) for image in found if image.kind == ImageKind.ISO]


class Told(colander.Schema):
    iso = choice("ISO", hint="That machines are installed from.")
    answers = answers_text()


@dataclass(frozen=True, kw_only=True)
class ToldPage(Page):
    image: Any
    form: Form
    call: Call


@view_config(
    route_name="image_kickstart",
    request_method=("GET", "POST"),
    renderer="images/edit.pt",
    permission=Privilege.MODIFY,
)
def edit(context: Any, request: Any) -> dict[str, Any] | Response:
    in_turn(request)
    found = context.image
    told = kickstarts.answers(request.work, found)
    initial = {"iso": str(found.installer_id), "answers": told}
    form = Form(Told(), initial, choices={"iso": isos(request)}, as_seen=True)

    def save(values: dict[str, Any]) -> Done:
        kickstarts.change(request.work, found, iso_id=int(values["iso"]), answers=values["answers"])
        return Done(text=f"{found.name} is saved.", path=request.route_path("image", id=found.id))

    page = ToldPage(
        title=f"Answers of {found.name}",
        section="images",
        crumbs=[
            Crumb(label="Images", url=request.route_path("images")),
            *crumbs(request, context.pool),
        ],
        image=found,
        form=form,
        call=Call("PUT", f"/images/{found.id}/kickstart", {"answers": "…"}),
    )
    return form.submit(request, save) or {"page": page}

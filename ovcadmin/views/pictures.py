"""Pictures of articles: adding them, and showing them without trusting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.errors import InvalidInput
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import pictures
from ovcadmin.views.forms import Done, Form
from ovcadmin.views.pages import Crumb, Page

ALONE = "default-src 'none'; sandbox"
"""Opened by itself, a picture is no page."""


@dataclass(frozen=True, kw_only=True)
class PicturesPage(Page):
    pictures: Sequence[Any]
    paths: dict[int, str]
    form: Form
    problem: str


@view_config(
    route_name="knowledge_pictures",
    request_method=("GET", "POST"),
    renderer="knowledge/pictures.pt",
    permission=Privilege.EDIT_KNOWLEDGE,
)
def listing(request: Any) -> dict[str, Any] | Response:
    work, wrong = request.work, ""
    form = Form(colander.SchemaNode(colander.Mapping(unknown="ignore")))

    def save(_values: dict[str, Any]) -> Done:
        nonlocal wrong
        sent = request.POST.get("picture")
        content = sent.file.read() if hasattr(sent, "file") else b""
        try:
            added = pictures.add(work, content, getattr(sent, "filename", ""))
        except InvalidInput as error:
            wrong = error.fields["picture"]
            raise
        told = f"Put ![what it shows]({pictures.path(added)}) into the text."
        return Done(text=told, path=request.path)

    done = form.submit(request, save)
    if done is not None:
        return done
    found = pictures.listing(work)
    page = PicturesPage(
        title="Pictures",
        section="knowledge",
        crumbs=[Crumb(label="Knowledge base", url=request.route_path("knowledge"))],
        pictures=found,
        paths={row.id: pictures.path(row) for row in found},
        form=form,
        problem=wrong,
    )
    return {"page": page}


@view_config(route_name="knowledge_picture", request_method="GET", permission=SIGNED_IN)
def show(request: Any) -> Response:
    found = pictures.get(request.work, request.matchdict["digest"], request.matchdict["kind"])
    answer = Response(body=found.content, content_type=pictures.TYPES[found.kind])
    answer.headers["Content-Security-Policy"] = ALONE
    answer.headers["Content-Disposition"] = f"inline; filename={found.digest[:12]}.{found.kind}"
    return answer

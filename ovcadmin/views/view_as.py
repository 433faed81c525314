"""Viewing as somebody else: beginning with a reason, and ending it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import view_as
from ovcadmin.views.forms import Done, Form, text
from ovcadmin.views.pages import Page


class Reason(colander.Schema):
    reason = text(
        "Reason",
        longest=view_as.LONGEST,
        hint="Such as the number of the call; it stands in the audit log.",
    )


@dataclass(frozen=True, kw_only=True)
class ViewAsPage(Page):
    tab: str = "users"
    person: Any
    form: Form


@view_config(
    route_name="view_as",
    request_method=("GET", "POST"),
    renderer="users/view_as.pt",
    permission=Privilege.VIEW_AS,
)
def begin(context: Any, request: Any) -> dict[str, Any] | Response:
    person = context.user
    form = Form(Reason())
    return form.submit(request, lambda values: _begin(request, person, values)) or {
        "page": ViewAsPage(
            title=f"View as {person.label}", section="users", person=person, form=form
        )
    }


def _begin(request: Any, person: Any, values: dict[str, str]) -> Done:
    view_as.begin(request.work, person, values["reason"])
    return Done(
        text=f"You see the console as {person.label} does.", path=request.route_path("home")
    )


@view_config(route_name="view_as_end", request_method="POST", permission=SIGNED_IN)
def end(request: Any) -> Response:
    seen = view_as.end(request.work)
    if seen is None:
        return HTTPSeeOther(request.route_path("home"))
    request.flash(f"You do not view as {seen.label} any more.")
    return HTTPSeeOther(request.route_path("home"))

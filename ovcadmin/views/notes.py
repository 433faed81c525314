"""Writing a note on a thing, and taking one away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.services import notes
from ovcadmin.views.forms import Done, Form, choice, text
from ovcadmin.views.help_desk import sheet_path, subject, way
from ovcadmin.views.pages import Page

READERS = [("staff", "The help desk and who sees grants here"), ("users", "All who see it")]


class Written(colander.Schema):
    text = text("Note", kind="textarea", longest=notes.LONGEST)
    readers = choice("Who may read it", choices=READERS)


@dataclass(frozen=True, kw_only=True)
class NotePage(Page):
    tab: str = "help_desk"
    thing: Any
    back: str
    form: Form


def _writes(route: str, permission: str) -> Any:
    return view_config(
        route_name=route,
        request_method=("GET", "POST"),
        renderer="help_desk/note.pt",
        permission=permission,
    )


@_writes("machine_note", Privilege.SEE_GRANTS)
@_writes("pool_note", Privilege.SEE_GRANTS)
@_writes("host_note", Privilege.SEE_GRANTS)
@_writes("storage_pool_note", Privilege.SEE_GRANTS)
@_writes("image_note", Privilege.SEE_GRANTS)
@_writes("user_note", Privilege.VIEW_AS)
def write(context: Any, request: Any) -> dict[str, Any] | Response:
    kind, thing = subject(context)
    notes.staffed(request.work, kind, thing.id)
    back = sheet_path(request, kind, thing.id)
    form = Form(Written(), {"readers": "staff"})

    def save(values: dict[str, Any]) -> Done:
        notes.write(
            request.work, kind, thing, values["text"], for_users=values["readers"] == "users"
        )
        return Done(text=f"The note on {thing.name} is kept.", path=back)

    page = NotePage(
        title=f"Note on {thing.name}",
        section="users",
        crumbs=[way(request)],
        thing=thing,
        back=back,
        form=form,
    )
    return form.submit(request, save) or {"page": page}


@view_config(route_name="note_remove", request_method="POST", permission=Privilege.SEE_GRANTS)
def remove(context: Any, request: Any) -> Response:
    kind, number = context.note.kind, context.note.object_id
    notes.remove(request.work, context.note)
    request.flash("The note is taken away; the audit log keeps its words.")
    return HTTPSeeOther(sheet_path(request, kind, number))

"""Logical groups: the list, one group with its members, and the changes of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import logical_groups, pools, tags
from ovcadmin.services.logical_groups import LONGEST
from ovcadmin.services.tags import Named
from ovcadmin.views.forms import Done, Form, choice, name, text, version
from ovcadmin.views.pages import Empty, Page, crumbs

KINDS = {"machine": "machine", "pool": "pool", "host": "host", "storage_pool": "storage pool"}


PLACEMENTS = {
    "placement": [
        ("anywhere", "live anywhere"),
        ("together", "live together on one host"),
        ("apart", "live apart on different hosts"),
    ]
}


def _description() -> Any:
    return text("Description", kind="textarea", longest=LONGEST, missing="")


class NewGroup(colander.Schema):
    pool = choice("Kept at", hint="Who sees this pool sees the group.")
    name = name()
    description = _description()


class EditedGroup(colander.Schema):
    name = name()
    description = _description()
    placement = choice("Its machines", hint="A hard rule for where they are placed and migrate to.")
    version = version()


class NewMember(colander.Schema):
    kind = choice("Kind")
    name = text("Name", longest=200, hint="Of several with one name: pool/name.")


@dataclass(frozen=True, kw_only=True)
class GroupsPage(Page):
    groups: Sequence[Any]
    may_make: bool
    empty: Empty


@dataclass(frozen=True, kw_only=True)
class GroupPage(Page):
    group: Any
    members: Sequence[Named]
    may: bool
    member: Form
    edit: Form
    kinds: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class NewGroupPage(Page):
    form: Form


@dataclass(frozen=True, kw_only=True)
class TaggedPage(Page):
    word: str
    found: Sequence[Named]
    kinds: dict[str, str]
    empty: Empty


@view_config(
    route_name="logical_groups",
    request_method="GET",
    renderer="logical_groups/list.pt",
    permission=SIGNED_IN,
)
def listing(request: Any) -> dict[str, Any]:
    page = GroupsPage(
        title="Logical groups",
        section="logical_groups",
        groups=logical_groups.listing(request.work),
        may_make=Privilege.MODIFY in request.context.privileges,
        empty=Empty(
            why="No logical groups yet.",
            more="A group is a named set of hosts, storage, pools and machines. It grants nothing.",
        ),
    )
    return {"page": page}


@view_config(
    route_name="logical_group_new",
    request_method=("GET", "POST"),
    renderer="logical_groups/new.pt",
    permission=Privilege.MODIFY,
)
def new(request: Any) -> dict[str, Any] | Response:
    nodes = pools.tree(request.work, Privilege.MODIFY)
    known = {str(node.pool.id): node.pool for node in nodes}
    places = [(number, pool.name) for number, pool in known.items()]
    form = Form(NewGroup(), {"pool": request.GET.get("pool")}, choices={"pool": places})

    def save(values: dict[str, Any]) -> Done:
        made = logical_groups.create(
            request.work,
            known[values["pool"]],
            name=values["name"],
            description=values["description"],
        )
        return Done(text=f"{made.name} is created.", path=_path(request, made))

    page = NewGroupPage(title="New logical group", section="logical_groups", form=form)
    return form.submit(request, save) or {"page": page}


@view_config(
    route_name="logical_group",
    request_method="GET",
    renderer="logical_groups/one.pt",
    permission=Privilege.VIEW,
)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _page(context, request)


@view_config(
    route_name="logical_group_edit",
    request_method="POST",
    renderer="logical_groups/one.pt",
    permission=Privilege.MODIFY,
)
def edit(context: Any, request: Any) -> dict[str, Any] | Response:
    form = Form(EditedGroup(), choices=PLACEMENTS)

    def save(values: dict[str, Any]) -> Done:
        if values["placement"] == "anywhere":
            values["placement"] = ""
        logical_groups.edit(request.work, context.group, **values)
        return Done(text=f"{context.group.name} is saved.", path=_path(request, context.group))

    return form.submit(request, save) or _page(context, request, edit=form)


@view_config(
    route_name="logical_group_add",
    request_method="POST",
    renderer="logical_groups/one.pt",
    permission=Privilege.MODIFY,
)
def add(context: Any, request: Any) -> dict[str, Any] | Response:
    form = _member_form()

    def save(values: dict[str, Any]) -> Done:
        made = logical_groups.add(request.work, context.group, values["kind"], values["name"])
        told = f"{made.name} is in {context.group.name}."
        return Done(text=told, path=_path(request, context.group))

    return form.submit(request, save) or _page(context, request, member=form)


@view_config(route_name="logical_group_remove", request_method="POST", permission=Privilege.MODIFY)
def remove(context: Any, request: Any) -> Response:
    number = request.POST.get("id", "")
    if number.isascii() and number.isdigit() and len(number) < 10:
        kind = request.POST.get("kind", "")
        logical_groups.remove(request.work, context.group, kind, int(number))
        request.flash("It is out of the group.")
    return HTTPSeeOther(_path(request, context.group))


@view_config(route_name="logical_group_delete", request_method="POST", permission=Privilege.MODIFY)
def delete(context: Any, request: Any) -> Response:
    logical_groups.delete(request.work, context.group)
    request.flash(f"The group {context.group.name} is gone; its members stay.")
    return HTTPSeeOther(request.route_path("logical_groups"))


@view_config(
    route_name="tagged", request_method="GET", renderer="logical_groups/tagged.pt",
    permission=SIGNED_IN,
)  # fmt: skip
def tagged(request: Any) -> dict[str, Any]:
    word = request.GET.get("word", "").strip()[:32]
    page = TaggedPage(
        title=f"Tagged {word}" if word else "Tags",
        section="logical_groups",
        word=word,
        found=tags.with_tag(request.work, word) if word else [],
        kinds=KINDS,
        empty=Empty(why="Nothing that you may see has this tag."),
    )
    return {"page": page}


def _member_form() -> Form:
    return Form(NewMember(), {"kind": "machine"}, choices={"kind": list(KINDS.items())})


def _page(
    context: Any, request: Any, *, member: Form | None = None, edit: Form | None = None
) -> dict[str, Any]:
    group = context.group
    now = {
        "name": group.name,
        "description": group.description,
        "placement": group.placement or "anywhere",
        "version": group.version,
    }
    page = GroupPage(
        title=group.name,
        section="logical_groups",
        crumbs=crumbs(request, context.pool),
        pool_id=group.pool_id,
        group=group,
        members=logical_groups.members(request.work, group),
        may=Privilege.MODIFY in context.privileges,
        member=member or _member_form(),
        edit=edit or Form(EditedGroup(), now, choices=PLACEMENTS),
        kinds=KINDS,
    )
    return {"page": page}


def _path(request: Any, group: Any) -> str:
    path: str = request.route_path("logical_group", id=group.id)
    return path

"""Roles: what each holds, and the editor of those that are not shipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.services import grants, roles
from ovcadmin.services.roles import Use
from ovcadmin.views.forms import Done, Form, flag, name, text, version
from ovcadmin.views.pages import Page
from ovcadmin.views.privileges import WORDS

PREFIX = "may_"


class RoleSchema(colander.Schema):
    name = name()
    description = text("Description", kind="textarea", longest=roles.LONGEST, missing="")
    second_factor = flag(
        "Second factor",
        hint="Whoever holds the role must sign in with a second factor; whoever has none is "
        "asked to set it up at once.",
    )


@dataclass(frozen=True, kw_only=True)
class RolesPage(Page):
    tab: str = "roles"
    lines: Sequence[tuple[Any, Use]]
    may_set: bool


@dataclass(frozen=True, kw_only=True)
class RolePage(Page):
    tab: str = "roles"
    role: Any = None
    use: Use | None = None
    may_set: bool = False
    words: Sequence[tuple[str, str, bool]] = ()
    """Each privilege: its name, what it allows, whether the role holds it."""
    form: Form | None = None
    button: str = ""


@view_config(
    route_name="roles",
    request_method="GET",
    renderer="roles/list.pt",
    permission=Privilege.SEE_GRANTS,
)
def listing(context: Any, request: Any) -> dict[str, Any]:
    found = [(role, roles.use(request.work, role)) for role in roles.listing(request.work)]
    return {
        "page": RolesPage(title="Roles", section="users", lines=found, may_set=_may_set(context))
    }


@view_config(
    route_name="role",
    request_method="GET",
    renderer="roles/role.pt",
    permission=Privilege.SEE_GRANTS,
)
def show(context: Any, request: Any) -> dict[str, Any]:
    role = context.role
    held = grants.privileges_of(role)
    return {
        "page": RolePage(
            title=role.name,
            section="users",
            role=role,
            use=roles.use(request.work, role),
            may_set=_may_set(context),
            words=[(word, meaning, one in held) for one, (word, meaning) in WORDS.items()],
        )
    }


@view_config(
    route_name="role_new",
    request_method=("GET", "POST"),
    renderer="roles/edit.pt",
    permission=Privilege.SET_GRANTS,
)
def new(_context: Any, request: Any) -> dict[str, Any] | Response:
    form = Form(_schema(), {f"{PREFIX}{Privilege.VIEW}": "yes"})
    return form.submit(request, lambda values: _create(request, values)) or {
        "page": RolePage(title="New role", section="users", form=form, button="Create the role")
    }


def _create(request: Any, values: dict[str, Any]) -> Done:
    made = roles.create(request.work, **_read(values))
    return Done(text=f"Role {made.name} is created.", path=request.route_path("role", id=made.id))


@view_config(
    route_name="role_edit",
    request_method=("GET", "POST"),
    renderer="roles/edit.pt",
    permission=Privilege.SET_GRANTS,
)
def edit(context: Any, request: Any) -> dict[str, Any] | Response:
    role = context.role
    held = grants.privileges_of(role)
    initial = {
        "name": role.name,
        "description": role.description,
        "second_factor": "yes" if role.second_factor else "",
        "version": role.version,
        **{f"{PREFIX}{one}": "yes" for one in held},
    }
    form = Form(_schema(role), initial)
    return form.submit(request, lambda values: _edit(request, role, values)) or {
        "page": RolePage(
            title=f"Edit {role.name}",
            section="users",
            role=role,
            use=roles.use(request.work, role),
            form=form,
            button="Save",
        )
    }


def _edit(request: Any, role: Any, values: dict[str, Any]) -> Done:
    kept = {"name": role.name, "privileges": grants.privileges_of(role)} if role.shipped else {}
    roles.edit(request.work, role, version=values["version"], **{**_read(values), **kept})
    return Done(text=f"{role.name} is saved.", path=request.route_path("role", id=role.id))


@view_config(
    route_name="role_delete",
    request_method=("GET", "POST"),
    renderer="roles/delete.pt",
    permission=Privilege.SET_GRANTS,
)
def delete(context: Any, request: Any) -> dict[str, Any] | Response:
    role = context.role
    form = Form(colander.Schema())
    return form.submit(request, lambda _: _delete(request, role)) or {
        "page": RolePage(
            title=f"Delete {role.name}",
            section="users",
            role=role,
            use=roles.use(request.work, role),
            form=form,
        )
    }


def _delete(request: Any, role: Any) -> Done:
    named = role.name
    roles.delete(request.work, role)
    return Done(text=f"Role {named} is deleted.", path=request.route_path("roles"))


def _schema(role: Any = None) -> colander.Schema:
    """Return the form of a role; a shipped one keeps its name and privileges."""
    schema = RoleSchema()
    if role is not None and role.shipped:
        del schema["name"]
    else:
        for privilege, (word, meaning) in WORDS.items():
            node = flag(word.capitalize(), hint=meaning)
            node.name = f"{PREFIX}{privilege}"
            schema.add(node)
    if role is not None:
        node = version()
        node.name = "version"
        schema.add(node)
    return schema


def _read(values: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": values.get("name", ""),
        "description": values["description"],
        "second_factor": values["second_factor"],
        "privileges": [one for one in Privilege if values.get(f"{PREFIX}{one}")],
    }


def _may_set(context: Any) -> bool:
    return Privilege.SET_GRANTS in context.privileges

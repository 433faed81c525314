"""Users: who there is, and making, changing, disabling and deleting them.

A user of a writable directory is changed in the directory first, while no transaction is open
(security/apart); what it answers is then written down here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin import people_apart
from ovcadmin.errors import DomainError, RequestRefused
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    groups,
    people,
    realms,
    rights,
    second_factors,
    sessions,
    tokens,
    users,
)
from ovcadmin.services.users import Filter
from ovcadmin.views.forms import Done, Form, choice, name, text
from ovcadmin.views.pages import Empty, Page
from ovcadmin.views.tables import Pager, pager, whole_number

SEEN = {"permission": Privilege.SEE_GRANTS}
ALLOWED = {"permission": Privilege.SET_GRANTS}


class Contact(colander.Schema):
    display_name = text("Full name", missing="", longest=200)
    email = text("Mail", missing="", longest=200)


class NewUser(Contact):
    name = name("User name", insert_before="display_name")
    realm = choice("Realm", missing=people.INTERNAL, insert_before="display_name")
    password = text(
        "Password",
        kind="password",
        autocomplete="new-password",
        hint=f"At least {people.SHORTEST_PASSWORD} characters; tell it the user on a safe way.",
    )


class NewPassword(colander.Schema):
    new = text("New password", kind="password", autocomplete="new-password")
    again = text("New password again", kind="password", autocomplete="new-password")


@dataclass(frozen=True, kw_only=True)
class UsersPage(Page):
    tab: str = "users"
    wanted: Filter
    users: Sequence[Any]
    realms: Sequence[Any]
    pager: Pager
    empty: Empty


@dataclass(frozen=True, kw_only=True)
class UserPage(Page):
    tab: str = "users"
    account: Any = None
    form: Form | None = None
    button: str = ""
    back: str = ""
    sessions: Sequence[Any] = ()
    tokens: Sequence[Any] = ()
    second_factor: bool = False
    groups: Sequence[Any] = ()
    holdings: Sequence[Any] = ()
    """The grants that reach the user, as far as the reader sees them."""
    changeable: bool = False
    lost: Sequence[str] = ()


@view_config(route_name="users", request_method="GET", renderer="users/list.pt", **SEEN)
def listing(request: Any) -> dict[str, Any]:
    state = request.GET.get("state", "")
    wanted = Filter(
        text=request.GET.get("q", "").strip()[:100],
        realm_id=whole_number(request.GET.get("realm", ""), 0) or None,
        state=state if state in users.STATES else "",
        page=max(1, whole_number(request.GET.get("page", ""), 1)),
    )
    found, total = users.listing(request.work, wanted)
    pages = max(1, -(-total // users.PAGE))
    path = request.route_path("users")
    page = UsersPage(
        title="Users",
        section="users",
        wanted=wanted,
        users=found,
        realms=realms.listing(request.work),
        pager=pager(request, path, page=wanted.page, pages=pages, total=total, size=users.PAGE),
        empty=Empty(why="Nobody fits.", more="Users of a directory appear when they sign in."),
    )
    return {"page": page}


@view_config(route_name="user", request_method="GET", renderer="users/user.pt", **SEEN)
def show(context: Any, request: Any) -> dict[str, Any]:
    user = users.get(request.work, context.user.id)
    page = UserPage(
        title=user.label,
        section="users",
        account=user,
        sessions=sessions.listing(request.work, user.id),
        tokens=tokens.listing(request.work, user.id),
        second_factor=second_factors.confirmed(request.work, user.id) is not None,
        groups=groups.of(request.work, user),
        holdings=rights.holdings(request.work, user),
        changeable=users.changeable(user),
    )
    return {"page": page}


@view_config(
    route_name="user_new", request_method=("GET", "POST"), renderer="users/form.pt", **ALLOWED
)
def new(request: Any) -> dict[str, Any] | Response:
    with request.work_apart(write=False) as work:
        offered = [(realm.name, realm.label) for realm in users.writable_realms(work)]
    form = Form(NewUser(), {"realm": people.INTERNAL}, choices={"realm": offered})
    return _submit(form, request, lambda values: _create(request, values)) or _form_page(
        "New user", form, "Create the user", request.route_path("users")
    )


def _create(request: Any, values: Mapping[str, Any]) -> Done:
    user = people_apart.create(request, **values)
    return Done(text=f"{user.label} is created.", path=request.route_path("user", id=user.id))


@view_config(
    route_name="user_edit", request_method=("GET", "POST"), renderer="users/form.pt", **ALLOWED
)
def edit(request: Any) -> dict[str, Any] | Response:
    user = _user(request)
    form = Form(Contact(), {"display_name": user.display_name, "email": user.email})
    return _submit(form, request, lambda values: _edit(request, user, values)) or _form_page(
        f"Edit {user.label}", form, "Save", _path(request, user), account=user
    )


def _edit(request: Any, user: Any, values: Mapping[str, Any]) -> Done:
    people_apart.edit(request, user.id, **values)
    return Done(text=f"{user.label} is saved.", path=_path(request, user))


@view_config(
    route_name="user_password", request_method=("GET", "POST"), renderer="users/form.pt", **ALLOWED
)
def password(request: Any) -> dict[str, Any] | Response:
    user = _user(request)
    form = Form(NewPassword())
    return _submit(
        form, request, lambda values: _set_password(request, user, values)
    ) or _form_page(
        f"Password of {user.label}", form, "Set the password", _path(request, user), account=user
    )


def _set_password(request: Any, user: Any, values: Mapping[str, str]) -> Done:
    people.ensure_same(values["new"], values["again"])
    people_apart.set_password(request, user.id, values["new"])
    return Done(
        text=f"The password of {user.label} is set; his sessions are ended.",
        path=_path(request, user),
    )


@view_config(route_name="user_enabled", request_method="POST", **ALLOWED)
def enabled(request: Any) -> Response:
    """Disable or enable a user: in the directory where that can be written, else here."""
    user = _user(request)
    disabled = request.POST.get("enabled") != "yes"
    people_apart.set_disabled(request, user, disabled=disabled)
    request.flash(f"{user.label} is {'disabled and out' if disabled else 'enabled'}.")
    return HTTPSeeOther(_path(request, user))


@view_config(
    route_name="user_delete", request_method=("GET", "POST"), renderer="users/delete.pt", **ALLOWED
)
def delete(request: Any) -> dict[str, Any] | Response:
    user = _user(request)
    form = Form(colander.Schema())
    where = "" if user.realm.is_internal else f" and the entry in {user.realm.label}"
    lost = [
        f"The user {user.name}@{user.realm.name}{where}",
        "Every grant, session and token of the user; machines stay",
    ]
    return _submit(form, request, lambda _: _delete(request, user)) or _form_page(
        f"Delete {user.label}", form, "Delete", _path(request, user), account=user, lost=lost
    )


def _delete(request: Any, user: Any) -> Done:
    people_apart.remove(request, user.id)
    return Done(text=f"{user.label} is deleted.", path=request.route_path("users"))


@view_config(route_name="user_sessions_end", request_method="POST", **ALLOWED)
def end_sessions(context: Any, request: Any) -> Response:
    """End one session of a user, or all of them; open pages and consoles go with it."""
    user = users.get(request.work, context.user.id)
    one = whole_number(request.POST.get("session", ""), 0) or None
    ended = sessions.end(request.work, user, one)
    request.flash(f"{ended} session{'' if ended == 1 else 's'} of {user.label} ended.")
    return HTTPSeeOther(_path(request, user))


@view_config(route_name="user_token_revoke", request_method="POST", **ALLOWED)
def revoke_token(context: Any, request: Any) -> Response:
    user = users.get(request.work, context.user.id)
    number = whole_number(request.POST.get("token", ""), 0)
    if not number:
        raise RequestRefused("Say which token is to be revoked.")
    tokens.revoke(request.work, user.id, number)
    request.flash(f"The token of {user.label} is revoked.")
    return HTTPSeeOther(_path(request, user))


@view_config(route_name="user_second_factor", request_method="POST", **ALLOWED)
def remove_second_factor(request: Any) -> Response:
    """For somebody who lost telephone and recovery codes."""
    user = users.get(request.work, int(request.matchdict["id"]))
    second_factors.remove(request.work, user)
    request.flash(f"The second factor of {user.label} is removed.")
    return HTTPSeeOther(_path(request, user))


def _submit(
    form: Form, request: Any, save: Callable[[dict[str, Any]], Done]
) -> HTTPSeeOther | None:
    """As `Form.submit`, for what makes its own short transactions."""
    values = form.validate(request) if request.method == "POST" else None
    if values is None:
        return None
    try:
        done = save(values)
    except DomainError as error:
        form.refuse(request, error)
        return None
    request.flash(done.text)
    return HTTPSeeOther(done.path)


def _user(request: Any) -> Any:
    return people_apart.get(request, int(request.matchdict["id"]))


def _path(request: Any, user: Any) -> str:
    path: str = request.route_path("user", id=user.id)
    return path


def _form_page(title: str, form: Form, button: str, back: str, **more: Any) -> dict[str, Any]:
    page = UserPage(title=title, section="users", form=form, button=button, back=back, **more)
    return {"page": page}

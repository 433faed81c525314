"""Users: finding them, and looking after those of realms that can be written.

Views whose address begins with `apart` in the contract talk to a directory, so they read and write
in short transactions of their own.
"""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin import people_apart
from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import BY_ID, Listing, cursor, next_cursor
from ovcadmin.api.versions import ensure_unchanged, tell_content
from ovcadmin.errors import InvalidInput
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import people, realms, second_factors, sessions, tokens, users


@endpoint("users", "GET", permission=Privilege.SEE_GRANTS)
def listing(_context: Any, request: Any) -> dict[str, Any]:
    wanted = query(request)
    known = {realm.name: realm.id for realm in realms.listing(request.work)}
    if wanted["realm"] is not None and wanted["realm"] not in known:
        return {"items": [], "next": None}
    place = cursor(wanted["cursor"])
    found = users.after(
        request.work,
        users.Filter(
            text=wanted["q"] or "",
            state=wanted["state"] or "",
            realm_id=known.get(wanted["realm"]),
        ),
        sort=wanted["sort"],
        place=place,
        size=wanted["limit"] + 1,
    )
    shown = found[: wanted["limit"]]
    following = next_cursor(shown, more=len(found) > len(shown))
    if following is not None and wanted["sort"] not in BY_ID:
        following = str((place or 0) + len(shown))
    return {"items": [shapes.user(row) for row in shown], "next": following}


@endpoint("users", "POST", permission=Privilege.SET_GRANTS)
def create(_context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    user_id = people_apart.create(
        request,
        realm=body.get("realm", people.INTERNAL),
        name=body["name"],
        password=body["password"],
        display_name=body.get("full_name", ""),
        email=body.get("mail", ""),
    ).id
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "user", id=user_id)
    return _told(request, user_id)


@endpoint("user", "GET", permission=Privilege.SEE_GRANTS)
def show(context: Any, request: Any) -> dict[str, Any]:
    return tell_content(request, shapes.user(users.get(request.work, context.user.id)))


@endpoint("user", "PATCH", permission=Privilege.SET_GRANTS)
def edit(_context: Any, request: Any) -> dict[str, Any]:
    body, user = request.openapi_validated.body, _user(request)
    ensure_unchanged(request, shapes.user(user))
    people_apart.edit(
        request,
        user.id,
        display_name=body.get("full_name", user.display_name),
        email=body.get("mail", user.email),
    )
    return _told(request, user.id)


@endpoint("user", "DELETE", permission=Privilege.SET_GRANTS)
def delete(_context: Any, request: Any) -> Response:
    user = _user(request)
    if "If-Match" in request.headers:
        ensure_unchanged(request, shapes.user(user))
    people_apart.remove(request, user.id)
    return Response(status=204)


@endpoint("user_password", "PUT", permission=Privilege.SET_GRANTS)
def password(_context: Any, request: Any) -> Response:
    new = request.openapi_validated.body["password"]
    try:
        people_apart.set_password(request, _user(request).id, new)
    except InvalidInput as error:
        if "new" in error.fields:
            error.fields["password"] = error.fields.pop("new")
        raise
    return Response(status=204)


@endpoint("user_state", "POST", permission=Privilege.SET_GRANTS)
def state(_context: Any, request: Any) -> dict[str, Any]:
    user = _user(request)
    disabled = request.openapi_validated.body["action"] == "disable"
    people_apart.set_disabled(request, user, disabled=disabled)
    return _told(request, user.id)


@endpoint("user_second_factor", "DELETE", permission=Privilege.SET_GRANTS)
def remove_second_factor(context: Any, request: Any) -> Response:
    second_factors.remove(request.work, users.get(request.work, context.user.id))
    return Response(status=204)


@endpoint("user_sessions", "GET", permission=Privilege.SEE_GRANTS)
def list_sessions(context: Any, request: Any) -> Listing:
    return Listing(sessions.listing(request.work, context.user.id), shapes.session, order="-id")


@endpoint("user_sessions", "DELETE", permission=Privilege.SET_GRANTS)
def end_sessions(context: Any, request: Any) -> Response:
    sessions.end(request.work, context.user, query(request)["session_id"])
    return Response(status=204)


@endpoint("user_tokens", "GET", permission=Privilege.SEE_GRANTS)
def list_tokens(context: Any, request: Any) -> Listing:
    work = request.work
    return Listing(
        tokens.listing(work, context.user.id),
        lambda row: shapes.token(row, tokens.scope(work, row)),
        order="-id",
    )


@endpoint("user_tokens", "DELETE", permission=Privilege.SET_GRANTS)
def revoke_token(context: Any, request: Any) -> Response:
    tokens.revoke(request.work, context.user.id, query(request)["token_id"])
    return Response(status=204)


def _user(request: Any) -> Any:
    return people_apart.get(request, int(request.matchdict["id"]))


def _told(request: Any, user_id: int) -> dict[str, Any]:
    return tell_content(request, shapes.user(people_apart.get(request, user_id)))

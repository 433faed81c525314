"""Grants: who holds which role on which pool, and what a change of that would mean."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import cursor, next_cursor
from ovcadmin.api.versions import tell_content
from ovcadmin.errors import InvalidInput, NotFound
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import grants, reach, roles


@endpoint("pool_grants", "GET", permission=Privilege.SEE_GRANTS)
def listing(context: Any, request: Any) -> dict[str, Any]:
    wanted = query(request)
    found = grants.after(
        request.work,
        context.pool,
        wanted["q"] or "",
        sort=wanted["sort"],
        place=cursor(wanted["cursor"]),
        size=wanted["limit"] + 1,
    )
    shown = found[: wanted["limit"]]
    following = next_cursor([line.grant for line in shown], more=len(found) > len(shown))
    return {"items": [_line(line) for line in shown], "next": following}


def _line(line: grants.Line) -> dict[str, Any]:
    told = {"pool": shapes.reference(line.source), "inherited": not line.direct}
    return {**shapes.grant(line.grant), **told}


@endpoint("pool_grants", "POST", permission=Privilege.SET_GRANTS)
def give(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    subject = _subject(request, body)
    role = roles.get(request.work, int(body["role_id"]))
    made = grants.give(request.work, context.pool, subject, role)
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "grant", id=made.id)
    return tell_content(request, shapes.grant(made))


@endpoint("pool_grant_preview", "POST", permission=Privilege.SET_GRANTS)
def preview(context: Any, request: Any) -> dict[str, Any]:
    """Tell what giving, changing (`grant_id` and `role_id`) or revoking (no role) would mean."""
    body, work = request.openapi_validated.body, request.work
    without = None
    if body.get("grant_id") is not None:
        without = grants.get(work, int(body["grant_id"]))
        if without.pool_id != context.pool.id:
            raise NotFound("There is no such grant on this pool.")
        subject = grants.subject_of(without)
    else:
        subject = _subject(request, body)
    role = roles.get(work, int(body["role_id"])) if body.get("role_id") is not None else None
    return _reach(reach.of(work, context.pool, subject, role=role, without=without))


def _subject(request: Any, body: dict[str, Any]) -> Any:
    named = [key for key in ("user_id", "group_id") if body.get(key) is not None]
    if len(named) != 1:
        raise InvalidInput(
            "Nothing was done: see what is wrong in `fields`.",
            fields={"user_id": "Name a user or a group, not both."},
        )
    kind = named[0].removesuffix("_id")
    return grants.subject(request.work, f"{kind}-{int(body[named[0]])}")


def _reach(found: reach.Reach) -> dict[str, Any]:
    return {
        "people": found.people,
        "changed": found.changed,
        "changes": [
            {
                "user": shapes.account_of(one.user),
                "gains": sorted(one.gains),
                "loses": sorted(one.loses),
            }
            for one in found.changes
        ],
        "pools": found.pools,
        "machines": found.machines,
        "lost_machines": found.lost_machines,
    }


@endpoint("grant", "GET", permission=Privilege.SEE_GRANTS)
def show(context: Any, request: Any) -> dict[str, Any]:
    return tell_content(request, shapes.grant(context.grant))


@endpoint("grant", "PATCH", permission=Privilege.SET_GRANTS)
def change(context: Any, request: Any) -> dict[str, Any]:
    role = roles.get(request.work, int(request.openapi_validated.body["role_id"]))
    grants.change(request.work, context.grant, role)
    return tell_content(request, shapes.grant(context.grant))


@endpoint("grant", "DELETE", permission=Privilege.SET_GRANTS)
def revoke(context: Any, request: Any) -> Response:
    grants.revoke(request.work, context.grant)
    return Response(status=204)

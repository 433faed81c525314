"""What is one's own: sessions, tokens, rights, the password.

A narrowed token acts for a part of its user only, so it changes none of this; and no token makes
one that outlives it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pyramid.response import Response

from ovcadmin import people_apart
from ovcadmin.api import rights, shapes
from ovcadmin.api.creation import Secret
from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.lists import Listing
from ovcadmin.errors import Forbidden, InvalidInput
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import people, sessions, tokens

DAY = timedelta(days=1)


@endpoint("sessions", "GET", permission=SIGNED_IN)
def list_sessions(_context: Any, request: Any) -> Listing:
    found = sessions.listing(request.work, request.identity.user_id)
    return Listing(found, shapes.session, order="-id")


@endpoint("session_one", "DELETE", permission=SIGNED_IN)
def end_session(_context: Any, request: Any) -> Response:
    _ensure_whole(request)
    sessions.revoke(request.work, request.identity.user_id, int(request.matchdict["id"]))
    return Response(status=204)


@endpoint("tokens", "GET", permission=SIGNED_IN)
def list_tokens(_context: Any, request: Any) -> Listing:
    work = request.work
    found = tokens.listing(work, request.identity.user_id)
    return Listing(found, lambda row: shapes.token(row, tokens.scope(work, row)), order="-id")


def _new_key(_context: Any, request: Any, told: dict[str, Any]) -> str:
    """The key was shown to whoever got the first answer; the one before is good for nothing now."""
    _ensure_whole(request)
    return tokens.renew(request.work, request.identity.user_id, int(told["id"]))


@endpoint("tokens", "POST", permission=SIGNED_IN, secret=Secret("key", _new_key))
def create_token(_context: Any, request: Any) -> dict[str, Any]:
    _ensure_whole(request)
    body = request.openapi_validated.body
    days = body.get("days")
    _ensure_no_longer(request, days)
    made, key = tokens.create(
        request.work,
        request.identity.user_id,
        name=body["name"],
        days=None if days is None else int(days),
        pool_id=_pool(request, body.get("pool_id")),
        privileges=[Privilege(name) for name in body.get("privileges", ())],
    )
    request.response.status_int = 201
    return {**shapes.token(made, tokens.scope(request.work, made)), "key": key}


@endpoint("token", "DELETE", permission=SIGNED_IN)
def revoke_token(_context: Any, request: Any) -> Response:
    number = int(request.matchdict["id"])
    if number != request.identity.token_id:
        _ensure_whole(request)
    tokens.revoke(request.work, request.identity.user_id, number)
    return Response(status=204)


@endpoint("rights", "GET", permission=SIGNED_IN)
def own_rights(_context: Any, request: Any) -> dict[str, Any]:
    person = people.get(request.work, request.identity.user_id)
    return rights.told(request, person, Privilege.VIEW)


@endpoint("password", "PUT", permission=SIGNED_IN)
def password(_context: Any, request: Any) -> Response:
    with request.work_apart(write=False) as work:
        _ensure_whole(request, work)
    body = request.openapi_validated.body
    people_apart.change_own_password(request, **{key: body[key] for key in ("old", "new", "again")})
    return Response(status=204)


def _ensure_whole(request: Any, work: Any = None) -> None:
    token = tokens.acting(work or request.work)
    if token is not None and tokens.scope(work or request.work, token) is not None:
        raise Forbidden("A narrowed token changes nothing of what is its user's own.")


def _ensure_no_longer(request: Any, days: Any) -> None:
    token = tokens.acting(request.work)
    if token is None or token.expires_at is None:
        return
    left = token.expires_at - request.work.now()
    if days is None or int(days) * DAY > left:
        text = f"A token makes none that outlives it: at most {left // DAY} days."
        raise InvalidInput("The token cannot be made.", fields={"days": text})


def _pool(request: Any, number: Any) -> int | None:
    if number is None:
        return None
    if not tokens.may_narrow_to(request.work, request.identity.user_id, int(number)):
        text = "There is no such pool, or none that you may see."
        raise InvalidInput("The token cannot be made.", fields={"pool_id": text})
    return int(number)

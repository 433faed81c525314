"""Signing in and out.  There is no way to make an account here, or anywhere in the pages."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from ovcadmin.answers import status_of
from ovcadmin.errors import DomainError, OutsideError, SignInFailed
from ovcadmin.security.headers import SESSION_COOKIE, secure_cookie
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.services import people, second_factors, sessions, sign_ins
from ovcadmin.services.sign_ins import Claim, Proof
from ovcadmin.views.errors import local_path
from ovcadmin.views.forms import Form, choice, text
from ovcadmin.views.second_factor import Setup

OPEN = {"permission": NO_PERMISSION_REQUIRED}
NEGOTIATE = "Negotiate"
REALM_COOKIE = "ovc_realm"
"""The realm of the last sign-in: offered first at the next one."""
YEAR = 365 * 24 * 3600


class SignIn(colander.Schema):
    name = text("User name", autocomplete="username")
    password = text("Password", kind="password", autocomplete="current-password")
    realm = choice("Realm", missing=people.INTERNAL)
    next = text("", kind="hidden", missing="/")


class Code(colander.Schema):
    code = text("Code", autocomplete="one-time-code", longest=40)
    half_way = text("", kind="hidden", longest=2000)
    next = text("", kind="hidden", missing="/")


@view_config(route_name="sign_in", request_method="GET", renderer="sign_in/page.pt", **OPEN)
def show(request: Any) -> dict[str, Any]:
    return _page(request, {"next": local_path(request.GET.get("next"))})


@view_config(
    route_name="sign_in",
    request_method="POST",
    renderer="sign_in/page.pt",
    csrf_token=False,
    **OPEN,
)
def sign_in(request: Any) -> dict[str, Any] | Response:
    page = _page(request, {})
    form = page["form"]
    values = form.validate(request)
    if values is not None:
        try:
            with request.work_apart(write=False, actor=request.anonymous) as work:
                claim = sign_ins.look_up(work, values["realm"], values["name"])
            password, doors = values["password"], request.directories
            return _let_in(
                request, claim, lambda: sign_ins.prove(claim, password, doors), values["next"]
            )
        except (SignInFailed, OutsideError) as error:
            form.refuse(request, error)
    return page


@view_config(
    route_name="sign_in_kerberos", request_method="GET", renderer="sign_in/kerberos.pt", **OPEN
)
def kerberos(request: Any) -> dict[str, Any] | Response:
    """Ask the browser for a Kerberos ticket; one that has none shows the page with other ways."""
    following = local_path(request.GET.get("next"))
    try:
        with request.work_apart(write=False, actor=request.anonymous) as work:
            claim = sign_ins.look_up_single(work, request.GET.get("realm", ""))
        token = _ticket(request)
        if token is None:
            request.response.status_int = 401
            request.response.headers["WWW-Authenticate"] = NEGOTIATE
            return {"problem": None, "next": following}
        doors = request.directories
        return _let_in(
            request, claim, lambda: sign_ins.prove_ticket(claim, token, doors), following
        )
    except (SignInFailed, OutsideError) as error:
        request.response.status_int = status_of(error).value
        return {"problem": error, "next": following}


@view_config(
    route_name="sign_in_code",
    request_method="POST",
    renderer="sign_in/code.pt",
    csrf_token=False,
    **OPEN,
)
def code(request: Any) -> dict[str, Any] | Response:
    """Take the second factor after the first."""
    form = Form(Code())
    values = form.validate(request)
    setup = None
    if values is not None:
        try:
            with request.work_apart(write=False, actor=request.anonymous) as work:
                waiting = sign_ins.pending(work, values["half_way"])
                setup = Setup.of(work, people.get(work, waiting.user_id))
            return _admit_second(request, waiting, values)
        except SignInFailed as error:
            form["code"].value = ""
            form.refuse(request, error)
    return {"form": form, "setup": setup}


@view_config(route_name="sign_out", request_method="POST", permission=SIGNED_IN)
def sign_out(request: Any) -> Response:
    sessions.close(request.work, request.identity.session_id)
    response = HTTPSeeOther(request.route_path("sign_in"))
    response.delete_cookie(SESSION_COOKIE)
    return response


@view_config(
    route_name="no_access",
    request_method="GET",
    renderer="sign_in/no_access.pt",
    permission=SIGNED_IN,
)
def no_access(request: Any) -> dict[str, Any] | Response:
    """Say clearly that the sign-in was right, but that nobody granted anything yet."""
    if request.context.privileges:
        return HTTPSeeOther(request.route_path("home"))
    return {}


def _page(request: Any, initial: dict[str, str]) -> dict[str, Any]:
    with request.work_apart(write=False, actor=request.anonymous) as work:
        found = sign_ins.choices(work)
        choices = [(realm.name, realm.label) for realm in found]
        initial.setdefault("realm", unquote(request.cookies.get(REALM_COOKIE, people.INTERNAL)))
        single = [realm for realm in found if realm.settings.get("kerberos_principal")]
    return {"form": Form(SignIn(), initial, choices={"realm": choices}), "single": single}


def _let_in(request: Any, claim: Claim, prove: Callable[[], Proof], following: str) -> Response:
    """Check who it is and open a new session; a session that the browser brought along ends.

    In short transactions of their own: none is open while the password is checked, and a failure
    is written down although the request fails.
    """
    try:
        proof = prove()
        with request.work_apart(write=True, actor=request.anonymous) as work:
            user = sign_ins.accept(work, claim, proof)
            owed = second_factors.owed(work, user)
            page = _second_page(work, user, following) if owed else {}
            response = None if owed else _open(request, work, user, local_path(following))
    except SignInFailed as error:
        _refuse(request, claim.account, error)
        raise
    response = response or render_to_response("sign_in/code.pt", page, request=request)
    if proof.reply:
        response.headers["WWW-Authenticate"] = f"{NEGOTIATE} {b64encode(proof.reply).decode()}"
    return response


def _second_page(work: Any, user: Any, following: str) -> dict[str, Any]:
    half_way = sign_ins.half_way(work, user)
    form = Form(Code(), {"half_way": half_way, "next": local_path(following)})
    return {"form": form, "setup": Setup.of(work, user)}


def _admit_second(request: Any, waiting: Any, values: dict[str, str]) -> Response:
    following = local_path(values["next"])
    try:
        with request.work_apart(write=True, actor=request.anonymous) as work:
            user, codes = sign_ins.second(work, waiting, values["code"])
            response = _open(request, work, user, following)
    except SignInFailed as error:
        _refuse(request, waiting.account, error)
        raise
    if codes:
        cookies = response.headers.getall("Set-Cookie")
        page = {"codes": codes, "next": following}
        response = render_to_response("sign_in/recovery.pt", page, request=request)
        response.headers.extend(("Set-Cookie", cookie) for cookie in cookies)
    return response


def _open(request: Any, work: Any, user: Any, following: str) -> Response:
    former = sessions.by_key(work, request.cookies.get(SESSION_COOKIE, ""))
    if former is not None:
        sessions.close(work, former.id)
    response = HTTPSeeOther(following)
    kept: dict[str, Any] = {
        "httponly": True,
        "samesite": "Lax",
        "secure": secure_cookie(request),
    }
    response.set_cookie(SESSION_COOKIE, sign_ins.admit(work, user), **kept)
    response.set_cookie(REALM_COOKIE, quote(user.realm.name), max_age=YEAR, **kept)
    return response


def _refuse(request: Any, account: str, error: DomainError) -> None:
    with request.work_apart(write=True, actor=request.anonymous) as work:
        sign_ins.refuse(work, account, error)


def _ticket(request: Any) -> bytes | None:
    """Return the token of `Authorization: Negotiate …`; empty when it cannot be read."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != NEGOTIATE.lower():
        return None
    try:
        return b64decode(token, validate=True)
    except (NotBase64, ValueError):
        return b""

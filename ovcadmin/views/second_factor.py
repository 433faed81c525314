"""The second factor on one's profile: setting it up, and taking it away again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import colander
import segno
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.errors import DomainError, InvalidInput, SignInFailed
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.services import people, second_factors, sign_ins
from ovcadmin.views.forms import Form, text
from ovcadmin.views.pages import Page


class Code(colander.Schema):
    code = text("Code", autocomplete="one-time-code", longest=40)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What an authenticator app needs: a picture of it, and the secret to type."""

    picture: str
    """An SVG element."""
    secret: str

    @classmethod
    def of(cls, work: Any, user: Any) -> Self | None:
        """Begin to set it up; None once it protects the user."""
        if second_factors.confirmed(work, user.id) is not None:
            return None
        secret = second_factors.begin(work, user)
        code = segno.make(second_factors.uri(user, secret), error="m")
        picture = code.svg_inline(scale=4, dark="#000", light="#fff", border=3)
        spaced = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
        return cls(picture=picture, secret=spaced)


@dataclass(frozen=True, kw_only=True)
class FactorPage(Page):
    form: Form
    setup: Setup | None
    required: bool
    on: bool
    left: int
    """Recovery codes that were not used yet."""
    codes: list[str]
    """Recovery codes that were made just now: shown this once."""


def _page(request: Any, form: Form, codes: list[str] | None = None) -> dict[str, Any]:
    user = people.get(request.work, request.identity.user_id)
    page = FactorPage(
        title="Second factor",
        section="profile",
        form=form,
        setup=Setup.of(request.work, user) if request.method == "POST" else None,
        required=second_factors.required(request.work, user.id),
        on=second_factors.confirmed(request.work, user.id) is not None,
        left=second_factors.recovery_codes_left(request.work, user.id),
        codes=codes or [],
    )
    return {"page": page}


@view_config(
    route_name="profile_second_factor",
    request_method="GET",
    renderer="profile/second_factor.pt",
    permission=SIGNED_IN,
)
def show(request: Any) -> dict[str, Any]:
    return _page(request, Form(Code()))


@view_config(
    route_name="profile_second_factor",
    request_method="POST",
    renderer="profile/second_factor.pt",
    permission=SIGNED_IN,
)
def set_up(request: Any) -> dict[str, Any]:
    """Show what the app needs; with a right code turn it on and show the recovery codes once."""
    form = Form(Code())
    if "code" in request.POST and (values := form.validate(request)) is not None:
        user = people.get(request.work, request.identity.user_id)
        try:
            return _page(request, form, second_factors.confirm(request.work, user, values["code"]))
        except SignInFailed as error:
            form.refuse(request, InvalidInput("Not yet.", fields={"code": error.text}))
    return _page(request, form)


@view_config(
    route_name="profile_second_factor_remove",
    request_method="POST",
    renderer="profile/second_factor.pt",
    permission=SIGNED_IN,
)
def remove(request: Any) -> dict[str, Any] | Response:
    """Take it away by a right code; wrong ones are throttled as at sign-in."""
    form = Form(Code())
    values = form.validate(request)
    if values is not None:
        try:
            _remove(request, values["code"])
            request.flash("The second factor is removed.")
            return HTTPSeeOther(request.route_path("profile_second_factor"))
        except DomainError as error:
            form.refuse(request, error)
    return _page(request, form)


def _remove(request: Any, code: str) -> None:
    with request.work_apart(write=False) as work:
        user = people.get(work, request.identity.user_id)
        sign_ins.throttle(work, user)
    try:
        with request.work_apart(write=True) as work:
            second_factors.remove_own(work, people.get(work, user.id), code)
    except InvalidInput as error:
        with request.work_apart(write=True) as work:
            sign_ins.refuse(work, sign_ins.account_of(user), error)
        raise

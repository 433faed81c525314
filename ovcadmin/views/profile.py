"""One's own things: who one is, password, tokens, sessions, and how pages look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin import people_apart
from ovcadmin.errors import DomainError
from ovcadmin.security.headers import secure_cookie
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import people, pools, sessions, tokens, users
from ovcadmin.views.chrome import THEME_COOKIE, THEMES
from ovcadmin.views.errors import local_path
from ovcadmin.views.forms import Field, Form, choice, count, flag, name, text
from ovcadmin.views.pages import Page
from ovcadmin.views.privileges import WORDS

YEAR = 365 * 24 * 3600
MAY = "may_"
"""Before the name of a privilege: its box in the form of a new token."""
MOST_POOLS = 200


class Password(colander.Schema):
    old = text("Present password", kind="password", autocomplete="current-password")
    new = text(
        "New password",
        kind="password",
        autocomplete="new-password",
        hint=f"At least {people.SHORTEST_PASSWORD} characters.",
    )
    again = text("New password again", kind="password", autocomplete="new-password")


class TokenForm(Form):
    """The form of a new token: what every token has, and what narrows one."""

    @property
    def plain(self) -> list[Field]:
        return [field for field in self if field.name in ("name", "days")]

    @property
    def narrowing(self) -> list[Field]:
        return [field for field in self if field.name not in ("name", "days")]

    @property
    def narrowed(self) -> bool:
        return any(field.value or field.error for field in self.narrowing)


class NewToken(colander.Schema):
    name = name(hint="What it is for, such as backup script.")
    days = count("Days", missing=None, hint="Blank: it does not expire.")
    pool = choice("Only in", missing=None, hint="Blank: wherever you have rights.")

    @classmethod
    def form(cls, request: Any) -> TokenForm:
        """Return the form; a box for each privilege that the user holds somewhere."""
        schema = cls()
        for privilege in Privilege:
            if privilege in request.context.privileges:
                node = flag(WORDS[privilege][0].capitalize(), hint=WORDS[privilege][1])
                node.name = f"{MAY}{privilege}"
                schema.add(node)
        pad = "\u00a0\u00a0"
        named = [
            (str(node.pool.id), pad * node.depth + node.pool.name)
            for node in pools.tree(request.work)[:MOST_POOLS]
        ]
        return TokenForm(schema, {"days": 90}, choices={"pool": named})


@dataclass(frozen=True, kw_only=True)
class ProfilePage(Page):
    account: Any
    password: Form
    token: TokenForm
    tokens: Sequence[tuple[Any, Any, str]]
    """With what narrows each (None: nothing) and the name of the pool that it is narrowed to."""
    sessions: Sequence[Any]
    session_id: int
    key: str = ""
    """The key of a token made just now: shown this once."""
    theme: str = "system"

    @property
    def keeps_password(self) -> bool:
        return users.changeable(self.account)


def _page(
    request: Any, *, password: Form | None = None, token: TokenForm | None = None, key: str = ""
) -> dict[str, Any]:
    work, identity = request.work, request.identity
    page = ProfilePage(
        title="Profile",
        section="profile",
        account=people.get(work, identity.user_id),
        password=password or Form(Password()),
        token=token or NewToken.form(request),
        tokens=[
            (listed, scope := tokens.scope(work, listed), tokens.place(work, scope))
            for listed in tokens.listing(work, identity.user_id)
        ],
        sessions=sessions.listing(work, identity.user_id),
        session_id=identity.session_id,
        key=key,
    )
    return {"page": page}


@view_config(
    route_name="profile",
    request_method="GET",
    renderer="profile/profile.pt",
    permission=SIGNED_IN,
)
def profile(request: Any) -> dict[str, Any]:
    return _page(request)


@view_config(
    route_name="profile_password",
    request_method="POST",
    renderer="profile/profile.pt",
    permission=SIGNED_IN,
)
def password(request: Any) -> dict[str, Any] | Response:
    """Change one's own password, in the directory that keeps it; no transaction is open then."""
    form = Form(Password())
    values = form.validate(request)
    if values is not None:
        try:
            people_apart.change_own_password(request, **values)
            request.flash("Your password is changed; your other sessions are ended.")
            return HTTPSeeOther(request.route_path("profile"))
        except DomainError as error:
            form.refuse(request, error)
    return _page(request, password=form)


@view_config(
    route_name="profile_tokens",
    request_method="POST",
    renderer="profile/profile.pt",
    permission=SIGNED_IN,
)
def new_token(request: Any) -> dict[str, Any]:
    """Create a token and show its key, without a redirect: it is never to be seen again."""
    form = NewToken.form(request)
    values = form.validate(request)
    if values is not None:
        try:
            _, key = tokens.create(
                request.work,
                request.identity.user_id,
                name=values["name"],
                days=values["days"],
                pool_id=int(values["pool"]) if values["pool"] else None,
                privileges=[one for one in Privilege if values.get(f"{MAY}{one}")],
            )
            return _page(request, key=key)
        except DomainError as error:
            form.refuse(request, error)
    return _page(request, token=form)


@view_config(route_name="profile_token_revoke", request_method="POST", permission=SIGNED_IN)
def revoke_token(request: Any) -> Response:
    tokens.revoke(request.work, request.identity.user_id, int(request.matchdict["id"]))
    request.flash("The token is revoked; who used it is out.")
    return HTTPSeeOther(request.route_path("profile"))


@view_config(route_name="profile_session_revoke", request_method="POST", permission=SIGNED_IN)
def revoke_session(request: Any) -> Response:
    sessions.revoke(request.work, request.identity.user_id, int(request.matchdict["id"]))
    request.flash("The session is ended.")
    return HTTPSeeOther(request.route_path("profile"))


@view_config(route_name="preferences", request_method="POST", permission=SIGNED_IN)
def preferences(request: Any) -> Response:
    """Remember light or dark; `system` follows the browser."""
    theme = request.POST.get("theme", "")
    response = HTTPSeeOther(local_path(request.POST.get("back")))
    response.set_cookie(
        THEME_COOKIE,
        theme if theme in THEMES else "system",
        max_age=YEAR,
        httponly=True,
        samesite="Lax",
        secure=secure_cookie(request),
    )
    return response

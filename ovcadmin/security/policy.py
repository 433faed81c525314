"""Who is asking, and whether the context allows it.

Pages know a browser by its session cookie; the REST API also takes `Authorization: Bearer`.  A
request with a bearer token is that token's and nothing else: its cookies are not looked at, so no
foreign page can borrow them.

What is allowed was worked out by the route's context factory: `context.privileges` holds what the
user may do there.  A permission is a privilege; `parent.` and a privilege, for what is decided one
pool higher; or `SIGNED_IN`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyramid.security import Allowed, Denied

from ovcadmin.models import Session, Token, User, ViewAs

API_PREFIX = "/api/"
SIGNED_IN = "signed_in"
"""Permission of what every signed-in user may see: his own things, and lists of what is his."""

PARENT = "parent."
"""Prefix of a privilege that must be held on the pool above."""

UNDECLARED = "undeclared"
"""Default permission, held by nobody: a view that forgot to say whom it is for stays shut."""


@dataclass(frozen=True, kw_only=True)
class Viewing:
    """Who really looks, when the console is looked at as somebody else sees it."""

    name: str
    """`helga@internal`."""
    label: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A signed-in user and what he signed in with; plain values that outlive the transaction."""

    user_id: int
    name: str
    """`anna@internal`."""
    label: str
    """How pages call him."""
    session_id: int | None = None
    token_id: int | None = None
    csrf_token: str = ""
    seen_at: datetime | None
    realm: str
    viewing: Viewing | None = None
    """Set: this user is only looked through, by somebody else whose session it is."""

    @property
    def actor_name(self) -> str:
        """How the audit log names who acts: both of them while one views as the other."""
        return f"{self.viewing.name} as {self.name}" if self.viewing else self.name

    @classmethod
    def of_session(cls, session: Session, view_as: ViewAs | None = None) -> Identity:
        viewer = session.user
        return cls(
            **_user_values(view_as.user if view_as is not None else viewer),
            viewing=Viewing(
                name=f"{viewer.name}@{viewer.realm.name}",
                label=viewer.label,
                reason=view_as.reason,
            )
            if view_as is not None
            else None,
            session_id=session.id,
            csrf_token=session.csrf_token,
            seen_at=session.seen_at,
        )

    @classmethod
    def of_token(cls, token: Token) -> Identity:
        return cls(**_user_values(token.user), token_id=token.id, seen_at=token.used_at)


def _user_values(user: User) -> dict[str, Any]:
    return {
        "user_id": user.id,
        "name": f"{user.name}@{user.realm.name}",
        "label": user.label,
        "realm": user.realm.name,
    }


def is_api(request: Any) -> bool:
    return bool(request.environ.get("PATH_INFO", "").startswith(API_PREFIX))


def bearer_key(request: Any) -> str | None:
    """Return the key of an `Authorization: Bearer` header to the REST API, else None."""
    if not is_api(request):
        return None
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else None


class Policy:
    """Pyramid's security policy over `request.found_identity` and the context's privileges."""

    def identity(self, request: Any) -> Identity | None:
        found: Identity | None = request.found_identity
        return found

    def authenticated_userid(self, request: Any) -> int | None:
        identity = self.identity(request)
        return identity.user_id if identity else None

    def permits(self, request: Any, context: Any, permission: str) -> Allowed | Denied:
        if permission == SIGNED_IN:
            held = self.identity(request) is not None
        elif permission.startswith(PARENT):
            held = permission.removeprefix(PARENT) in getattr(context, "parent_privileges", ())
        else:
            held = permission in getattr(context, "privileges", ())
        answer = Allowed if held else Denied
        return answer("%s on %s", permission, type(context).__name__)

    def remember(self, request: Any, _userid: str, **_kw: Any) -> list[tuple[str, str]]:
        return []

    def forget(self, request: Any, **_kw: Any) -> list[tuple[str, str]]:
        return []

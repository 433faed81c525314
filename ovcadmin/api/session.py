"""Who you are here."""

from __future__ import annotations

from typing import Any

from ovcadmin.api.endpoint import endpoint
from ovcadmin.security.policy import SIGNED_IN


@endpoint("session", "GET", permission=SIGNED_IN)
def show(context: Any, request: Any) -> dict[str, Any]:
    identity = request.identity
    return {
        "user": {"id": identity.user_id, "name": identity.name},
        "name": identity.label,
        "realm": identity.realm,
        "door": "token" if identity.token_id is not None else "session",
        "privileges": sorted(context.privileges),
    }

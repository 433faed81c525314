"""Groups of directories: who belongs to them, and what they hold."""

from __future__ import annotations

from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, query
from ovcadmin.api.lists import Listing, cursor
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import groups, rights


@endpoint("groups", "GET", permission=Privilege.SEE_GRANTS)
def listing(_context: Any, request: Any) -> Listing:
    found = groups.matching(request.work, query(request)["q"] or "")
    return Listing(found, shapes.group, searched=True)


@endpoint("group", "GET", permission=Privilege.SEE_GRANTS)
def show(context: Any, request: Any) -> dict[str, Any]:
    held = rights.of_group(request.work, context.group)
    return {**shapes.group(context.group), "grants": [shapes.grant(one) for one in held]}


@endpoint("group_members", "GET", permission=Privilege.SEE_GRANTS)
def members(context: Any, request: Any) -> dict[str, Any]:
    """List by name; the cursor counts pages."""
    wanted = query(request)
    number, size = cursor(wanted["cursor"]) or 1, wanted["limit"]
    found, total = groups.members(request.work, context.group, page=number, size=size)
    more = number * size < total
    return {
        "items": [shapes.user(row) for row in found],
        "next": str(number + 1) if more else None,
        "total": total,
    }

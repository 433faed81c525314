"""What somebody may do, and why."""

from __future__ import annotations

from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, query
from ovcadmin.errors import NotFound
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import groups, pools, rights, users


@endpoint("user_rights", "GET", permission=Privilege.SEE_GRANTS)
def of_user(context: Any, request: Any) -> dict[str, Any]:
    return told(request, users.get(request.work, context.user.id), Privilege.SEE_GRANTS)


def told(request: Any, person: Any, needed: Privilege) -> dict[str, Any]:
    """Return the person's rights, on pools where the reader holds `needed`."""
    work, pool_id = request.work, query(request)["pool_id"]
    found = rights.on(work, person, _pool(request, pool_id, needed)) if pool_id else None
    return {
        "user": shapes.account_of(person),
        "groups": [shapes.account_of(group) for group in groups.of(work, person)],
        "holdings": [
            {
                "pool": shapes.reference(one.pool),
                "role": shapes.reference(one.role),
                "group": shapes.account_of(one.group),
            }
            for one in rights.holdings(work, person)
        ],
        "here": None if found is None else _here(found),
    }


def _here(found: rights.Rights) -> dict[str, Any]:
    return {
        "pool": shapes.reference(found.pool),
        "privileges": sorted(found.privileges),
        "reasons": [
            {"privileges": sorted(one.privileges), "text": one.text} for one in found.reasons
        ],
    }


def _pool(request: Any, pool_id: int, needed: Privilege) -> Any:
    if needed not in privileges_on(request.db, request.identity.user_id, pool_id):
        raise NotFound("There is nothing here, or nothing that you may see.")
    return pools.get(request.work, pool_id)

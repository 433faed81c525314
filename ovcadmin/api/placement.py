"""Placement: where a machine could go and why not elsewhere, and moving it there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import Listing
from ovcadmin.api.machines import shown
from ovcadmin.domain.placement import Verdict, Wanted, smallest_change
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import images, migrations, placement, sizes


@endpoint("pool_placement", "GET", permission=Privilege.CREATE)
def explain(context: Any, request: Any) -> Listing:
    asked = query(request)
    image = images.choose(request.work, context.pool, int(asked["image_id"]))
    size = sizes.get(request.settings, asked["size"])
    wanted = Wanted(
        vcpus=size.vcpus,
        memory=size.memory,
        storage=max(size.storage, image.size),
        image_id=image.id,
        image=image.name,
    )
    return _told(placement.verdicts(request.work, context.pool, wanted))


@endpoint("machine_placement", "GET", permission=Privilege.MODIFY)
def explain_migration(context: Any, request: Any) -> Listing:
    return _told(migrations.outlook(request.work, context.machine).verdicts)


@endpoint("machine_migrate", "POST", permission=Privilege.MODIFY)
def migrate(context: Any, request: Any) -> dict[str, Any]:
    host_id = (request.openapi_validated.body or {}).get("host_id")
    operation = migrations.migrate(request.work, context.machine, host_id)
    request.response.status_int = 202
    request.response.headers["Location"] = path(request, "operation", id=operation.id)
    return {
        "operation": shapes.operation(operation),
        "machine": shown(request, context.machine),
    }


def _told(verdicts: Sequence[Verdict]) -> Listing:
    best = sorted(verdicts, key=lambda v: (not v.fits, -v.score, v.candidate.host_id))
    more = {"smallest_change": list(smallest_change(verdicts))}
    return Listing(best, shapes.verdict, order="", more=more)

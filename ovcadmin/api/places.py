"""The place and the state of a pool, and the pool of a machine; a move can be looked at first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint
from ovcadmin.errors import InvalidInput
from ovcadmin.security.policy import PARENT
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import pool_moves, pool_states

STATES = {
    "freeze": pool_states.freeze,
    "unfreeze": pool_states.thaw,
    "retire": pool_states.retire,
    "bring_back": pool_states.bring_back,
}


@endpoint("pool_state", "POST", permission=PARENT + Privilege.MODIFY)
def state(context: Any, request: Any) -> dict[str, Any]:
    STATES[request.openapi_validated.body["action"]](request.work, context.pool)
    request.response.headers["ETag"] = f'"{context.pool.version}"'
    return shapes.pool(context.pool)


@endpoint("pool_move", "POST", permission=PARENT + Privilege.MODIFY)
def move(context: Any, request: Any) -> dict[str, Any]:
    pool, work = context.pool, request.work
    target = _target(request, [] if pool.is_root else pool_moves.targets(work, pool), "parent_id")
    impact = pool_moves.impact(work, pool, target)
    return _moved(context, request, impact, lambda: pool_moves.move(work, pool, target))


@endpoint("machine_move", "POST", permission=Privilege.MODIFY)
def move_machine(context: Any, request: Any) -> dict[str, Any]:
    machine, work = context.machine, request.work
    target = _target(request, pool_moves.machine_targets(work, machine), "pool_id")
    impact = pool_moves.machine_impact(work, machine, target)
    return _moved(context, request, impact, lambda: pool_moves.move_machine(work, machine, target))


def _target(request: Any, offered: list[Any], field: str) -> Any:
    """Return the pool that the body names.  Raises `InvalidInput` when it is no place to go to."""
    wanted = int(request.openapi_validated.body[field])
    found = next((pool for pool in offered if pool.id == wanted), None)
    if found is None:
        text = "It is there already, or this is no pool that you may move it to."
        raise InvalidInput("Nothing was moved.", fields={field: text})
    return found


def _moved(context: Any, request: Any, impact: Any, go: Callable[[], None]) -> dict[str, Any]:
    dry = request.openapi_validated.body.get("dry_run", False)
    told = _impact(impact, context.privileges)
    if not dry:
        go()
    return {"done": not dry, "impact": told}


def _impact(found: Any, privileges: Any) -> dict[str, Any]:
    """Return what a move means; who gains or loses rights is for those who see grants."""
    shifts = found.shifts if Privilege.SEE_GRANTS in privileges else ()
    return {
        "refused": found.refused,
        "blocks": [
            {
                "pool": {"id": block.pool_id, "name": block.pool},
                "resource": block.resource,
                "text": block.explain(),
                "short": block.short,
            }
            for block in found.blocks
        ],
        "busy": found.busy,
        "people": [
            {
                "user": {"id": shift.user_id, "name": shift.name},
                "gains": sorted(shift.gains),
                "loses": sorted(shift.loses),
            }
            for shift in shifts
        ],
        "stuck": [shapes.reference(machine) for machine in found.stuck],
        "unserved": found.unserved,
    }

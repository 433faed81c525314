"""Snapshots of machines, and when they are made by themselves."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.lists import Listing
from ovcadmin.api.machines import accepted
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import snapshot_schedules, snapshots


@endpoint("machine_snapshots", "GET", permission=Privilege.VIEW)
def listing(context: Any, request: Any) -> Listing:
    return Listing(snapshots.listing(request.work, context.machine), _shape, order="")


@endpoint("machine_snapshots", "POST", permission=Privilege.CONTROL)
def take(context: Any, request: Any) -> dict[str, Any]:
    name = request.openapi_validated.body["name"]
    operation = snapshots.take(request.work, context.machine, name)
    return accepted(request, context.machine, operation.id)


@endpoint("snapshot", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    removed = snapshots.removed_by(request.work, context.snapshot)
    return {**_shape(context.snapshot), "removed_by_rollback": [one.id for one in removed]}


@endpoint("snapshot", "DELETE", permission=Privilege.CONTROL)
def delete(context: Any, request: Any) -> dict[str, Any]:
    operation = snapshots.delete(request.work, context.snapshot)
    return accepted(request, context.machine, operation.id)


@endpoint("snapshot_roll_back", "POST", permission=Privilege.CONTROL)
def roll_back(context: Any, request: Any) -> dict[str, Any]:
    operation = snapshots.roll_back(request.work, context.snapshot)
    return accepted(request, context.machine, operation.id)


@endpoint("machine_snapshot_schedule", "GET", permission=Privilege.VIEW)
def machine_schedule(context: Any, request: Any) -> dict[str, Any]:
    return _schedule(snapshot_schedules.effective(request.work, context.machine))


@endpoint("machine_snapshot_schedule", "PUT", permission=Privilege.CONTROL)
def set_machine_schedule(context: Any, request: Any) -> dict[str, Any]:
    return _put(request, context.machine)


@endpoint("machine_snapshot_schedule", "DELETE", permission=Privilege.CONTROL)
def remove_machine_schedule(context: Any, request: Any) -> Response:
    snapshot_schedules.remove(request.work, context.machine)
    return Response(status=204)


@endpoint("pool_snapshot_schedule", "GET", permission=Privilege.VIEW)
def pool_schedule(context: Any, request: Any) -> dict[str, Any]:
    return _schedule(snapshot_schedules.of(request.work, context.pool))


@endpoint("pool_snapshot_schedule", "PUT", permission=Privilege.MODIFY)
def set_pool_schedule(context: Any, request: Any) -> dict[str, Any]:
    return _put(request, context.pool)


@endpoint("pool_snapshot_schedule", "DELETE", permission=Privilege.MODIFY)
def remove_pool_schedule(context: Any, request: Any) -> Response:
    snapshot_schedules.remove(request.work, context.pool)
    return Response(status=204)


def _put(request: Any, thing: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    row = snapshot_schedules.put(request.work, thing, times=body["times"], keep=int(body["keep"]))
    return _schedule(row)


def _schedule(row: Any) -> dict[str, Any]:
    """Show a schedule; one that is not set makes no snapshots."""
    if row is None:
        return {"times": "", "keep": 0, "next_at": None, "pool": None}
    return {
        "times": row.times,
        "keep": row.keep,
        "next_at": row.next_at,
        "pool": shapes.reference(row.pool),
    }


def _shape(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "machine": shapes.reference(row.machine),
        "name": row.name,
        "taken_at": row.taken_at,
        "epoch": int(row.taken_at.timestamp()) if row.taken_at else None,
        "running": row.running,
        "scheduled": row.scheduled,
        "size": row.size,
        "storage": row.counted,
        "disks": [
            {"target": part.volume.target, "size": part.size, "key": part.key} for part in row.parts
        ],
        "user": f"{row.user.name}@{row.user.realm.name}" if row.user else None,
    }

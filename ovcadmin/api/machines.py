"""Machines: lists, making, acting, consoles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.creation import Secret
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import cursor
from ovcadmin.api.versions import tell_version, version
from ovcadmin.domain.states import Action
from ovcadmin.errors import InvalidInput
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    bins,
    care,
    cloud_init,
    consoles,
    guests,
    images,
    machine_edits,
    machine_lists,
    machines,
    operations,
    sizes,
)

BY_ID = "id"


@endpoint("machines", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> dict[str, Any]:
    wanted = query(request)
    place = cursor(wanted["cursor"])
    by_id = wanted["sort"] == BY_ID
    found = machine_lists.listing(
        request.work,
        machine_lists.Filter(
            text=wanted["q"] or "",
            state=wanted["state"] or "",
            owner=wanted["owner"] or "",
            tag=wanted["tag"] or "",
            host_id=wanted["host_id"],
            pool_id=wanted["pool_id"],
            image_id=wanted["image_id"],
            binned=bool(wanted["bin"]),
            sort=wanted["sort"],
            after=(place or 0) if by_id else None,
            page=1 if by_id else place or 1,
            # One more by id than is shown tells whether another page follows.
            size=wanted["limit"] + by_id,
            whole=True,
        ),
    )
    rows = found.rows[: wanted["limit"]]
    if by_id:
        following = str(rows[-1].machine.id) if len(found.rows) > len(rows) else None
    else:
        following = str(found.page + 1) if found.page < found.pages else None
    return {"items": [_row(row) for row in rows], "next": following, "total": found.total}


@endpoint("pool_machines", "POST", permission=Privilege.CREATE)
def create(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    order = machines.Order(
        name=body["name"],
        image=images.start(request.work, context.pool, int(body["image_id"])),
        size=sizes.get(request.settings, body["size"]),
        start=body.get("start", False),
        description=body.get("description", ""),
        host_id=body.get("host_id"),
        network=body.get("network") or None,
        cloud_init=first_boot(request, body),
    )
    machine = machines.create(request.work, context.pool, order)
    return accepted(request, machine, machine.tail_id)


def first_boot(request: Any, body: Any) -> cloud_init.Kept | None:
    return cloud_init.keep(request.work, cloud_init.Wish.of(body.get("cloud_init") or {}))


@endpoint("machine", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    tell_version(request, context.machine)
    return shown(request, context.machine)


@endpoint("machine_guest", "GET", permission=Privilege.VIEW)
def guest(context: Any, request: Any) -> dict[str, Any]:
    found = guests.of(request.work, context.machine)
    return {
        "asked_at": found.asked_at if found else None,
        "answered_at": found.answered_at if found else None,
        "trouble": found.trouble if found else "",
        "facts": (found.facts or None) if found else None,
        "cloud_init": shapes.cloud_init(context.machine.cloud_init),
    }


@endpoint("machine_action", "POST", permission=Privilege.CONTROL)
def act(context: Any, request: Any) -> dict[str, Any]:
    action = Action(request.openapi_validated.parameters.path["action"])
    operation = machines.act(request.work, context.machine, action)
    return accepted(request, context.machine, operation.id)


@endpoint("machine", "DELETE", permission=Privilege.CREATE)
def delete(context: Any, request: Any) -> dict[str, Any]:
    for_good = bool(query(request)["for_good"])
    operation = bins.delete(request.work, context.machine, for_good=for_good)
    return accepted(request, context.machine, operation.id)


@endpoint("machine", "PATCH", permission=Privilege.CREATE)
def edit(context: Any, request: Any) -> dict[str, Any]:
    machine, body = context.machine, request.openapi_validated.body
    wanted = machine_edits.Edit(**body)
    machine_edits.edit(request.work, machine, wanted, version(request, machine))
    tell_version(request, machine)
    return shown(request, machine)


@endpoint("machine_lease", "PUT", permission=Privilege.CREATE)
def lease(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    care.lease(
        request.work,
        context.machine,
        run_until=_moment(body, "run_until"),
        run_end=body.get("run_end", "shutdown"),
        keep_until=_moment(body, "keep_until"),
    )
    return shown(request, context.machine)


def _moment(body: Any, name: str) -> datetime | None:
    given = body.get(name)
    if given is None or isinstance(given, datetime):
        return given
    try:
        return datetime.fromisoformat(given).astimezone(UTC)
    except ValueError:
        told = {name: "Write a moment such as 2027-01-31T18:00:00Z."}
        raise InvalidInput("The lease is not set.", fields=told) from None


def _ticket(context: Any, request: Any, told: dict[str, Any]) -> str:
    return consoles.issue(request.work, context.machine, told["kind"])


@endpoint(
    "machine_consoles", "POST", permission=Privilege.CONTROL, secret=Secret("ticket", _ticket)
)
def console(context: Any, request: Any) -> dict[str, Any]:
    kind = (request.openapi_validated.body or {}).get("kind", consoles.SERIAL)
    ticket = consoles.issue(request.work, context.machine, kind)
    request.response.status_int = 201
    return {
        "ticket": ticket,
        "url": consoles.URLS[kind],
        "kind": kind,
        "machine_id": context.machine.id,
        "seconds": request.settings.ticket_seconds,
    }


def accepted(request: Any, machine: Any, operation_id: Any) -> dict[str, Any]:
    request.response.status_int = 202
    request.response.headers["Location"] = path(request, "operation", id=operation_id)
    operation = operations.get(request.work, operation_id)
    return {"operation": shapes.operation(operation), "machine": shown(request, machine)}


def shown(request: Any, machine: Any) -> dict[str, Any]:
    return _row(machine_lists.rows(request.work, [machine])[0])


def _row(row: Any) -> dict[str, Any]:
    allowed = [action.value for action in machines.allowed(row.machine)]
    return shapes.machine(row.machine, row.badge, allowed)

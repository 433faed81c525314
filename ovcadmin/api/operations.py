"""Operations: what was asked for, how far it is, how it ended."""

from __future__ import annotations

import threading
import time
from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import cursor, next_cursor
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import machine_lists, machines, operations, retries

LOOK_EVERY = 0.2
"""Seconds between two looks at an operation that is waited for."""

_waiting = threading.Semaphore(2)
"""So many requests of this process may wait; each holds one of its threads meanwhile."""


@endpoint("operations", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> dict[str, Any]:
    wanted = query(request)
    found = operations.listing(
        request.work,
        operations.Filter(
            state=wanted["state"] or "",
            running=wanted["open"],
            pool_id=wanted["pool_id"],
            machine_id=wanted["machine_id"],
            host_id=wanted["host_id"],
            oldest_first=wanted["sort"] == "id",
            place=cursor(wanted["cursor"]),
            limit=wanted["limit"] + 1,
        ),
    )
    shown = found[: wanted["limit"]]
    return {
        "items": [shapes.operation(row) for row in shown],
        "next": next_cursor(shown, more=len(found) > len(shown)),
    }


@endpoint("operation", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    seconds = query(request)["wait"]
    if seconds and not context.operation.ended:
        return _after_waiting(request, context.operation.id, float(seconds))
    return shapes.operation_full(context.operation)


@endpoint("operation_cancel", "POST", permission=Privilege.VIEW)
def cancel(context: Any, request: Any) -> dict[str, Any]:
    request.require(operations.privilege(context.operation))
    operations.cancel(request.work, context.operation)
    return accepted(request, context.operation)


@endpoint("operation_retry", "POST", permission=Privilege.VIEW)
def retry(context: Any, request: Any) -> dict[str, Any]:
    request.require(operations.privilege(context.operation))
    return accepted(request, retries.retry(request.work, context.operation))


def _after_waiting(request: Any, operation_id: int, seconds: float) -> dict[str, Any]:
    """Look again and again, each time in a transaction of its own, until it has ended."""
    if not _waiting.acquire(blocking=False):
        seconds = 0
    try:
        deadline = time.monotonic() + seconds
        while True:
            with request.work_apart(write=False) as work:
                operation = operations.get(work, operation_id)
                if operation.ended or time.monotonic() >= deadline:
                    return shapes.operation_full(operation)
            time.sleep(LOOK_EVERY)
    finally:
        if seconds:
            _waiting.release()


def accepted(request: Any, operation: Any) -> dict[str, Any]:
    request.response.status_int = 202
    request.response.headers["Location"] = path(request, "operation", id=operation.id)
    return {"operation": shapes.operation(operation), "machine": _machine(request, operation)}


def _machine(request: Any, operation: Any) -> dict[str, Any] | None:
    if operation.machine is None:
        return None
    row = machine_lists.rows(request.work, [operation.machine])[0]
    allowed = [action.value for action in machines.allowed(row.machine)]
    return shapes.machine(row.machine, row.badge, allowed)

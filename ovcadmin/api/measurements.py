"""What hosts and machines used, for an hour, a day or a month."""

from __future__ import annotations

from typing import Any

from ovcadmin.api.endpoint import endpoint
from ovcadmin.domain.measurements import SPANS
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import measurements

FIELDS = ("at", "cpu", "memory", "received", "sent", "read", "written")


@endpoint("host_measurements", "GET", permission=Privilege.VIEW)
def of_host(context: Any, request: Any) -> dict[str, Any]:
    return _series(request, "host", context.host.id)


@endpoint("machine_measurements", "GET", permission=Privilege.VIEW)
def of_machine(context: Any, request: Any) -> dict[str, Any]:
    return _series(request, "machine", context.machine.id)


def _series(request: Any, kind: str, number: int) -> dict[str, Any]:
    span = request.openapi_validated.parameters.query.get("span", "hour")
    rows = measurements.series(request.work, kind, number, span)
    return {
        "span": span,
        "seconds": SPANS[span].seconds,
        "points": [{name: getattr(row, name) for name in FIELDS} for row in rows],
    }

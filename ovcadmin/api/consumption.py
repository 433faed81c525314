"""Consumption: what was used, summed from the recorded life of each machine."""

from __future__ import annotations

from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.lists import Listing
from ovcadmin.domain.consumption import Month
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.services import consumption


@endpoint("consumption", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    return Listing(consumption.overview(request.work), _entry, order="")


def _entry(entry: Any) -> dict[str, Any]:
    return {"month": str(entry.month), "machines": entry.machines}


@endpoint("consumption_month", "GET", permission=SIGNED_IN)
def report(_context: Any, request: Any) -> dict[str, Any]:
    month = Month.parse(request.openapi_validated.parameters.path["month"])
    accounts = consumption.report(request.work, month)
    return {"month": str(month), "accounts": [shapes.account(found) for found in accounts]}

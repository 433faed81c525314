"""What still fits in a pool, and when it is full."""

from __future__ import annotations

from typing import Any

from ovcadmin.api.endpoint import endpoint
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import forecast


@endpoint("pool_forecast", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    fits = forecast.fits(request.work, context.pool, request.identity.user_id)
    return {
        "fits": [
            {"size": one.size.name, "count": one.fit.count, "tightest": one.fit.tightest}
            for one in fits
        ],
        "trends": [
            {
                "resource": trend.resource,
                "taken": trend.taken,
                "limit": trend.limit,
                "growth": round(trend.growth, 3),
                "days": None if trend.days is None else round(trend.days, 1),
                "full_at": trend.full_at,
            }
            for trend in forecast.trends(request.work, context.pool)
        ],
    }

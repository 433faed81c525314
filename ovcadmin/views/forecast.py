"""Forecast of a pool: what still fits, and when it is full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.view import view_config

from ovcadmin.domain import amounts
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import forecast
from ovcadmin.services.forecast import DAYS, SizeFit, Trend
from ovcadmin.views.bars import LABELS
from ovcadmin.views.pages import Page, crumbs


@dataclass(frozen=True, kw_only=True)
class TrendLine:
    trend: Trend
    label: str
    growth: str
    """A day, in words."""

    @classmethod
    def of(cls, trend: Trend) -> TrendLine:
        return cls(trend=trend, label=LABELS[trend.resource], growth=_growth(trend))


@dataclass(frozen=True, kw_only=True)
class ForecastPage(Page):
    pool: Any
    fits: Sequence[SizeFit]
    trends: Sequence[TrendLine]
    days: int = DAYS


def _growth(trend: Trend) -> str:
    if trend.resource in amounts.READERS:
        size = amounts.show(trend.resource, abs(round(trend.growth)))
    else:
        size = f"{abs(trend.growth):.2f}"
    if not round(trend.growth, 3):
        return "steady"
    return f"{'+' if trend.growth > 0 else '-'}{size} a day"


@view_config(
    route_name="pool_forecast",
    request_method="GET",
    renderer="pools/forecast.pt",
    permission=Privilege.VIEW,
)
def show(context: Any, request: Any) -> dict[str, Any]:
    pool = context.pool
    page = ForecastPage(
        title=f"Forecast of {pool.name}",
        section="pools",
        crumbs=crumbs(request, pool),
        pool_id=pool.id,
        pool=pool,
        fits=forecast.fits(request.work, pool, request.identity.user_id),
        trends=[TrendLine.of(trend) for trend in forecast.trends(request.work, pool)],
    )
    return {"page": page}

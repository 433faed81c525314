"""Rates that the running machines of a pool share."""

from __future__ import annotations

from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.versions import tell_content
from ovcadmin.domain.rates import NAMES, Rates
from ovcadmin.security.policy import PARENT
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import rates
from ovcadmin.services.rates import Given, Sharer

MOST = 1000


@endpoint("pool_rates", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _rates(request, context.pool)


@endpoint("pool_rates", "PUT", permission=PARENT + Privilege.SET_QUOTA)
def set_rates(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    rates.set_rates(
        request.work,
        context.pool,
        Rates(**{name: None if body.get(name) is None else int(body[name]) for name in NAMES}),
    )
    return _rates(request, context.pool)


def _rates(request: Any, pool: Any) -> dict[str, Any]:
    limits = rates.values(rates.of(request.work, pool))
    tell_content(request, limits)
    levels = rates.levels(request.work, pool)
    limited = rates.limited(request.work, pool)
    sharers = rates.sharers(request.work, pool) if limited else []
    return {
        "limits": limits,
        "above": [
            {"pool": shapes.reference(level.pool), "limits": rates.values(level.rates)}
            for level in levels
            if level.pool is not pool
        ],
        "sharing": len(sharers),
        "machines": [_sharer(one) for one in sharers[:MOST]],
    }


def _sharer(one: Sharer) -> dict[str, Any]:
    return {
        "machine": {"id": one.machine_id, "name": one.name},
        "rates": [given(one_given) for one_given in one.given.values()],
        "waiting": one.waiting,
        "trouble": one.trouble,
    }


def given(one: Given) -> dict[str, Any]:
    return {
        "rate": one.rate,
        "amount": one.amount,
        "shared": one.shared,
        "pool": shapes.reference(one.pool),
    }

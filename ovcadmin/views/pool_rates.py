"""Rates that the running machines of a pool share: who gets how much, and the limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.amounts import write
from ovcadmin.domain.rates import LABELS, NAMES, Rates, show
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import rates
from ovcadmin.services.rates import Given, Level, Sharer
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, amount, count, in_turn
from ovcadmin.views.pages import Page, crumbs

SHOWN = 500
"""So many machines are listed; of the rest the number is told."""


class PoolRates(colander.Schema):
    cpu = count(LABELS["cpu"], missing=None, hint="percent of one CPU: 400 is four whole CPUs")
    byte_rate = amount(
        LABELS["byte_rate"], "storage", missing=None, hint="a second, such as 200 MB"
    )
    iops = count(LABELS["iops"], missing=None, hint="a second")
    receive = amount(
        LABELS["receive"], "storage", missing=None, hint="a second, such as 125 MB (1 Gbit/s)"
    )
    send = amount(
        LABELS["send"], "storage", missing=None, hint="a second, such as 125 MB (1 Gbit/s)"
    )


@dataclass(frozen=True, kw_only=True)
class RateLine:
    """One limit of a pool, and how it is shared."""

    label: str
    limit: str
    sharing: int
    each: str
    """What each of them gets; a span where they differ."""
    tight: bool
    """Whether the least of each is more than the limit."""


def rate_lines(work: Any, pool: Any) -> list[RateLine]:
    """Return the limits of the pool itself, with what each machine gets of them."""
    limits = rates.of(work, pool)
    return _lines(limits, rates.sharers(work, pool)) if limits else []


def _lines(limits: Rates, sharers: Iterable[Sharer]) -> list[RateLine]:
    sharers = list(sharers)
    return [
        _line(name, limit, [one.given[name] for one in sharers if name in one.given])
        for name in NAMES
        if (limit := getattr(limits, name)) is not None
    ]


def _line(name: str, limit: int, given: Sequence[Given]) -> RateLine:
    amounts = sorted(one.amount for one in given if one.amount is not None)
    each = show(name, amounts[0]) if amounts else ""
    if amounts and amounts[0] != amounts[-1]:
        each += f" to {show(name, amounts[-1])}"
    return RateLine(
        label=LABELS[name],
        limit=show(name, limit),
        sharing=len(given),
        each=each,
        tight=len(amounts) == len(given) and sum(amounts) > limit,
    )


@dataclass(frozen=True, kw_only=True)
class RatesPage(Page):
    pool: Any
    rates: Sequence[RateLine]
    above: Sequence[Level]
    """Limited pools above that the reader sees."""
    columns: Sequence[str]
    """The rates that this pool or one above limits."""
    labels: Any
    sharers: Sequence[Sharer]
    more: int
    may_set: bool

    @staticmethod
    def told(level: Level) -> str:
        limits = rates.values(level.rates).items()
        parts = [f"{LABELS[name]} {show(name, limit)}" for name, limit in limits if limit]
        return ", ".join(parts)


@view_config(
    route_name="pool_rates",
    request_method="GET",
    renderer="pools/rates.pt",
    permission=Privilege.VIEW,
)
def show_rates(context: Any, request: Any) -> dict[str, Any]:
    pool, work = context.pool, request.work
    levels = rates.levels(work, pool)
    limited = rates.limited(work, pool)
    sharers = rates.sharers(work, pool) if limited else []
    own = next((level.rates for level in levels if level.pool is pool), Rates())
    return {
        "page": RatesPage(
            title=f"Shared rates of {pool.name}",
            section="pools",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            pool=pool,
            rates=_lines(own, sharers),
            above=[level for level in levels if level.pool is not pool],
            columns=limited,
            labels=LABELS,
            sharers=sharers[:SHOWN],
            more=max(len(sharers) - SHOWN, 0),
            may_set=Privilege.SET_QUOTA in context.parent_privileges,
        )
    }


@dataclass(frozen=True, kw_only=True)
class RatesForm(Page):
    pool: Any
    form: Form
    call: Call


@view_config(
    route_name="pool_rates_set",
    request_method=("GET", "POST"),
    renderer="pools/rates_set.pt",
    permission=Privilege.SET_QUOTA,
)
def set_rates(context: Any, request: Any) -> dict[str, Any] | Response:
    in_turn(request)
    pool = context.pool
    now = rates.values(rates.of(request.work, pool))
    initial = {name: written(name, limit) for name, limit in now.items()}
    form = Form(PoolRates(), initial, as_seen=True)

    def save(values: dict[str, Any]) -> Done:
        rates.set_rates(request.work, pool, Rates(**{name: values[name] for name in NAMES}))
        path = request.route_path("pool_rates", id=pool.id)
        return Done(text=f"The shared rates of {pool.name} are set.", path=path)

    return form.submit(request, save) or {
        "page": RatesForm(
            title=f"Set the shared rates of {pool.name}",
            section="pools",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            pool=pool,
            form=form,
            call=_call(pool, now),
        )
    }


def written(name: str, limit: int | None) -> str:
    if limit is None:
        return ""
    return str(limit) if name in ("cpu", "iops") else write("storage", limit)


def _call(pool: Any, now: dict[str, int | None]) -> Call:
    typed: dict[str, object] = {
        name.replace("_", "-"): written(name, limit).replace(" ", "")
        for name, limit in now.items()
        if limit is not None
    }
    command = shell("ovc pools set-rates", pool.name, **(typed or {"cpu": 400}))
    return Call("PUT", f"/pools/{pool.id}/rates", now, command)

"""What the owner of a pool sets inside it: limits of persons, warnings, defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain import amounts
from ovcadmin.domain.quota import WARNING_PERCENT
from ovcadmin.domain.resources import NAMES, Limits
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import limit_changes, person_quotas, pool_limits
from ovcadmin.services.limit_changes import Lowering
from ovcadmin.views import lowerings
from ovcadmin.views.bars import LABELS, Bar, quota_bars
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, amount, count, in_turn, text
from ovcadmin.views.pages import Page, crumbs


def _persons_schema() -> Any:
    schema = colander.Schema()
    schema.add(
        text(
            "Person",
            name="who",
            longest=200,
            missing="",
            hint="Such as anna or anna@internal. Blank: everybody who has no limits of his own.",
        )
    )
    for name in NAMES:
        schema.add(amount(LABELS[name], name, name=name, missing=None))
    return schema


def _policy_schema() -> Any:
    schema = colander.Schema()
    for name in NAMES:
        schema.add(
            count(
                f"Warn: {LABELS[name]}",
                name=f"warn_{name}",
                missing=WARNING_PERCENT,
                hint="percent of the limit",
            )
        )
    for name in NAMES:
        schema.add(
            amount(
                f"New sub-pools: {LABELS[name]}",
                name,
                name=f"new_{name}",
                missing=None,
                hint="Blank: they begin without this limit.",
            )
        )
    return schema


@dataclass(frozen=True, kw_only=True)
class ShareLine:
    name: str
    who: str
    """How the form calls him; blank is everybody else."""
    bars: Sequence[Bar]
    """Only of what is limited; of everybody the limits alone."""
    limits: str


@dataclass(frozen=True, kw_only=True)
class PoolLimitsPage(Page):
    pool: Any
    form: Form
    lines: Sequence[ShareLine] = ()
    call: Any = None
    lowering: Lowering | None = None
    """What the limits that were typed would take away: asked once more before it is done."""


@view_config(
    route_name="pool_persons",
    request_method=("GET", "POST"),
    renderer="pools/persons.pt",
    permission=Privilege.SET_QUOTA,
)
def persons(context: Any, request: Any) -> dict[str, Any] | Response:
    pool = context.pool
    shares = person_quotas.listing(request.work, pool)
    form = Form(_persons_schema(), _initial(shares, request.GET.get("who")))

    def look(values: dict[str, Any]) -> Lowering:
        limits = _limits(values)
        return limit_changes.person_lowering(request.work, pool, values["who"], limits)

    def save(values: dict[str, Any]) -> Done:
        person_quotas.set_limits(request.work, pool, values["who"], _limits(values))
        return Done(
            text=f"The limits of {values['who'] or 'everybody else'} in {pool.name} are set.",
            path=request.route_path("pool_persons", id=pool.id),
        )

    lowering = lowerings.unconfirmed(request, form, look)
    done = form.submit(request, save) if lowering is None else None
    return done or {
        "page": _page(
            request,
            pool,
            f"Limits of persons in {pool.name}",
            form,
            lines=[_line(share) for share in shares],
            lowering=lowering,
            call=_persons_call(pool, form["who"].value or "anna"),
        )
    }


def _initial(shares: Sequence[person_quotas.Share], who: str | None) -> dict[str, object]:
    """Return what the form begins with: the limits of the one who is named in the address."""
    found = [share for share in shares if _named(share) == who]
    return {"who": who, **(lowerings.written(found[0].row.limits) if found else {})}


def _named(share: person_quotas.Share) -> str:
    """Return what is typed for him; blank is everybody else."""
    return share.name if share.level else ""


def _persons_call(pool: Any, who: str) -> Call:
    command = shell("ovc pools limit-person", pool.name, who=who, vcpus=4)
    return Call("PUT", f"/pools/{pool.id}/persons", {"who": who, "limits": {"vcpus": 4}}, command)


def _limits(values: dict[str, Any]) -> Limits:
    return Limits(**{name: values[name] for name in NAMES})


def _line(share: person_quotas.Share) -> ShareLine:
    limits = ", ".join(
        f"{LABELS[name]} {amounts.show(name, limit)}"
        for name, limit in share.row.limits.items()
        if limit is not None
    )
    bars = quota_bars(share.level) if share.level else []
    return ShareLine(
        name=share.name,
        who=_named(share),
        limits=limits,
        bars=[bar for bar in bars if bar.limit is not None],
    )


@view_config(
    route_name="pool_policy",
    request_method=("GET", "POST"),
    renderer="pools/policy.pt",
    permission=Privilege.SET_QUOTA,
)
def policy(context: Any, request: Any) -> dict[str, Any] | Response:
    in_turn(request)
    pool = context.pool
    now = pool.quota.warnings if pool.quota else {}
    defaults = pool.quota.defaults if pool.quota else {}
    initial = {f"warn_{name}": now.get(name, WARNING_PERCENT) for name in NAMES}
    initial |= {f"new_{name}": amounts.write(name, limit) for name, limit in defaults.items()}
    form = Form(_policy_schema(), initial, as_seen=True)

    def save(values: dict[str, Any]) -> Done:
        pool_limits.set_policy(
            request.work,
            pool,
            warnings={name: values[f"warn_{name}"] for name in NAMES},
            defaults=Limits(**{name: values[f"new_{name}"] for name in NAMES}),
        )
        path = request.route_path("pool", id=pool.id)
        return Done(text=f"Warnings and defaults of {pool.name} are set.", path=path)

    return form.submit(request, save) or {
        "page": _page(request, pool, f"Warnings and defaults of {pool.name}", form)
    }


def _page(request: Any, pool: Any, title: str, form: Form, **more: Any) -> PoolLimitsPage:
    return PoolLimitsPage(
        title=title,
        section="pools",
        crumbs=crumbs(request, pool),
        pool_id=pool.id,
        pool=pool,
        form=form,
        **more,
    )

"""Making, editing, limiting and deleting pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain import amounts
from ovcadmin.domain.resources import NAMES, Limits
from ovcadmin.errors import NotFound
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import limit_changes, pool_limits, pools, quotas
from ovcadmin.services.limit_changes import Lowering
from ovcadmin.views import lowerings
from ovcadmin.views.bars import LABELS, Bar, quota_bars
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, amount, in_turn, name, text, version
from ovcadmin.views.pages import Page, crumbs

BLANK = "Blank: no limit at this level."


def _description() -> Any:
    return text("Description", kind="textarea", longest=2000, missing="")


class NewPool(colander.Schema):
    name = name(hint="Unique among its siblings; spaces and any letters are fine.")
    description = _description()


class EditedPool(colander.Schema):
    name = name()
    description = _description()
    version = version()


class PoolLimits(colander.Schema):
    vcpus = amount("vCPUs", "vcpus", missing=None, hint="of running machines")
    memory = amount("Memory", "memory", missing=None, hint="of running machines, such as 64 GiB")
    nics = amount("NICs", "nics", missing=None, hint="of running machines")
    machines = amount("Running machines", "machines", missing=None)
    redundancy = amount(
        "Protected", "redundancy", missing=None, hint="running failover-protected machines"
    )
    storage = amount("Storage", "storage", missing=None, hint="always counted, such as 2 TB")


@dataclass(frozen=True, kw_only=True)
class FormPage(Page):
    pool: Any
    form: Form
    call: Call | None = None
    bars: Sequence[Bar] = ()
    lost: Sequence[str] = ()
    lowering: Lowering | None = None
    """What the limits that were typed would take away: asked once more before it is done."""


@view_config(
    route_name="pool_new",
    request_method=("GET", "POST"),
    renderer="pools/new.pt",
    permission=Privilege.MODIFY,
)
def new(context: Any, request: Any) -> dict[str, Any] | Response:
    parent = getattr(context, "pool", None)
    if parent is None:
        raise NotFound("Say under which pool the new one is to be made.")
    form = Form(NewPool())
    return form.submit(request, lambda values: _create(request, parent, values)) or {
        "page": FormPage(
            title="New pool",
            section="pools",
            crumbs=crumbs(request, parent),
            pool_id=parent.id,
            pool=parent,
            form=form,
            call=Call(
                "POST",
                f"/pools/{parent.id}/pools",
                {"name": form["name"].value or "web"},
                shell("ovc pools create", form["name"].value or "web", parent=parent.name),
            ),
        )
    }


def _create(request: Any, parent: Any, values: dict[str, str]) -> Done:
    made = pools.create(request.work, parent, **values)
    return Done(text=f"Pool {made.name} is created.", path=request.route_path("pool", id=made.id))


@view_config(
    route_name="pool_edit",
    request_method=("GET", "POST"),
    renderer="pools/edit.pt",
    permission=Privilege.MODIFY,
)
def edit(context: Any, request: Any) -> dict[str, Any] | Response:
    pool = context.pool
    form = Form(
        EditedPool(),
        {"name": pool.name, "description": pool.description, "version": pool.version},
    )
    return form.submit(request, lambda values: _edit(request, pool, values)) or {
        "page": _form_page(
            request,
            pool,
            f"Edit {pool.name}",
            form,
            call=Call(
                "PATCH",
                f"/pools/{pool.id}",
                {"name": pool.name},
                shell("ovc pools edit", pool.name, name="Shop"),
            ),
        )
    }


def _edit(request: Any, pool: Any, values: dict[str, Any]) -> Done:
    pools.edit(request.work, pool, **values)
    return Done(text=f"{pool.name} is saved.", path=request.route_path("pool", id=pool.id))


@view_config(
    route_name="pool_quota",
    request_method=("GET", "POST"),
    renderer="pools/quota.pt",
    permission=Privilege.SET_QUOTA,
)
def quota(context: Any, request: Any) -> dict[str, Any] | Response:
    in_turn(request)
    pool = context.pool
    initial = {
        name: "" if limit is None else amounts.write(name, limit)
        for name, limit in pool.limits.items()
    }
    form = Form(PoolLimits(), initial, as_seen=True)
    lowering = lowerings.unconfirmed(
        request,
        form,
        lambda values: limit_changes.lowering(request.work, pool, _limits(values)),
    )
    done = None
    if lowering is None:
        done = form.submit(request, lambda values: _set_quota(request, pool, values))
    return done or {
        "page": _form_page(
            request,
            pool,
            f"Quota of {pool.name}",
            form,
            bars=quota_bars(
                quotas.levels_of(request.work, [pool])[pool.id],
                promised=quotas.promised(request.work, [pool.id]).get(pool.id),
            ),
            lowering=lowering,
            call=_quota_call(pool),
        )
    }


def _quota_call(pool: Any) -> Call:
    limits = lowerings.written(pool.limits) or {"vcpus": 8}
    command = shell("ovc pools quota set", pool.name, **limits)
    return Call("PUT", f"/pools/{pool.id}/quota", dict(pool.limits.items()), command)


def _limits(values: dict[str, Any]) -> Limits:
    return Limits(**{name: values[name] for name in NAMES})


def _set_quota(request: Any, pool: Any, values: dict[str, Any]) -> Done:
    pool_limits.set_limits(request.work, pool, _limits(values))
    over = [
        LABELS[bar.resource]
        for bar in quota_bars(quotas.levels_of(request.work, [pool])[pool.id])
        if bar.limit is not None and bar.taken > bar.limit
    ]
    text = f"The quota of {pool.name} is set."
    if over:
        text += f" More than that is used already of {', '.join(over)}: it can only shrink."
    return Done(text=text, path=request.route_path("pool", id=pool.id))


@view_config(
    route_name="pool_delete",
    request_method=("GET", "POST"),
    renderer="pools/delete.pt",
    permission=Privilege.MODIFY,
)
def delete(context: Any, request: Any) -> dict[str, Any] | Response:
    pool = context.pool
    form = Form(colander.Schema())
    return form.submit(request, lambda _: _delete(request, pool)) or {
        "page": _form_page(
            request,
            pool,
            f"Delete {pool.name}",
            form,
            lost=[
                f"The pool {pool.name} and its limits",
                "Every grant that was given on it",
            ],
        )
    }


def _delete(request: Any, pool: Any) -> Done:
    name, parent = pool.name, pool.parent_id
    pools.delete(request.work, pool)
    return Done(text=f"Pool {name} is deleted.", path=request.route_path("pool", id=parent))


def _form_page(request: Any, pool: Any, title: str, form: Form, **more: Any) -> FormPage:
    return FormPage(
        title=title,
        section="pools",
        crumbs=crumbs(request, pool),
        pool_id=pool.id,
        pool=pool,
        form=form,
        **more,
    )

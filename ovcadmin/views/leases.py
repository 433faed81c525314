"""What leases the machines of a pool get by themselves."""

from __future__ import annotations

from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.services import lease_defaults
from ovcadmin.services.lease_defaults import Terms
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, choice, count, in_turn
from ovcadmin.views.pages import crumbs
from ovcadmin.views.snapshots import FormPage

ENDS = [("shutdown", "shut it down"), ("save", "save it"), ("power_off", "power it off")]


class PoolLeases(colander.Schema):
    run_hours = count(
        "Hours to run", missing=None,
        hint="From each start on, unless the machine has a lease of its own; blank for no end.",
    )  # fmt: skip
    run_end = choice("And then")
    keep_days = count(
        "Days to be kept", missing=None,
        hint="From creation on; then it goes into the bin. Blank for no end.",
    )  # fmt: skip


@view_config(
    route_name="pool_leases",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.MODIFY,
)
def pool_leases(context: Any, request: Any) -> dict[str, Any] | Response:
    in_turn(request)
    work, pool = request.work, context.pool
    found = lease_defaults.of(work, pool.id) or Terms()
    own = lease_defaults.own(work, pool)
    form = Form(
        PoolLeases(),
        {"run_hours": found.run_hours, "run_end": found.run_end, "keep_days": found.keep_days},
        choices={"run_end": ENDS},
        as_seen=True,
    )

    def save(values: dict[str, Any]) -> Done:
        terms = None if "remove" in request.POST else Terms(**values)
        lease_defaults.set_own(work, pool, terms)
        path = request.route_path("pool", id=pool.id)
        return Done(text=f"Leases in {pool.name} are set; machines keep what they have.", path=path)

    body = {
        name: int(form[name].value)
        for name in ("run_hours", "keep_days")
        if form[name].value.isdigit()
    }
    return form.submit(request, save) or {
        "page": FormPage(
            title=f"Leases in {pool.name}",
            section="pools",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            form=form,
            button="Set the leases",
            remove=request.path if own is not None else "",
            hint="New machines of this pool and of all below get these by themselves."
            + ("" if own else " Now it is as the pools above say."),
            back=request.route_path("pool", id=pool.id),
            back_label=pool.name,
            call=Call(
                "PUT", f"/pools/{pool.id}/leases", {**body, "run_end": form["run_end"].value},
                shell("ovc pools set-leases", pool.name, **body),
            ),
        )
    }  # fmt: skip

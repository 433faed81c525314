"""Live figures of hosts and machines: small graphs of what was measured, with words beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.machines import MachinePage
from ovcadmin.views.pages import Crumb, Page, crumbs
from ovcadmin.views.sparks import figures


@dataclass(frozen=True, kw_only=True)
class HostFigures(Page):
    host: Any
    call: Call


@view_config(
    route_name="host_figures",
    request_method="GET",
    renderer="figures/host.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="host_fragment",
    request_method="GET",
    match_param="part=figures",
    renderer="figures/sparks.pt",
    permission=Privilege.VIEW,
)
def of_host(context: Any, request: Any) -> dict[str, Any]:
    host = context.host
    found = figures(request, "host", host, disk=False)
    page = HostFigures(
        title=f"Figures of {host.name}",
        section="hosts",
        crumbs=[
            Crumb(label="Hosts", url=request.route_path("hosts")),
            *crumbs(request, context.pool),
            Crumb(label=host.name, url=request.route_path("host", id=host.id)),
        ],
        pool_id=host.pool_id,
        host=host,
        call=_call("hosts", host, found.span),
    )
    return {"page": page, "figures": found}


@view_config(
    route_name="machine_figures",
    request_method="GET",
    renderer="figures/machine.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="machine_fragment",
    request_method="GET",
    match_param="part=figures",
    renderer="figures/sparks.pt",
    permission=Privilege.VIEW,
)
def of_machine(context: Any, request: Any) -> dict[str, Any]:
    found = figures(request, "machine", context.machine, disk=True)
    page = MachinePage.of(context, request, "figures")
    call = _call("machines", context.machine, found.span)
    return {"page": page, "figures": found, "call": call}


def _call(noun: str, row: Any, span: str) -> Call:
    path = f"/{noun}/{row.id}/measurements?span={span}"
    return Call("GET", path, command=shell(f"ovc {noun} figures", row.name, span=span))

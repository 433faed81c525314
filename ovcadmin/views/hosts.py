"""Hosts: their state with its age, what is promised on them, what runs there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import adoptions, hosts, machine_lists, operations, storage
from ovcadmin.services.hosts import Load
from ovcadmin.services.machine_lists import Filter
from ovcadmin.views import filters
from ovcadmin.views.bars import Bar
from ovcadmin.views.filters import Box
from ovcadmin.views.pages import Crumb, Empty, Page, crumbs
from ovcadmin.views.sparks import figures
from ovcadmin.views.storage import Line, line

MACHINES_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class HostLine:
    """A host with its bars."""

    host: Any
    load: Load
    vcpus: Bar
    memory: Bar


def host_line(host: Any, load: Load) -> HostLine:
    return HostLine(
        host=host,
        load=load,
        vcpus=Bar(resource="vcpus", label="vCPUs promised", used=load.vcpus,
                  limit=host.vcpu_room, alarm=False),
        memory=Bar(resource="memory", label="Memory promised", used=load.memory,
                   limit=host.memory_room),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class HostsPage(Page):
    lines: Sequence[HostLine]
    box: Box
    fragment: str
    empty: Empty
    own: Any
    """The topmost pool whose hosts the reader may change, None when there is none."""


@dataclass(frozen=True, kw_only=True)
class HostPage(Page):
    line: HostLine
    storage: Sequence[Line]
    rows: Sequence[Any]
    total: int
    strangers: Sequence[Any]
    operations: Sequence[Any]
    may_modify: bool

    @classmethod
    def of(cls, context: Any, request: Any) -> HostPage:
        host, work = context.host, request.work
        stores = hosts.storage_pools(work, host)
        spaces = storage.spaces(work, stores)
        found = machine_lists.listing(work, Filter(host_id=host.id, size=MACHINES_SHOWN))
        return cls(
            title=host.name,
            section="hosts",
            crumbs=[
                Crumb(label="Hosts", url=request.route_path("hosts")),
                *crumbs(request, context.pool),
            ],
            pool_id=host.pool_id,
            line=host_line(host, hosts.loads(work).get(host.id, Load())),
            storage=[line(store, spaces[store.id]) for store in stores],
            rows=found.rows,
            total=found.total,
            strangers=adoptions.listing(work, host),
            operations=operations.listing(work, operations.Filter(host_id=host.id, limit=10)),
            may_modify=Privilege.MODIFY in context.privileges,
        )


@view_config(
    route_name="hosts", request_method="GET", renderer="hosts/list.pt", permission=SIGNED_IN
)
@view_config(
    route_name="hosts_fragment",
    request_method="GET",
    match_param="part=rows",
    renderer="hosts/rows.pt",
    permission=SIGNED_IN,
)
def listing(request: Any) -> dict[str, Any]:
    loads = hosts.loads(request.work)
    box = filters.box(request, "hosts", "Filter hosts")
    found = filters.narrowed(request, "host", hosts.listing(request.work), box)
    page = HostsPage(
        title="Hosts",
        section="hosts",
        lines=[host_line(host, loads.get(host.id, Load())) for host in found],
        box=box,
        fragment=filters.rows_address(request, "hosts_fragment"),
        own=hosts.topmost_pool(request.work, Privilege.MODIFY),
        empty=Empty(
            why="No host that you may see.",
            more="The first start enrols the machine that the console runs on.",
        ),
    )
    return {"page": page}


@view_config(
    route_name="host", request_method="GET", renderer="hosts/host.pt", permission=Privilege.VIEW
)
def whole(context: Any, request: Any) -> dict[str, Any]:
    page = HostPage.of(context, request)
    return {"page": page, "figures": figures(request, "host", context.host, disk=False)}


@view_config(
    route_name="host_fragment",
    request_method="GET",
    match_param="part=state",
    renderer="hosts/state.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="host_fragment",
    request_method="GET",
    match_param="part=machines",
    renderer="hosts/machines.pt",
    permission=Privilege.VIEW,
)
def host(context: Any, request: Any) -> dict[str, Any]:
    return {"page": HostPage.of(context, request)}


@view_config(route_name="host_enabled", request_method="POST", permission=Privilege.MODIFY)
def set_enabled(context: Any, request: Any) -> Response:
    enabled = request.POST.get("enabled") == "yes"
    hosts.set_enabled(request.work, context.host, enabled=enabled)
    request.flash(
        f"{context.host.name} takes new machines again."
        if enabled
        else f"{context.host.name} takes no new machines; what runs there goes on."
    )
    return HTTPSeeOther(request.route_path("host", id=context.host.id))

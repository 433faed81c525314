"""Home: what needs attention, what is going on, and how much there is of everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    hosts,
    machine_lists,
    operations,
    people,
    pools,
    processes,
    quotas,
    realms,
    rivals,
    watches,
)
from ovcadmin.services.machine_lists import Filter
from ovcadmin.services.machines import Badge
from ovcadmin.views.badges import host_badge
from ovcadmin.views.bars import quota_bars
from ovcadmin.views.pages import Page

FAILED_WITHIN = timedelta(hours=24)
FAILED_SHOWN = 10
NEEDED_PROCESSES = ("web", "gateway", "worker")
WARNING = Badge(word="near its limit", shape="triangle", tone="warning")
FULL = Badge(word="full", shape="triangle", tone="error")
FAILED = Badge(word="failed", shape="triangle", tone="error")
OUT_OF_LINE = Badge(word="not synchronised", shape="triangle", tone="warning")
DOWN = Badge(word="down", shape="triangle", tone="error")
ELSEWHERE = Badge(word="runs elsewhere", shape="triangle", tone="error")
LATE = Badge(word="late", shape="triangle", tone="warning")
TROUBLED = {
    "unknown": Badge(word="unknown", shape="diamond", tone="unknown"),
    "missing": Badge(word="missing", shape="triangle", tone="error"),
    "create_failed": Badge(word="create failed", shape="triangle", tone="error"),
}


@dataclass(frozen=True, kw_only=True)
class Attention:
    """One thing that somebody should look at."""

    badge: Badge
    what: str
    url: str
    why: str = ""
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Tile:
    count: int
    label: str
    detail: str
    url: str


@dataclass(frozen=True, kw_only=True)
class HomePage(Page):
    attention: Sequence[Attention]
    tiles: Sequence[Tile]
    running: Sequence[Any]

    @classmethod
    def of(cls, request: Any) -> HomePage:
        counts = machine_lists.counts(request.work, Filter())
        nodes = pools.tree(request.work)
        found = hosts.listing(request.work)
        attention = [
            *_processes(request),
            *_workers(request),
            *_hosts(request, found),
            *_realms(request),
            *_rivals(request),
            *_machines(request, counts),
            *_pools(request, nodes),
            *_operations(request),
        ]
        return cls(
            title="Home",
            section="home",
            attention=attention,
            tiles=_tiles(request, counts, nodes, found),
            running=operations.listing(request.work, operations.Filter(running=True, limit=20)),
        )


def _processes(request: Any) -> Iterator[Attention]:
    """Tell who looks after the whole console which of its processes is not up."""
    if Privilege.MODIFY not in request.context.privileges:
        return
    signs = processes.listing(request.work)
    for kind in NEEDED_PROCESSES:
        mine = [sign for sign in signs if sign.process.kind == kind]
        if mine and not any(sign.up for sign in mine):
            last = max(sign.process.seen_at for sign in mine)
            why = "operations wait" if kind == "worker" else "consoles and live pages stand still"
            yield Attention(
                badge=DOWN, what=f"The {kind} process", why=why, url=request.path, at=last
            )


def _workers(request: Any) -> Iterator[Attention]:
    """Tell of workers with trouble of their own, and of host groups that none of them serves."""
    if Privilege.MODIFY not in request.context.privileges:
        return
    for sign in processes.listing(request.work):
        if sign.up and sign.process.trouble:
            yield Attention(
                badge=LATE,
                what=sign.process.name,
                why=f"{sign.process.trouble} Operations run later than usual.",
                url=request.path,
            )
    for group in watches.unserved(request.work):
        yield Attention(
            badge=DOWN,
            what=f"Host group {group}",
            why="no worker looks after its hosts: what is asked of them waits",
            url=request.route_path("hosts"),
        )


def _hosts(request: Any, found: Sequence[Any]) -> Iterator[Attention]:
    for host in found:
        if host.state == "unresponsive":
            yield Attention(
                badge=host_badge(host),
                what=host.name,
                url=request.route_path("host", id=host.id),
                why=host.state_reason,
            )


def _realms(request: Any) -> Iterator[Attention]:
    """Tell who looks after the realms which of them is not in line with its directory."""
    troubled = [realm for realm in realms.directories(request.work) if realm.sync_error]
    if troubled and people.may_on_root(request.work, Privilege.SET_GRANTS):
        for realm in troubled:
            yield Attention(
                badge=OUT_OF_LINE,
                what=realm.label,
                url=request.route_path("realm", id=realm.id),
                why=realm.sync_error or "",
            )


def _machines(request: Any, counts: dict[str, int]) -> Iterator[Attention]:
    for state, badge in TROUBLED.items():
        if count := counts.get(state):
            query = {"q": f"state:{state}"}
            yield Attention(
                badge=badge,
                what=f"{count} machine{'s' if count != 1 else ''}",
                url=request.route_path("machines", _query=query),
            )


def _rivals(request: Any) -> Iterator[Attention]:
    for machine, host in rivals.listing(request.work):
        yield Attention(
            badge=ELSEWHERE,
            what=machine.name,
            url=request.route_path("machine", id=machine.id),
            why=f"another guest with its disks runs on {host}",
        )


def _pools(request: Any, nodes: Sequence[Any]) -> Iterator[Attention]:
    """Yield the pools of which a limit is nearly or wholly taken."""
    limited = [node.pool for node in nodes if node.pool.limits]
    found = quotas.levels_of(request.work, limited)
    for pool in limited:
        near = [bar for bar in quota_bars(found[pool.id]) if bar.tone in ("over", "full")]
        if near:
            full = any(bar.tone == "full" for bar in near)
            yield Attention(
                badge=FULL if full else WARNING,
                what=pool.name,
                url=request.route_path("pool", id=pool.id),
                why="; ".join(bar.spoken for bar in near),
            )


def _operations(request: Any) -> Iterator[Attention]:
    since = request.work.now() - FAILED_WITHIN
    wanted = operations.Filter(state="failed", limit=FAILED_SHOWN)
    for operation in operations.listing(request.work, wanted):
        if operation.finished_at and operation.finished_at > since:
            yield Attention(
                badge=FAILED,
                what=operation.title,
                url=request.route_path("operation", id=operation.id),
                why=operation.error_text,
                at=operation.finished_at,
            )


def _tiles(
    request: Any, counts: dict[str, int], nodes: Sequence[Any], found: Sequence[Any]
) -> list[Tile]:
    up = sum(host.answers for host in found)
    return [
        Tile(
            count=len(nodes),
            label="pools",
            detail=f"{sum(bool(node.pool.limits) for node in nodes)} with limits",
            url=request.route_path("pools"),
        ),
        Tile(
            count=sum(counts.values()),
            label="machines",
            detail=f"{counts.get('running', 0)} running",
            url=request.route_path("machines"),
        ),
        Tile(
            count=len(found),
            label="hosts",
            detail=f"{up} up",
            url=request.route_path("hosts"),
        ),
    ]


@view_config(route_name="home", request_method="GET", renderer="home/home.pt", permission=SIGNED_IN)
@view_config(
    route_name="home_fragment",
    request_method="GET",
    match_param="part=now",
    renderer="home/now.pt",
    permission=SIGNED_IN,
)
def home(request: Any) -> dict[str, Any] | Response:
    if not request.context.privileges:
        return HTTPSeeOther(request.route_path("no_access"))
    return {"page": HomePage.of(request)}

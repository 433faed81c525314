"""Pools: the tree, one pool with its quota bars and machines, and its changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyramid.view import view_config

from ovcadmin.domain.quota import Level
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import loans, pools, quotas
from ovcadmin.services.loans import Side
from ovcadmin.services.pools import Node
from ovcadmin.views import filters
from ovcadmin.views.bars import Bar, quota_bars
from ovcadmin.views.filters import Box
from ovcadmin.views.machine_tables import MachineTable
from ovcadmin.views.machines import no_machines
from ovcadmin.views.pages import Empty, Page, crumbs
from ovcadmin.views.pool_rates import RateLine, rate_lines
from ovcadmin.views.tables import Pager, address, pager, whole_number

PAGE = 50
LISTED = ("vcpus", "memory", "machines", "storage")
"""Resources with a bar in the list of pools."""


@dataclass(frozen=True, kw_only=True)
class PoolLine:
    node: Node
    bars: Sequence[Bar]


@dataclass(frozen=True, kw_only=True)
class PoolsPage(Page):
    lines: Sequence[PoolLine]
    box: Box
    total: int
    pager: Pager
    fragment: str
    with_retired: bool
    other_path: str
    """The list with, or again without, retired pools."""
    new_under: int | None
    """Pool under which a new one is offered."""
    empty: Empty

    @classmethod
    def of(cls, request: Any) -> PoolsPage:
        with_retired = request.GET.get("retired") == "yes"
        nodes = pools.tree(request.work, retired=with_retired)
        new_under = nodes[0].pool.id if nodes else None
        box = filters.box(request, "pools", "Filter the list of pools")
        if box.q:
            fitting = filters.narrowed(request, "pool", [node.pool for node in nodes], box)
            kept = {pool.id for pool in fitting}
            nodes = [replace(node, depth=0) for node in nodes if node.pool.id in kept]
        modifies = Privilege.MODIFY in request.context.privileges
        pages = max(1, -(-len(nodes) // PAGE))
        page = min(max(whole_number(request.GET.get("page", ""), 1), 1), pages)
        return cls(
            title="Pools",
            section="pools",
            box=box,
            lines=_lines(request, nodes[(page - 1) * PAGE : page * PAGE]),
            total=len(nodes),
            pager=pager(
                request,
                request.route_path("pools"),
                page=page,
                pages=pages,
                total=len(nodes),
                size=PAGE,
            ),
            fragment=address(request, request.route_path("pools_fragment", part="rows")),
            with_retired=with_retired,
            other_path=address(
                request,
                request.route_path("pools"),
                retired=None if with_retired else "yes",
                page=None,
            ),
            new_under=new_under if modifies else None,
            empty=Empty(
                why="You have no rights on any pool.",
                more="An administrator grants them; until then there is nothing to see here.",
            ),
        )


def _lines(request: Any, nodes: Sequence[Node]) -> list[PoolLine]:
    found = quotas.levels_of(request.work, [node.pool for node in nodes])
    given = quotas.promised(request.work, found)
    return [
        PoolLine(
            node=node,
            bars=[
                bar
                for bar in quota_bars(found[node.pool.id], promised=given.get(node.pool.id))
                if bar.resource in LISTED
            ],
        )
        for node in nodes
    ]


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What the user may do with this pool."""

    create: bool
    share: bool
    """Limits of persons, warnings, and what new sub-pools begin with."""
    modify: bool
    set_quota: bool
    delete: bool

    @classmethod
    def of(cls, context: Any) -> Rights:
        above = context.parent_privileges
        return cls(
            create=Privilege.CREATE in context.privileges,
            share=Privilege.SET_QUOTA in context.privileges,
            modify=Privilege.MODIFY in context.privileges,
            set_quota=Privilege.SET_QUOTA in above,
            delete=Privilege.MODIFY in above and not context.pool.is_root,
        )


@dataclass(frozen=True, kw_only=True)
class PoolPage(Page):
    pool: Any
    bars: Sequence[Bar]
    near: Sequence[str]
    """What is above its warning threshold, and not at its limit yet."""
    full: Sequence[str]
    shares: Sequence[tuple[Level, Sequence[Bar]]]
    """The reader's own shares of this pool and of pools above that limit persons."""
    above: Sequence[tuple[Level, Sequence[Bar]]]
    """The limited levels above that the reader may see, nearest first: each bounds this pool."""
    closed_by: Any
    """The pool that keeps it from taking anything new: itself or one above; None when open."""
    loans: Sequence[Side]
    has_siblings: bool
    children: Sequence[PoolLine]
    retired: int
    """Retired sub-pools that are not shown."""
    retired_path: str
    machines: int
    rates: Sequence[RateLine]
    """Limits that its running machines share."""
    table: MachineTable
    rights: Rights
    empty: Empty

    @classmethod
    def of(cls, context: Any, request: Any) -> PoolPage:
        pool, work = context.pool, request.work
        path = request.route_path("pool", id=pool.id)
        own, *higher = quotas.levels(work, pool, request.identity.user_id)
        given = quotas.promised(work, {level.pool_id for level in (own, *higher)})
        trail = crumbs(request, pool, with_pool=False)
        shown = {step.id for step in pools.lineage(work, pool)}
        rights = Rights.of(context)
        children = _children(request, pool)
        retired = sum(line.node.pool.retired_at is not None for line in children)
        if request.GET.get("retired") == "yes":
            retired = 0
        else:
            children = [line for line in children if line.node.pool.retired_at is None]
        table = MachineTable.of(
            request,
            path=path,
            fragment=request.route_path("pool_fragment", id=pool.id, part="machines"),
            pool_id=pool.id,
        )
        return cls(
            title=pool.name,
            section="pools",
            crumbs=trail,
            pool_id=pool.id,
            pool=pool,
            bars=quota_bars(own, promised=given.get(pool.id)),
            near=_toned(own, "over"),
            full=_toned(own, "full"),
            above=[
                (level, _limited(level, given))
                for level in higher
                if level.limits and not level.person and level.pool_id in shown
            ],
            shares=[(level, _limited(level, {})) for level in higher if level.person],
            closed_by=pools.closed_by(work, pool),
            loans=loans.of(work, pool),
            has_siblings=rights.share and bool(loans.siblings(work, pool)),
            children=children,
            retired=retired,
            retired_path=address(request, path, retired="yes"),
            machines=sum(count for _, count, _ in table.states),
            rates=rate_lines(work, pool),
            table=table,
            rights=rights,
            empty=no_machines(request, table, may_create=rights.create, pool_id=pool.id),
        )


def _toned(level: Level, tone: str) -> list[str]:
    return [bar.label for bar in quota_bars(level) if bar.tone == tone]


def _limited(level: Level, given: dict[int, Any]) -> list[Bar]:
    bars = quota_bars(level, promised=given.get(level.pool_id))
    return [bar for bar in bars if bar.limit is not None]


def _children(request: Any, pool: Any) -> list[PoolLine]:
    found = pools.children(request.work, pool)
    counts = pools.machine_counts(request.work, [child.id for child in found])
    nodes = [
        Node(pool=child, depth=0, machines=counts.get(child.id, 0), has_children=False)
        for child in found
    ]
    return _lines(request, nodes)


@view_config(
    route_name="pools", request_method="GET", renderer="pools/list.pt", permission=SIGNED_IN
)
@view_config(
    route_name="pools_fragment",
    request_method="GET",
    match_param="part=rows",
    renderer="pools/rows.pt",
    permission=SIGNED_IN,
)
def listing(request: Any) -> dict[str, Any]:
    return {"page": PoolsPage.of(request)}


@view_config(
    route_name="pools_fragment",
    request_method="GET",
    match_param="part=tree",
    renderer="pools/tree.pt",
    permission=SIGNED_IN,
)
def tree(request: Any) -> dict[str, Any]:
    here = request.GET.get("here", "")
    return {"here": int(here) if here.isascii() and here.isdigit() and len(here) < 10 else None}


@view_config(
    route_name="pool", request_method="GET", renderer="pools/pool.pt", permission=Privilege.VIEW
)
@view_config(
    route_name="pool_fragment",
    request_method="GET",
    match_param="part=quota",
    renderer="pools/quota_panel.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="pool_fragment",
    request_method="GET",
    match_param="part=rates",
    renderer="pools/rates_panel.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="pool_fragment",
    request_method="GET",
    match_param="part=machines",
    renderer="machines/rows.pt",
    permission=Privilege.VIEW,
)
def pool(context: Any, request: Any) -> dict[str, Any]:
    return {"page": PoolPage.of(context, request)}

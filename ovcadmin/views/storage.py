"""Storage pools: how full they are, what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyramid.view import view_config

from ovcadmin.domain.layers import KINDS as KINDS_OF_LAYERS
from ovcadmin.domain.storage_kinds import CREATING, KINDS
from ovcadmin.errors import InvalidInput
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import clusters, storage, storage_usage, volume_changes, vpools
from ovcadmin.services.storage import Space
from ovcadmin.views import filters
from ovcadmin.views.bars import Bar
from ovcadmin.views.filters import Box
from ovcadmin.views.pages import Crumb, Empty, Page, crumbs


@dataclass(frozen=True, kw_only=True)
class Line:
    """A storage pool with its bars."""

    store: Any
    space: Space
    bar: Bar
    """What is not free of what is there."""
    promised: Bar | None
    """What the volumes may grow to, of what is there; None where they are taken as they are."""


def line(store: Any, space: Space) -> Line:
    found, limit = store.driver not in CREATING, store.capacity or None
    return Line(
        store=store,
        space=space,
        bar=Bar(
            resource="storage",
            label="Volumes taken or kept back" if found else "Storage in use",
            used=store.capacity - space.free,
            limit=limit,
        ),
        promised=None if found else Bar(
            resource="storage", label="Promised to volumes", used=space.promised, limit=limit,
            alarm=False,
        ),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StoragePage(Page):
    lines: Sequence[Line]
    box: Box
    fragment: str
    empty: Empty
    may_add: bool


@dataclass(frozen=True, kw_only=True)
class StoragePoolPage(Page):
    line: Line
    volumes: Sequence[Any] = ()
    q: str = ""
    """Part of the names of the volumes that are shown."""
    usage: Sequence[Any] = ()
    layer_words: Mapping[str, str] = field(default_factory=lambda: KINDS_OF_LAYERS)
    kind: Any = None
    may_modify: bool = False
    form: Any = None
    call: Any = None
    volume: Any = None
    word: str = "create"
    """Of `ovc volumes`, for what is asked of the volume."""
    hours: Sequence[Any] = ()
    """What the volume took and moved."""
    vpool: Any = None
    """What the cluster told of it, when it is a vPool."""
    unreached: str = ""
    """What helps when no host reaches it."""
    cluster: Any = None


@view_config(
    route_name="storage", request_method="GET", renderer="storage/list.pt", permission=SIGNED_IN
)
@view_config(
    route_name="storage_fragment",
    request_method="GET",
    match_param="part=rows",
    renderer="storage/rows.pt",
    permission=SIGNED_IN,
)
def listing(context: Any, request: Any) -> dict[str, Any]:
    box = filters.box(request, "storage", "Filter storage pools")
    found = filters.narrowed(request, "storage_pool", storage.listing(request.work), box)
    spaces = storage.spaces(request.work, found)
    page = StoragePage(
        title="Storage",
        section="storage",
        may_add=Privilege.MODIFY in context.privileges,
        lines=[line(store, spaces[store.id]) for store in found],
        box=box,
        fragment=filters.rows_address(request, "storage_fragment"),
        empty=Empty(
            why="No storage pool that you may see.",
            more="A storage pool comes with its host; the first start enrols this machine's own.",
        ),
    )
    return {"page": page}


@view_config(
    route_name="storage_pool",
    request_method="GET",
    renderer="storage/pool.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="storage_pool_fragment",
    request_method="GET",
    match_param="part=space",
    renderer="storage/space.pt",
    permission=Privilege.VIEW,
)
def storage_pool(context: Any, request: Any) -> dict[str, Any]:
    store, part = context.storage_pool, request.GET.get("q", "").strip()
    found = storage.volumes(request.work, store)
    page = store_page(
        context,
        request,
        store.name,
        volumes=[row for row in found if part.casefold() in row.name.casefold()],
        q=part,
        usage=storage_usage.of_pool(request.work, store)[:-25:-1],
        may_modify=Privilege.MODIFY in context.privileges,
    )
    return {"page": page}


def store_page(context: Any, request: Any, title: str, **more: Any) -> StoragePoolPage:
    """Return the presenter of any page about one storage pool."""
    store = context.storage_pool
    return StoragePoolPage(
        title=title,
        section="storage",
        crumbs=[
            Crumb(label="Storage", url=request.route_path("storage")),
            *crumbs(request, context.pool),
        ],
        pool_id=store.pool_id,
        line=line(store, storage.space(request.work, store)),
        kind=KINDS.get(store.driver),
        vpool=vpools.told_of(request.work, store),
        unreached=storage.unreached(store),
        cluster=clusters.get(request.work, store.cluster_id) if store.cluster_id else None,
        **more,
    )


@view_config(
    route_name="volume",
    request_method="GET",
    renderer="storage/volume_use.pt",
    permission=Privilege.VIEW,
)
def volume(context: Any, request: Any) -> dict[str, Any]:
    found = named_volume(context, request)
    page = store_page(
        context,
        request,
        found.name,
        volume=found,
        hours=storage_usage.of_volume(request.work, found)[::-1],
        may_modify=Privilege.MODIFY in context.privileges,
    )
    return {"page": page}


def named_volume(context: Any, request: Any) -> Any:
    """Return the volume that the address or the form names."""
    said = request.GET.get("volume") or request.POST.get("volume") or ""
    if not (said.isascii() and said.isdigit() and len(said) < 10):
        raise InvalidInput("Nothing was done.", fields={"volume": "Say which volume."})
    return volume_changes.get(request.work, context.storage_pool, int(said))

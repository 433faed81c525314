"""What every page tells its frame, and the empty states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ovcadmin.services import pools


@dataclass(frozen=True, kw_only=True)
class Crumb:
    label: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """The base of every presenter: its title, its place in the menu and in the tree."""

    title: str
    section: str
    crumbs: Sequence[Crumb] = ()
    pool_id: int | None = None
    """The pool that the tree marks."""
    search: str = ""
    """What stands in the search box."""


@dataclass(frozen=True, kw_only=True)
class Empty:
    """Why there is nothing, and the one next step."""

    why: str
    more: str = ""
    step: str = ""
    url: str = ""


def crumbs(request: Any, pool: Any, *, with_pool: bool = True) -> list[Crumb]:
    """Return the way from the topmost pool that the user may see down to `pool`."""
    lineage = pools.lineage(request.work, pool)
    return [
        Crumb(label=step.name, url=request.route_path("pool", id=step.id))
        for step in (lineage if with_pool else lineage[:-1])
    ]

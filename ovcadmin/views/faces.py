"""What a page offers, told as commands of `ovc` and calls of the REST API, at its foot.

A page offers what it makes addresses of, and what its own address takes.  The table is written by
`ovcadmin docs faces` from the commands and the contract themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ovcadmin.views.calls import BASE

TABLE: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("faces.json").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Deed:
    what: str
    commands: tuple[str, ...]
    call: str


def note(offered: dict[str, dict[str, Any]], route: str, parts: Mapping[str, Any]) -> None:
    """Note that the page has an address of this route; rows of a list differ in their ids."""
    known = offered.get(route)
    same = parts if known is None else {k: v for k, v in known.items() if parts.get(k) == v}
    offered[route] = dict(same)


def deeds(request: Any, page: Any, offered: Mapping[str, dict[str, Any]]) -> Iterator[Deed]:
    """Return what the page offers, each thing once; not what its form says more exactly itself."""
    own = request.matched_route.name if request.matched_route else ""
    routes = {own: dict(request.matchdict or {}), **offered}
    if getattr(getattr(page, "call", None), "command", ""):
        del routes[own]
    told = set()
    for route, parts in routes.items():
        for deed in _filled(route, parts):
            if deed not in told:
                told.add(deed)
                yield deed


def _filled(route: str, parts: Mapping[str, Any]) -> Iterator[Deed]:
    for one in TABLE.get(route, ()):
        method, path = _fill(one["call"], parts).split(" ", 1)
        yield Deed(
            what=one["what"],
            commands=tuple(_fill(line, parts) for line in one["commands"]),
            call=f"{method} {BASE}{path}",
        )


def _fill(text: str, parts: Mapping[str, Any]) -> str:
    """Put what is known into the braces; what is not stands there by its name."""
    return re.sub(r"\{(\w+)\}", lambda found: str(parts.get(found[1], found[1].upper())), text)

"""Lists as the API gives them: queries, sorting, pages and the choice of contents."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from ovcadmin.testing.openvstorage.answers import Call, Fault
from ovcadmin.testing.openvstorage.rules import natural

OLD_PAGE_SIZES = (10, 25, 50, 100)

Item = dict[str, Any]
Facts = Callable[[Any, str], Any]
"""Answers one dynamic or relation of an object by name; raises `KeyError` for an unknown one."""


class Kind:
    """A kind of object: what it always shows, and what it shows when asked."""

    def __init__(
        self,
        static: Callable[[Any], Item],
        dynamics: dict[str, Callable[[Any], Any]],
        relations: dict[str, Callable[[Any], Any]],
        default_sort: str = "",
    ) -> None:
        self.static = static
        self.dynamics = dynamics
        self.relations = relations
        self.default_sort = default_sort

    def show(self, thing: Any, contents: str | None) -> Item:
        """One object; without `contents` all of it."""
        names = _names(contents)
        if contents is None:
            names = ["_dynamics", "_relations"]
        wanted = dict(self.static(thing))
        for name, read in (self.dynamics | self.relations).items():
            group = "_dynamics" if name in self.dynamics else "_relations"
            plain = name.removesuffix("_guids").removesuffix("_guid")
            if {name, plain, group} & set(names) and f"-{name}" not in names:
                wanted[name] = read(thing)
        return wanted

    def value(self, thing: Any, field: str) -> Any:
        """A field as queries and sorting know it; raises `KeyError`."""
        for source in (self.dynamics, self.relations):
            if field in source:
                return source[field](thing)
        return self.static(thing)[field]


def listing(things: Sequence[Any], kind: Kind, call: Call, release: str) -> Item:
    """Return the answer of a list; an unsorted one comes in any order, as the real thing's."""
    found = list(things)
    random.shuffle(found)
    try:
        if "query" in call.query:
            query = json.loads(call.query["query"])
            found = [thing for thing in found if _matches(thing, kind, query)]
        sorting = [part for part in call.query.get("sort", kind.default_sort).split(",") if part]
        for part in reversed(sorting):
            name = part.removeprefix("-")
            found.sort(
                key=lambda thing, name=name: natural(kind.value(thing, name)),  # type: ignore[misc]
                reverse=part.startswith("-"),
            )
        shown, paging = _page(found, call, release)
    except UnicodeError as error:
        raise Fault(500, "internal_server", str(error)) from error
    except (KeyError, ValueError, TypeError) as error:
        raise Fault(500, "internal_server", f"{error}") from error
    contents = call.query.get("contents")
    data = [
        kind.static(thing)["guid"] if contents is None else kind.show(thing, contents)
        for thing in shown
    ]
    return {
        "data": data,
        "_paging": paging,
        "_contents": None if contents is None else _names(contents),
        "_sorting": sorting or None,
    }


def _names(contents: str | None) -> list[str]:
    return [name.strip() for name in (contents or "").split(",") if name.strip()]


def _page(found: list[Any], call: Call, release: str) -> tuple[list[Any], dict[str, int]]:
    total = len(found)
    page, size = call.query.get("page"), total
    if page is not None and page.isdigit():
        size = int(call.query["page_size"])  # its absence is a 500 there too
        if release == "2.9" and size not in OLD_PAGE_SIZES:
            size = 10
        last = max(1, math.ceil(total / size)) if size else 1 // size
        number = min(int(page), last)
        start = max(0, (number - 1) * size)
        shown = found[start : start + size] if number else []
        return shown, {
            "total_items": total,
            "current_page": number,
            "max_page": last,
            "page_size": size,
            "start_number": start + 1 if shown else 0,
            "end_number": start + len(shown) if shown else 0,
        }
    return found, {
        "total_items": total,
        "current_page": 1,
        "max_page": 1,
        "page_size": total,
        "start_number": 1 if total else 0,
        "end_number": total,
    }


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUALS": lambda have, want: bool(have == want),
    "NOT_EQUALS": lambda have, want: bool(have != want),
    "LT": lambda have, want: bool(have < want),
    "GT": lambda have, want: bool(have > want),
    "IN": lambda have, want: have in want,
    "CONTAINS": lambda have, want: want in have,
}


def _matches(thing: Any, kind: Kind, query: dict[str, Any]) -> bool:
    judged = []
    for item in query["items"]:
        if isinstance(item, dict):
            judged.append(_matches(thing, kind, item))
            continue
        have, want = kind.value(thing, item[0]), item[2]
        if len(item) > 3 and item[3] is False:
            have, want = str(have).lower(), str(want).lower()
        judged.append(OPERATORS[item[1]](have, want))
    return {"AND": all, "OR": any}[query["type"]](judged)

"""Lists: pages, order, search by name, and the choice of fields, the same for all.

A view that holds its list whole returns a `Listing`; one that reads page by page from the database
returns `items` and `next` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ovcadmin.domain import names
from ovcadmin.errors import InvalidInput

Shape = dict[str, Any]
BY_ID = ("id", "-id")


def _as_it_is(row: Any) -> Shape:
    found: Shape = row
    return found


@dataclass(frozen=True)
class Listing:
    """A list that is held whole, with the shape of one row.

    `order` is the order when none is asked for: `id` or `-id`, or blank for that of the rows.
    """

    rows: Sequence[Any]
    shape: Callable[[Any], Shape] = _as_it_is
    order: str = "id"
    searched: bool = False
    """The rows are what fits the search already."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What the answer tells beside the list."""

    def whole(self) -> list[Shape]:
        return [self.shape(row) for row in self.rows]


def page(listing: Listing, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the page that the parameters ask for: `items`, and the cursor of the one after it.

    By id, pages stay whole while things come and go; else they follow the place in the list.
    """
    rows = _found(listing, wanted.get("q"))
    limit = wanted.get("limit") or max(len(rows), 1)
    sort = wanted.get("sort") or listing.order
    place = cursor(wanted.get("cursor"))
    if sort in BY_ID and all(hasattr(row, "id") for row in rows[:1]):
        shown, following = _by_id(rows, sort, place, limit)
        items = [listing.shape(row) for row in shown]
    else:
        begin, shape = place or 0, listing.shape
        if sort:
            rows, shape = _ordered([shape(row) for row in rows], sort), _as_it_is
        items = [shape(row) for row in rows[begin : begin + limit]]
        following = str(begin + limit) if len(rows) > begin + limit else None
    return {"items": items, "next": following, **listing.more}


def _found(listing: Listing, part: str | None) -> Sequence[Any]:
    if not part or listing.searched:
        return listing.rows
    wanted = names.key(part)
    return [row for row in listing.rows if wanted in names.key(_name(listing, row))]


def _name(listing: Listing, row: Any) -> str:
    return str(getattr(row, "name", None) or listing.shape(row).get("name", ""))


def _by_id(
    rows: Sequence[Any], sort: str, after: int | None, limit: int
) -> tuple[Sequence[Any], str | None]:
    down = sort == "-id"
    ordered = sorted(rows, key=lambda row: row.id, reverse=down)
    if after is not None:
        ordered = [row for row in ordered if (row.id < after if down else row.id > after)]
    shown = ordered[:limit]
    return shown, next_cursor(shown, more=len(ordered) > len(shown))


def _ordered(items: list[Shape], sort: str) -> list[Shape]:
    """Order by a field, what has none last; raises `InvalidInput` for one that has no order."""
    name = sort.removeprefix("-")
    first = name.partition(".")[0]
    if items and first not in items[0]:
        raise _wrong("sort", f"There is no field {first[:50]} here.")
    told = [item for item in items if _value(item, name) is not None]
    silent = [item for item in items if _value(item, name) is None]
    try:
        told.sort(key=lambda item: _key(_value(item, name)), reverse=sort.startswith("-"))
    except TypeError:
        raise _wrong("sort", f"Nothing is ordered by {name[:50]}.") from None
    return told + silent


def _value(item: Shape, name: str) -> Any:
    first, _, rest = name.partition(".")
    found = item.get(first)
    return found.get(rest) if rest and isinstance(found, dict) else found


def _key(value: Any) -> Any:
    if isinstance(value, dict | list | tuple):
        raise TypeError
    return value.casefold() if isinstance(value, str) else value


def choose(request: Any, answer: dict[str, Any], wanted: str | None) -> None:
    """Leave out of a page what `fields` does not name, once the answer was checked as a whole."""
    if wanted is None:
        return
    chosen = [name for name in wanted.split(",") if name]
    rows = answer["items"]
    unknown = [name for name in chosen if rows and name.partition(".")[0] not in rows[0]]
    if unknown or not chosen:
        text = f"There is no field {unknown[0][:50]} here." if unknown else "Name some fields."
        raise _wrong("fields", text)

    def cut(_request: Any, response: Any) -> None:
        if response.status_int == HTTPStatus.OK:
            whole = response.json_body
            whole["items"] = [_chosen(row, chosen) for row in whole["items"]]
            response.json_body = whole

    request.add_response_callback(cut)


def _chosen(row: Shape, wanted: Sequence[str]) -> Shape:
    found: Shape = {}
    for name in wanted:
        first, _, rest = name.partition(".")
        inner = row.get(first)
        if rest and isinstance(inner, dict):
            inner = {**found.get(first, {}), rest: inner.get(rest)}
        found[first] = inner
    return found


def cursor(text: str | None) -> int | None:
    """Read a cursor; raises `InvalidInput` for one that we did not make."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise _wrong("cursor", "Send `next` of the page before.")
    return int(text)


def next_cursor(shown: Sequence[Any], *, more: bool) -> str | None:
    return str(shown[-1].id) if more and shown else None


def _wrong(name: str, text: str) -> InvalidInput:
    told = "Nothing was looked up: see what is wrong in `fields`."
    return InvalidInput(told, fields={name: text})

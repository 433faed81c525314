"""Sortable headings and pages of lists; what is chosen lives in the address and can be shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, kw_only=True)
class Column:
    label: str
    css: str | None = None
    url: str = ""
    """Where a click sorts by it; empty when it cannot be sorted by."""
    direction: str | None = None
    """`ascending` or `descending` when the list is sorted by it now."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A column as its list declares it."""

    label: str
    sort: str = ""
    number: bool = False


@dataclass(frozen=True, kw_only=True)
class Pager:
    page: int
    pages: int
    total: int
    first: int
    last: int
    previous: str = ""
    next: str = ""


def address(request: Any, path: str, **changes: Any) -> str:
    """Return `path` with the query of this request, changed; None or blank drops a part."""
    query = {**request.GET, **changes}
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(kept)}" if kept else path


def columns(
    request: Any, path: str, headings: Sequence[Heading], sort: str, *, param: str = "sort"
) -> list[Column]:
    """Return the headings with their links; a second click on one turns its direction."""
    found = []
    for heading in headings:
        here = sort.removeprefix("-") == heading.sort
        downwards = sort.startswith("-")
        turned = heading.sort if not here or downwards else f"-{heading.sort}"
        found.append(
            Column(
                label=heading.label,
                css="number" if heading.number else None,
                url=address(request, path, page=None, **{param: turned}) if heading.sort else "",
                direction=("descending" if downwards else "ascending")
                if here and heading.sort
                else None,
            )
        )
    return found


def pager(request: Any, path: str, *, page: int, pages: int, total: int, size: int) -> Pager:
    return Pager(
        page=page,
        pages=pages,
        total=total,
        first=min((page - 1) * size + 1, total),
        last=min(page * size, total),
        previous=address(request, path, page=page - 1) if page > 1 else "",
        next=address(request, path, page=page + 1) if page < pages else "",
    )


def whole_number(text: str, otherwise: int) -> int:
    """Read a number of an address; anything else, or anything absurd, is `otherwise`."""
    short = text.isascii() and text.isdigit() and len(text) < 8
    return int(text) if short else otherwise

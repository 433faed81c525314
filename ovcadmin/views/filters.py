"""The filter of a list: words with a colon narrow it, the others are part of a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ovcadmin.services import tags
from ovcadmin.views.tables import address

TAG = "tag"


@dataclass(frozen=True, kw_only=True)
class Box:
    """The filter as it was typed, and as it was understood."""

    path: str = ""
    q: str = ""
    found: Mapping[str, str] = field(default_factory=dict)
    """What was said of each word that the list knows."""
    text: str = ""
    unknown: Sequence[str] = ()
    """Words with a colon that are no filter."""
    known: Sequence[str] = (TAG,)
    label: str = ""
    example: str = "name, or tag:web"

    @property
    def words(self) -> str:
        """Which filters there are, for whoever used another one."""
        first, last = [f"{word}:" for word in self.known[:-1]], f"{self.known[-1]}:"
        return f"{', '.join(first)} or {last}" if first else last


def read(text: str, known: Sequence[str] = (TAG,), **more: str) -> Box:
    """Read a filter; a MAC is no word with a colon, it is looked for as it stands."""
    found: dict[str, str] = {}
    plain: list[str] = []
    unknown: list[str] = []
    for word in text.split():
        name, colon, value = word.partition(":")
        if not colon or word.count(":") == 5:
            plain.append(word)
        elif name in known:
            found[name] = value
        else:
            unknown.append(word)
    return Box(
        q=text, found=found, text=" ".join(plain), unknown=unknown, known=known, **more
    )  # fmt: skip


def box(request: Any, route: str, label: str) -> Box:
    """Read the filter in the address of a list of things that have tags."""
    return read(request.GET.get("q", "").strip(), path=request.route_path(route), label=label)


def narrowed(request: Any, kind: str, rows: Sequence[Any], asked: Box) -> list[Any]:
    """Return the rows that the filter leaves."""
    return tags.narrowed(
        request.work, kind, rows, part=asked.text, word=asked.found.get(TAG, "")
    )  # fmt: skip


def rows_address(request: Any, route: str) -> str:
    """Return the address of the list's rows alone, narrowed as the page is."""
    return address(request, request.route_path(route, part="rows"))

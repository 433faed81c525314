"""What a command prints: a table for people, JSON, YAML, CSV or bare ids for programs.

Lists are written page by page as they come, so that the first row is there at once and memory
does not grow with the list.  Programs get the values of the API, people get them with units.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from ovcadmin.cli.failures import usage
from ovcadmin.cli.text import clean, plain

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a formula of a spreadsheet begins with."""
FORMATS = ("table", "json", "yaml", "csv", "quiet")
Row = dict[str, Any]
_ESCAPED = {code: f"\\u{code:04x}" for code in range(127, 160)}
_GAP = "  "
_LEAST = 8
"""A column is not cut below so many characters to fit the terminal."""

_STATES = {"state", "stable", "result"}
"""Columns that hold words of state."""
_COLOURS = {
    "running": "green", "up": "green", "done": "green", "stopped": "blue", "saved": "blue",
    "suspended": "yellow", "queued": "yellow", "failed": "red", "create_failed": "red",
    "refused": "red", "unknown": "red", "missing": "red", "unresponsive": "red",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """`path` leads to the value in the object (`pool.name`); `show` writes it for people.

    `usual` is False for a column that only shows when asked for.
    """

    name: str
    path: str = ""
    show: Callable[[Any], str] = plain
    right: bool = False
    usual: bool = True

    def value(self, row: Row) -> Any:
        found: Any = row
        for part in (self.path or self.name).split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def text(self, row: Row) -> str:
        return self.show(self.value(row))

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").upper()


class Output:
    """Writes to standard output in one format; `wanted` names the columns that were asked for."""

    def __init__(self, format: str, wanted: str | None = None) -> None:
        self.format = format
        self._wanted = (
            [name.strip() for name in wanted.split(",") if name.strip()] if wanted else []
        )

    def pages(self, pages: Iterable[list[Row]], columns: Sequence[Column]) -> None:
        """Write a list."""
        chosen = self._chosen(columns)
        write = getattr(self, f"_{self.format}")
        write(pages, chosen)

    def rows(self, rows: list[Row], columns: Sequence[Column]) -> None:
        self.pages([rows], columns)

    def one(self, row: Row, columns: Sequence[Column]) -> None:
        """Write one object: a line for each field, or the object itself for programs."""
        chosen = self._chosen(columns, every=True)
        if self.format == "json":
            _print(json.dumps(self._cut(row, chosen), indent=2, ensure_ascii=False))
        elif self.format == "yaml":
            _print(_as_yaml(self._cut(row, chosen)), end="")
        elif self.format == "table":
            width = max(len(column.name) for column in chosen)
            for column in chosen:
                name = column.name.replace("_", " ").capitalize().ljust(width)
                _print(f"{click.style(name, bold=True)}{_GAP}{_styled(column, column.text(row))}")
        else:
            self.rows([row], columns)

    def raw(self, value: Any, rows: list[Row], columns: Sequence[Column]) -> None:
        """Write `value` for programs that read trees, its flat form as `rows` for all others."""
        if self.format == "json":
            _print(json.dumps(value, indent=2, ensure_ascii=False))
        elif self.format == "yaml":
            _print(_as_yaml(value), end="")
        else:
            self.rows(rows, columns)

    def _chosen(self, columns: Sequence[Column], *, every: bool = False) -> list[Column]:
        if not self._wanted:
            return [column for column in columns if column.usual or every]
        if self._wanted == ["all"]:
            return list(columns)
        known = {column.name: column for column in columns}
        unknown = [name for name in self._wanted if name not in known and "." not in name]
        if unknown:
            raise usage(f"There is no column “{unknown[0]}” here; there are {', '.join(known)}.")
        return [known.get(name) or Column(name) for name in self._wanted]

    def _cut(self, row: Row, chosen: Sequence[Column]) -> Row:
        """Return the whole object, or the asked columns of it."""
        if not self._wanted or self._wanted == ["all"]:
            return row
        return {column.name: column.value(row) for column in chosen}

    # --- formats -------------------------------------------------------------------------------

    def _json(self, pages: Iterable[list[Row]], chosen: Sequence[Column]) -> None:
        between = "[\n"
        for row in _flat(pages):
            _print(between + json.dumps(self._cut(row, chosen), ensure_ascii=False), end="")
            between = ",\n"
        _print("[]" if between == "[\n" else "\n]")

    def _yaml(self, pages: Iterable[list[Row]], chosen: Sequence[Column]) -> None:
        empty = True
        for row in _flat(pages):
            _print(_as_yaml([self._cut(row, chosen)]), end="")
            empty = False
        if empty:
            _print("[]")

    def _csv(self, pages: Iterable[list[Row]], chosen: Sequence[Column]) -> None:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([column.name for column in chosen])
        for page in pages:
            writer.writerows([_harmless(column.value(row)) for column in chosen] for row in page)
            sys.stdout.flush()

    def _quiet(self, pages: Iterable[list[Row]], chosen: Sequence[Column]) -> None:
        """Write the asked columns, else what names each row: its id, or its first column."""
        for row in _flat(pages):
            if self._wanted:
                _print("\t".join(clean(_cell(column.value(row))) for column in chosen))
            else:
                _print(clean(row.get("id", chosen[0].text(row))))

    def _table(self, pages: Iterable[list[Row]], chosen: Sequence[Column]) -> None:
        """Write columns as wide as the first page needs them, on a terminal cut to its width."""
        widths: list[int] = []
        empty = True
        for page in pages:
            cells = [[column.text(row) for column in chosen] for row in page]
            if not widths:
                titles = [column.title for column in chosen]
                widths = _fit(_widths([titles, *cells]))
                _print(_line(titles, widths, chosen, _bold))
            if cells:
                _print("\n".join(_line(row, widths, chosen, _styled) for row in cells))
                empty = False
        if empty and sys.stdout.isatty():
            _print(click.style("(none)", dim=True))


def _flat(pages: Iterable[list[Row]]) -> Iterator[Row]:
    for page in pages:
        yield from page


def _print(text: str, *, end: str = "\n") -> None:
    click.echo(text + end, nl=False)


def _as_yaml(value: Any) -> str:
    import yaml  # noqa: PLC0415 - takes longer to load than most commands to run

    dumped: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
    return dumped


def _harmless(value: Any) -> str:
    """Return a cell that no spreadsheet runs as a formula: a name such as `=cmd()` is quoted."""
    text = _cell(value)
    formula = not isinstance(value, int | float) and text.startswith(FORMULA)
    return f"'{text}" if formula else text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(_cell(inner) for inner in value)
    if isinstance(value, dict):
        return _cell(value["name"]) if "name" in value else json.dumps(value, ensure_ascii=False)
    return str(value)


def _bold(_column: Column, text: str) -> str:
    return click.style(text, bold=True)


def _styled(column: Column, text: str) -> str:
    """Colour a word of state; the word itself says it too."""
    colour = _COLOURS.get(text.partition(" ")[0]) if column.name in _STATES else None
    return click.style(text, fg=colour) if colour else text


def _line(
    cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column], style: Any
) -> str:
    parts = []
    for cell, width, column in zip(cells, widths, columns, strict=True):
        shown = _shorten(cell, width) if sys.stdout.isatty() else cell
        space = " " * max(width - _width(shown), 0)
        styled = style(column, shown)
        parts.append(space + styled if column.right else styled + space)
    return _GAP.join(parts).rstrip()


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, column)) for column in zip(*rows, strict=True)]


def _fit(widths: list[int]) -> list[int]:
    """Take from the widest columns what the terminal does not have."""
    if not sys.stdout.isatty():
        return widths
    room = shutil.get_terminal_size().columns - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _LEAST:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _shorten(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def _width(text: str) -> int:
    """Return how many places of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - only names beyond ASCII need its tables

    return cell_len(text)

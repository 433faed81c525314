"""Small graphs of what was measured, and the same in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ovcadmin.domain.amounts import show_memory, show_storage
from ovcadmin.domain.measurements import SPANS
from ovcadmin.services import measurements

WIDTH, HEIGHT = 240, 40
"""Of a graph's own coordinates; the page stretches it."""


@dataclass(frozen=True, kw_only=True)
class Spark:
    """One graph: where its line goes, and the same in words."""

    label: str
    now: str
    spoken: str
    lines: Sequence[str]
    """Points of the line; several lines where nothing was measured in between."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    label: str
    value: Callable[[Any], float]
    show: Callable[[float], str]
    whole: float | None = None
    """The value at the upper edge; the largest measured one where there is no limit."""


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"


def _rate(amount: float) -> str:
    return f"{show_storage(int(amount))}/s"


def _memory(amount: float) -> str:
    return show_memory(int(amount))


def kinds(memory: int, *, disk: bool) -> list[Kind]:
    """Return what is drawn of a host or a machine that has so much memory (KiB)."""
    found = [
        Kind(label="CPU", value=lambda row: row.cpu, show=_percent, whole=1.0),
        Kind(label="Memory", value=lambda row: row.memory, show=_memory, whole=memory or None),
        Kind(label="Network in", value=lambda row: row.received, show=_rate),
        Kind(label="Network out", value=lambda row: row.sent, show=_rate),
    ]
    if disk:
        found += [
            Kind(label="Disk read", value=lambda row: row.read, show=_rate),
            Kind(label="Disk written", value=lambda row: row.written, show=_rate),
        ]
    return found


def spark(kind: Kind, rows: Sequence[Any], span: str) -> Spark:
    values = [float(kind.value(row)) for row in rows]
    if not values:
        return Spark(
            label=kind.label, now="-", spoken=f"{kind.label}: nothing measured", lines=()
        )  # fmt: skip
    now, low, high = kind.show(values[-1]), kind.show(min(values)), kind.show(max(values))
    return Spark(
        label=kind.label,
        now=now,
        spoken=f"{kind.label}: {now} last, between {low} and {high} in the last {span}",
        lines=_lines(rows, values, kind.whole or max(values) or 1.0, span),
    )


def _lines(rows: Sequence[Any], values: list[float], top: float, span: str) -> list[str]:
    grain = SPANS[span]
    newest = rows[-1].at
    lines: list[list[str]] = [[]]
    before = None
    for row, value in zip(rows, values, strict=True):
        if before is not None and (row.at - before).total_seconds() > 3 * grain.seconds:
            lines.append([])
        x = WIDTH * (1 - (newest - row.at) / grain.span)
        y = HEIGHT * (1 - min(value / top, 1.0))
        lines[-1].append(f"{x:.1f},{y:.1f}")
        before = row.at
    return [" ".join(line) for line in lines]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The graphs of one object, the time that they tell of, and where other times are."""

    sparks: Sequence[Spark]
    span: str
    others: Sequence[str]
    fragment: str
    full: str


def figures(request: Any, kind: str, row: Any, *, disk: bool) -> Figures:
    wanted = request.params.get("span", "")
    span = wanted if wanted in SPANS else "hour"
    found = measurements.series(request.work, kind, row.id, span)
    return Figures(
        sparks=[spark(one, found, span) for one in kinds(row.memory, disk=disk)],
        span=span,
        others=[name for name in SPANS if name != span],
        fragment=request.route_path(
            f"{kind}_fragment", id=row.id, part="figures", _query={"span": span}
        ),
        full=request.route_path(f"{kind}_figures", id=row.id),
    )

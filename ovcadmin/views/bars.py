"""Bars: what is used, pending and wanted of a limit, with figures in one common unit."""

from __future__ import annotations

from dataclasses import dataclass

from ovcadmin.domain.amounts import show as amount
from ovcadmin.domain.quota import WARNING_PERCENT, Level
from ovcadmin.domain.resources import NAMES, Resources

LABELS = {
    "vcpus": "vCPUs",
    "memory": "Memory",
    "nics": "NICs",
    "machines": "Running machines",
    "redundancy": "Protected",
    "storage": "Storage",
}

_SCALES = {
    "memory": [("MiB", 2**10), ("GiB", 2**20), ("TiB", 2**30), ("PiB", 2**40)],
    "storage": [("MB", 10**6), ("GB", 10**9), ("TB", 10**12), ("PB", 10**15)],
}
"""Units of each resource in its stored unit (KiB, bytes)."""

SLIVER = 0.8
"""Percent: what is there is seen, however small."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A bar's numbers: `21` + `2` of `32`; blank where there is nothing to say."""

    used: str
    pending: str
    wanted: str
    limit: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What is taken of an amount; `limit` None has no end.  Amounts in the resource's own unit."""

    resource: str
    label: str
    used: int
    pending: int = 0
    wanted: int = 0
    """What a form would take on top."""
    limit: int | None = None
    promised: int = 0
    """Sum of the limits of its sub-pools."""
    warns_at: int = WARNING_PERCENT
    """Percent of the limit above which it warns, before anything is refused."""
    alarm: bool = True
    """Whether nearness to the limit is worth a warning; CPUs may be promised many times over."""

    @property
    def taken(self) -> int:
        return self.used + self.pending + self.wanted

    @property
    def tone(self) -> str:
        if self.limit is None:
            return "open"
        if not self.alarm or not self.taken:
            return ""
        if self.taken >= self.limit:
            return "full"
        return "over" if self.taken * 100 > self.limit * self.warns_at else ""

    @property
    def over_promised(self) -> bool:
        """Whether the sub-pools may hope for more than there is; use still exceeds no level."""
        return self.limit is not None and self.promised > self.limit

    @property
    def mark(self) -> float | None:
        """Where on the bar the promises end, in percent; the end of it when they go beyond."""
        if not self.promised or self.limit is None:
            return None
        whole = max(self.limit, self.taken) or 1
        return round(min(100.0 * self.promised / whole, 99.0), 2)

    @property
    def parts(self) -> list[tuple[str, float, float]]:
        """Name, start and width of each stretch in percent of the bar; it never overflows."""
        whole = self.taken * 2.5 if self.limit is None else max(self.limit, self.taken)
        stretches = ("used", self.used), ("pending", self.pending), ("wanted", self.wanted)
        found, start = [], 0.0
        for name, value in stretches:
            width = 100.0 * value / whole if whole else 0.0
            if width:
                found.append((name, round(start, 2), round(max(width, SLIVER), 2)))
            start += width
        return found

    @property
    def figures(self) -> Figures:
        scale, unit = self._unit()
        return Figures(
            used=_short(self.used, scale),
            pending=_short(self.pending, scale) if self.pending else "",
            wanted=_short(self.wanted, scale) if self.wanted else "",
            limit=_short(self.limit, scale) if self.limit is not None else "",
            unit=unit,
        )

    def _unit(self) -> tuple[int, str]:
        if self.resource not in _SCALES:
            return 1, ""
        largest = max(self.limit or 0, self.taken)
        scales = _SCALES[self.resource]
        unit, scale = next((pair for pair in reversed(scales) if pair[1] <= largest), scales[0])
        return scale, unit

    @property
    def note(self) -> str:
        """What to say beside the figures."""
        if self.limit is None:
            return "no limit here"
        found = []
        if self.taken > self.limit and self.alarm:
            found.append(f"{amount(self.resource, self.taken - self.limit)} over")
        if self.promised:
            word = "over-promised" if self.over_promised else "promised"
            found.append(f"{amount(self.resource, self.promised)} {word}")
        return ", ".join(found)

    @property
    def spoken(self) -> str:
        """The bar for who does not see it."""
        held = f"{amount(self.resource, self.used)} used"
        if self.pending:
            held += f", {amount(self.resource, self.pending)} pending"
        if self.wanted:
            held += f", {amount(self.resource, self.wanted)} more by this"
        if self.limit is None:
            return f"{self.label}: {held}, no limit here"
        told = f"{self.label}: {held}, of {amount(self.resource, self.limit)}"
        if self.promised:
            told += f"; {amount(self.resource, self.promised)} promised to sub-pools"
            told += ", more than there is" if self.over_promised else ""
        return told


def _short(value: int, scale: int) -> str:
    if scale == 1:
        return str(value)
    if 0 < value * 10 < scale:
        return "<0.1"
    number = value / scale
    text = f"{number:.1f}" if number < 100 else f"{number:.0f}"
    return text.removesuffix(".0")


def quota_bars(
    level: Level, wanted: Resources | None = None, promised: Resources | None = None
) -> list[Bar]:
    """Return the six bars of one pool.

    `wanted` is what a form would take on top, `promised` the sum of its sub-pools' limits.
    """
    return [
        Bar(
            resource=name,
            label=LABELS[name],
            used=getattr(level.used, name),
            pending=getattr(level.pending, name),
            wanted=getattr(wanted, name) if wanted else 0,
            limit=getattr(level.limits, name),
            promised=getattr(promised, name) if promised else 0,
            warns_at=level.warns_at(name),
        )
        for name in NAMES
    ]

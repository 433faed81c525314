"""What a synchronisation changed, or would change: told while it goes on, kept with its step.

It is written in the transactions that make the changes: whoever takes an interrupted one up again
goes on telling where the last attempt stopped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

SHOWN = 200
"""So many names of each kind, and lines of rights, are kept for the page; the counts are whole."""
GAINS, LOSES = "gains", "loses"
LABELS = {
    "added": "added",
    "changed": "with another name, mail or place",
    "disabled": "disabled in the directory",
    "groups": "with other groups",
    "group_added": "groups added",
    "group_kept": "groups kept, because the last Super Admin is in them",
    "group_vanished": "groups vanished",
    "kept": "kept in the groups that make somebody Super Admin, as the last one",
    "kept_out": "kept as the last Super Admin, and signed out",
    "returned": "back",
    "vanished": "vanished and disabled",
}
"""Kinds of change, for people."""


def _nobody() -> dict[str, Any]:
    return {"count": 0, "names": []}


@dataclass(kw_only=True)
class Tally:
    people: int = 0
    groups: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    """Who gains or loses which role on which pool (services/realm_reach)."""
    machines: dict[str, Any] = field(default_factory=_nobody)
    """Machines whose own owner could not control them any more."""
    dormant: list[str] | None = None
    """Keys of the groups with roles that were vanished when it began; None: not looked at yet."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `text` wrote, perhaps in a release that told less or more."""
        known = {part.name for part in fields(cls)}
        return cls(**{name: value for name, value in json.loads(text).items() if name in known})

    @property
    def text(self) -> str:
        return json.dumps(asdict(self))

    def add(self, kind: str, name: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        shown = self.names.setdefault(kind, [])
        if len(shown) < SHOWN:
            shown.append(name)

    @property
    def words(self) -> str:
        parts = [f"{count} {LABELS[kind]}" for kind, count in sorted(self.counts.items())]
        return ", ".join(parts) or "nothing"

    @property
    def keeps(self) -> bool:
        """Whether the last Super Admin, or his group, stays although the directory says no."""
        return not self.counts.keys().isdisjoint(("kept", "kept_out", "group_kept"))

    @property
    def leaves_nobody(self) -> bool:
        """Whether the last Super Admin is one whom the directory does not sign in any more."""
        return "kept_out" in self.counts

    @property
    def rights(self) -> list[dict[str, Any]]:
        """The lines, what is lost and what concerns most people first."""
        ordered = sorted(self.lines, key=lambda line: (line["verb"] == GAINS, -line["count"]))
        told = ("verb", "role", "pool", "pool_id", "count", "names")
        return [{name: line[name] for name in told} for line in ordered[:SHOWN]]


def note(place: dict[str, Any], name: str) -> None:
    """Count a name, and keep it while there are few."""
    place["count"] += 1
    if len(place["names"]) < SHOWN:
        place["names"].append(name)

"""What lower limits take away: told before they are set, and asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ovcadmin.cli import moves, text
from ovcadmin.cli.command import Ovc

SHOWN = {"memory": text.memory, "storage": text.storage}


@dataclass(frozen=True)
class Look:
    """Where the API says what a change would take away, and what is asked when it is something."""

    path: str
    body: dict[str, Any]
    question: str


def only_looked(ovc: Ovc, look: Look, *, dry_run: bool, yes: bool) -> bool:
    """Say what the change takes away and ask; return whether it was a dry run, which ends here."""
    if yes and not dry_run:
        return False
    told = ovc.client.call("POST", look.path, look.body).body
    rows = _taken_away(told)
    if dry_run:
        ovc.out.raw(told, rows, moves.COLUMNS)
        ovc.note(
            "Nothing was changed." if rows else "Nothing was changed; it would take nothing away."
        )
    else:
        moves.ask(ovc, look.question, rows)
    return dry_run


def amounts(given: dict[str, int | None] | None) -> str:
    """Show amounts of resources in one cell; what has no limit is left out."""
    shown = [
        f"{name} {SHOWN.get(name, text.plain)(amount)}"
        for name, amount in (given or {}).items()
        if amount is not None
    ]
    return ", ".join(shown) or "-"


def _taken_away(told: dict[str, Any]) -> list[dict[str, str]]:
    """Return what lower limits take away, a line for each fact."""
    return [
        *({"what": "in use", "which": _over(one)} for one in told["used"]),
        *({"what": "promised to sub-pools", "which": _over(one)} for one in told["promised"]),
        *({"what": "cannot start", "which": row["name"]} for row in told["stuck"]),
    ]


def _over(one: dict[str, Any]) -> str:
    show = SHOWN.get(one["resource"], text.plain)
    whose = f"{one['person']}: " if one["person"] else ""
    amount, limit = show(one["amount"]), show(one["limit"])
    return f"{whose}{one['resource']} {amount}, the limit would be {limit}"

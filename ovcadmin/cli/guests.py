"""`ovc machines guest`: what the agent in a guest says, and what its first boot is told."""

from __future__ import annotations

from typing import Any

from ovcadmin.cli import text
from ovcadmin.cli.command import Noun, Ovc
from ovcadmin.cli.names import find, reference
from ovcadmin.cli.output import Column

COLUMNS = (Column("what"), Column("value"))


def add_to_machines(machines: Noun) -> None:
    """Declare the command."""

    @machines.add("guest", calls=["getGuest"], watch=True, examples=["ovc machines guest web01"])
    @reference("machine")
    def guest(ovc: Ovc, name: str) -> None:
        """Show what the agent in a machine's guest says, with its age, and its first boot."""
        machine = find(ovc.client, "machine", name)
        found = ovc.client.get(f"/machines/{machine['id']}/guest")
        ovc.out.raw(found, _rows(found), COLUMNS)


def _rows(found: dict[str, Any]) -> list[dict[str, str]]:
    facts = found["facts"]
    rows = {"answered": text.moment(found["answered_at"]), "trouble": found["trouble"]}
    if facts:
        rows |= {name: facts[name] for name in ("os", "kernel", "hostname")}
        rows["memory"] = f"{text.memory(facts['memory_unused'])} free of " + text.memory(
            facts["memory"]
        )
        for card in facts["cards"]:
            rows[f"card {card['name']}"] = ", ".join(card["addresses"])
        for one in facts["file_systems"]:
            used = f"{text.storage(one['used'])} of {text.storage(one['total'])}"
            rows[f"file system {one['place']}"] = used
    told = found["cloud_init"]
    if told:
        rows["first boot"] = ", ".join(
            filter(None, (told["hostname"], told["user"], *told["holds"]))
        )
    return [{"what": what, "value": value} for what, value in rows.items() if value]

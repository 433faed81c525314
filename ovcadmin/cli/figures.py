"""What hosts and machines use, now and over a while."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Noun, Ovc
from ovcadmin.cli.names import find, reference
from ovcadmin.cli.output import Column


def _percent(part: Any) -> str:
    return f"{100 * part:.1f} %"


def _rate(amount: Any) -> str:
    return f"{text.storage(int(amount))}/s"


COLUMNS = (
    Column("at", show=text.moment),
    Column("cpu", show=_percent, right=True),
    Column("memory", show=text.memory, right=True),
    Column("received", show=_rate, right=True),
    Column("sent", show=_rate, right=True),
)
DISK = (
    Column("read", show=_rate, right=True),
    Column("written", show=_rate, right=True),
)


def add_figures(noun: Noun, kind: str, call: str) -> None:
    """Add `figures` to a noun whose things are measured."""
    columns = COLUMNS + DISK if kind == "machine" else COLUMNS

    @noun.add("figures", calls=[call], watch=True, examples=[f"ovc {kind}s figures web01"])
    @reference(kind)
    @click.option(
        "--span", type=click.Choice(("hour", "day", "month")), default="hour", show_default=True
    )
    def figures(ovc: Ovc, name: str, span: str) -> None:
        """Show what was used of CPU, memory, network and disk, the newest last."""
        number = find(ovc.client, kind, name)["id"]
        answer = ovc.client.get(f"/{kind}s/{number}/measurements", span=span)
        ovc.out.rows(answer["points"], columns)

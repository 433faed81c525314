"""`ovc consumption`: months and reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Ovc, noun
from ovcadmin.cli.output import Column

consumption = noun("consumption", "Consumption: what machines used, by month.")

MONTH_COLUMNS = (Column("month"), Column("machines", right=True))
COLUMNS = (
    Column("account"),
    Column("space"),
    Column("machine"),
    Column("created", show=text.moment),
    Column("destroyed", show=text.moment),
    Column("vcpu_hours", "used.vcpu_hours", text.hours, right=True),
    Column("memory_gib_hours", "used.memory_gib_hours", text.hours, right=True),
    Column("storage_gb_hours", "used.storage_gb_hours", text.hours, right=True),
)


@consumption.add("list", calls=["listConsumption"], examples=["ovc consumption list"])
def listing(ovc: Ovc) -> None:
    """List the months that have something to report."""
    ovc.out.rows(ovc.client.get("/consumption")["items"], MONTH_COLUMNS)


@consumption.add(
    "report",
    calls=["getConsumption"],
    examples=["ovc consumption report", "ovc consumption report 2026-11 -o csv > november.csv"],
)
@click.argument("month", required=False, metavar="[YYYY-MM]")
def report(ovc: Ovc, month: str | None) -> None:
    """Show what every machine used in a month, this one (UTC) by default."""
    wanted = month or f"{datetime.now(UTC):%Y-%m}"
    found = ovc.client.get(f"/consumption/{wanted}")
    ovc.out.raw(found, _rows(found), COLUMNS)


def _rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "account": account["pool"],
            "space": space["pool"],
            "machine": machine["name"],
            **machine,
        }
        for account in report["accounts"]
        for space in account["spaces"]
        for machine in space["machines"]
    ]

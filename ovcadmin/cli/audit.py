"""`ovc audit`: who did what to what, from where, with which outcome."""

from __future__ import annotations

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Ovc, most_option, noun
from ovcadmin.cli.names import id_of, option
from ovcadmin.cli.output import Column

audit = noun("audit", "Audit log: who did what to what, with which outcome.")

COLUMNS = (
    Column("id", right=True),
    Column("at", show=text.moment),
    Column("actor"),
    Column("door", usual=False),
    Column("address", usual=False),
    Column("action"),
    Column("kind", "object_kind"),
    Column("object", "object_name"),
    Column("object_id", usual=False),
    Column("pool_id", usual=False),
    Column("outcome"),
    Column("before", usual=False),
    Column("after", usual=False),
    Column("request_id", usual=False),
)
_day = click.DateTime(["%Y-%m-%d"])


@audit.add(
    "list",
    calls=["listAudit"],
    examples=[
        "ovc audit list --outcome refused --limit 20",
        "ovc audit list --actor anna --since 2026-11-01 -o csv",
    ],
)
@click.option("--actor", metavar="TEXT", help="Part of the name.")
@click.option("--action", metavar="TEXT", help="Such as machine.start, or its beginning.")
@click.option("--kind", metavar="KIND", help="Kind of the object, such as machine.")
@click.option("--object", metavar="TEXT", help="Part of its name, or '#7' for its number.")
@click.option("--outcome", metavar="WORD", help="done, refused, or an error code.")
@option("pool", "The pool, with everything below it.")
@click.option("--since", type=_day, metavar="DAY")
@click.option("--until", type=_day, metavar="DAY", help="The last day that counts.")
@most_option
def listing(ovc: Ovc, *, pool: str | None, most: int | None, **given: object) -> None:
    """List what was done and what was refused, newest first."""
    for name in ("since", "until"):
        day = given[name]
        given[name] = f"{day:%Y-%m-%d}" if day is not None else None
    pool_id = id_of(ovc.client, "pool", pool)
    ovc.out.pages(ovc.client.pages("/audit", most=most, pool_id=pool_id, **given), COLUMNS)

"""`ovc pools leases` and `set-leases`: what leases machines of a pool get by themselves."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli.command import Noun, Ovc
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import id_of, reference
from ovcadmin.cli.output import Column

COLUMNS = (
    Column("own"),
    Column("pool"),
    Column("run_hours", right=True),
    Column("run_end"),
    Column("keep_days", right=True),
)


def add_to_pools(pools: Noun) -> None:
    """Declare the commands."""

    @pools.add("leases", calls=["getPoolLeases"], examples=["ovc pools leases Web"])
    @reference("pool")
    def leases(ovc: Ovc, name: str) -> None:
        """Show what leases machines of a pool get by themselves."""
        path = f"/pools/{id_of(ovc.client, 'pool', name)}/leases"
        ovc.out.one(ovc.client.get(path), COLUMNS)

    @pools.add(
        "set-leases",
        calls=["setPoolLeases"],
        examples=[
            "ovc pools set-leases Lab --run-hours 12 --then save --keep-days 90",
            "ovc pools set-leases Lab --inherit",
        ],
    )
    @reference("pool")
    @click.option("--run-hours", type=click.IntRange(min=1), help="From each start; else no end.")
    @click.option(
        "--then",
        "run_end",
        type=click.Choice(("shutdown", "power_off", "save")),
        help="What happens at the end of a run.",
    )
    @click.option("--keep-days", type=click.IntRange(min=1), help="From creation; else no end.")
    @click.option("--inherit", is_flag=True, help="Leave it to the pool above.")
    def set_leases(ovc: Ovc, *, name: str, inherit: bool, **given: Any) -> None:  # fmt: skip
        """Set what leases machines of a pool and of all below get; those there keep theirs."""
        typed = {key: value for key, value in given.items() if value is not None}
        if inherit and typed:
            raise usage("--inherit stands alone.")
        path = f"/pools/{id_of(ovc.client, 'pool', name)}/leases"
        body = {"inherit": True} if inherit else typed
        ovc.out.one(ovc.client.call("PUT", path, body).body, COLUMNS)

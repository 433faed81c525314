"""Rates that the running machines of a pool share: more of `ovc pools`."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Noun, Ovc
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import id_of, reference
from ovcadmin.cli.output import Column

COLUMNS = (
    Column("machine"),
    Column("rate"),
    Column("gets"),
    Column("limited_by"),
)
BYTES = ("byte_rate", "receive", "send")


def add_to_pools(pools: Noun) -> None:
    """Declare the commands on shared rates."""
    _add_show(pools)
    _add_set(pools)


def _add_show(pools: Noun) -> None:
    @pools.add("rates", calls=["getRates"], examples=["ovc pools rates Web"])
    @reference("pool")
    def rates(ovc: Ovc, name: str) -> None:
        """Show what running machines share, and what each gets."""
        _print(ovc, name, ovc.client.get(f"/pools/{id_of(ovc.client, 'pool', name)}/rates"))


def _add_set(pools: Noun) -> None:
    @pools.add(
        "set-rates",
        calls=["setRates", "getRates"],
        examples=[
            "ovc pools set-rates Web --cpu 400 --byte-rate 200MB --iops 2000",
            "ovc pools set-rates Web --send 125MB --cpu none",
        ],
    )
    @reference("pool")
    @click.option("--cpu", type=text.COUNT, help="Percent of one CPU.")
    @click.option("--byte-rate", type=text.STORAGE, help="Of drives, a second; bare: GB.")
    @click.option("--iops", type=text.COUNT, help="Operations of drives a second.")
    @click.option("--receive", type=text.STORAGE, help="Of cards, a second.")
    @click.option("--send", type=text.STORAGE, help="Of cards, a second.")
    def set_rates(ovc: Ovc, *, name: str, **given: int | str | None) -> None:
        """Set what running machines share; `none` takes a limit away, the others stay."""
        changed = {
            key: None if value == text.NONE else value
            for key, value in given.items()
            if value is not None
        }
        if not changed:
            raise usage("Say which limit to set, such as --cpu 400 or --send none.")
        path = f"/pools/{id_of(ovc.client, 'pool', name)}/rates"
        seen = ovc.client.call("GET", path)
        headers = {"If-Match": seen.headers["ETag"]}
        body = {**seen.body["limits"], **changed}
        _print(ovc, name, ovc.client.call("PUT", path, body, headers=headers).body)


def _print(ovc: Ovc, name: str, body: dict[str, Any]) -> None:
    limits = [
        {"machine": f"all of {name}", "rate": rate, "gets": show(rate, limit), "limited_by": None}
        for rate, limit in body["limits"].items()
        if limit is not None
    ]
    rows = [
        {
            "machine": one["machine"]["name"],
            "rate": given["rate"],
            "gets": show(given["rate"], given["amount"]),
            "limited_by": limited_by(given),
        }
        for one in body["machines"]
        for given in one["rates"]
        if given["amount"] is not None
    ]
    ovc.out.raw(body, limits + rows, COLUMNS)


def show(rate: str, amount: int) -> str:
    """Write an amount of a rate."""
    if rate in BYTES:
        return f"{text.storage(amount)}/s"
    return f"{amount} %" if rate == "cpu" else f"{amount}/s"


def limited_by(given: dict[str, Any]) -> str | None:
    """Name the pool whose limit binds; None where it is the machine's own."""
    if not given["shared"]:
        return None
    return given["pool"]["name"] if given["pool"] else "a pool above"

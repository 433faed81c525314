"""`ovc requests`: asking for more quota, and who asks; with the forecast that leads there."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import arrangements, text
from ovcadmin.cli.command import Noun, Ovc, most_option, noun
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import id_of, option, reference
from ovcadmin.cli.output import Column

requests = noun("requests", "Requests for more quota: yours, and those that you decide.")

SHOWN = {"memory": text.memory, "storage": text.storage}


def _more(amounts: dict[str, int]) -> str:
    return ", ".join(
        f"{name} {SHOWN.get(name, text.plain)(amount)}" for name, amount in amounts.items()
    )


COLUMNS = (
    Column("id", right=True),
    Column("pool"),
    Column("user"),
    Column("more", "amounts", _more),
    Column("state"),
    Column("created", "created_at", text.age, right=True),
    Column("note"),
    Column("reason", usual=False),
    Column("decided_at", show=text.moment, usual=False),
)
FIT_COLUMNS = (Column("size"), Column("count", right=True), Column("tightest"))


@requests.add(
    "list",
    calls=["listQuotaRequests"],
    examples=["ovc requests list", "ovc requests list --mine --json"],
)
@click.option("--mine", is_flag=True, help="Your own, instead of those that wait for you.")
@click.option("--decided", is_flag=True, help="Those that were answered where you decide.")
@most_option
def listing(ovc: Ovc, *, mine: bool, decided: bool, most: int | None) -> None:
    """List the requests that wait for your decision, or your own."""
    whose = "own" if mine else "decided" if decided else "to_decide"
    found = ovc.client.pages("/quota-requests", most=most, whose=whose)
    ovc.out.pages(found, COLUMNS)


@requests.add(
    "ask",
    calls=["askForQuota"],
    examples=["ovc requests ask Web --vcpus 4 --memory 8GiB --note 'Black Friday'"],
)
@reference("pool")
@option("pool", "The pool above whose limit is too low; the pool itself by default.", flag="--at")
@click.option("--vcpus", type=text.COUNT, help="So many more.")
@click.option("--memory", type=text.MEMORY, help="So much more; a bare number is MiB.")
@click.option("--nics", type=text.COUNT, help="So many more.")
@click.option("--machines", type=text.COUNT, help="So many more running machines.")
@click.option("--redundancy", type=text.COUNT, help="So many more protected machines.")
@click.option("--storage", type=text.STORAGE, help="So much more; a bare number is GB.")
@click.option("--note", default="", help="What it is needed for.")
def ask(ovc: Ovc, *, name: str, pool: str | None, note: str, **given: int | str | None) -> None:
    """Ask the owner of a limit for more."""
    amounts = {key: value for key, value in given.items() if value is not None}
    if not amounts or text.NONE in amounts.values():
        raise usage("Say how much more is needed, such as --vcpus 4.")
    pool_id = id_of(ovc.client, "pool", name)
    level_id = id_of(ovc.client, "pool", pool) if pool else pool_id
    body = {"level_id": level_id, "amounts": amounts, "note": note}
    made = ovc.client.call("POST", f"/pools/{pool_id}/quota-requests", body).body
    ovc.out.one(made, COLUMNS)


arrangements.add_to_requests(requests, COLUMNS)


def _full(trend: dict[str, Any]) -> str:
    if not trend["days"]:
        return f"{trend['resource']}: full now."
    return f"{trend['resource']}: full on {text.moment(trend['full_at'])[:10]} at this pace."


def add_forecast(pools: Noun) -> None:
    """Declare the command that tells what still fits in a pool."""

    @pools.add("forecast", calls=["getForecast"], examples=["ovc pools forecast Web"])
    @reference("pool")
    def forecast(ovc: Ovc, name: str) -> None:
        """Show how many machines of each size still fit, and when the pool is full."""
        pool_id = id_of(ovc.client, "pool", name)
        found = ovc.client.get(f"/pools/{pool_id}/forecast")
        ovc.out.raw(found, found["fits"], FIT_COLUMNS)
        for trend in found["trends"] if ovc.talks else ():
            if trend["full_at"]:
                ovc.note(_full(trend))

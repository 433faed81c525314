"""`ovc consoles`: the consoles and terminals that one has open."""

from __future__ import annotations

import click

from ovcadmin.cli.command import Ovc, noun
from ovcadmin.cli.output import Column
from ovcadmin.cli.text import age

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("kind"),
    Column("opened", "opened_at", age, right=True),
    Column("left", "left_at", age, right=True),
    Column("address"),
)

consoles = noun("consoles", "Consoles and terminals that you have open.")


@consoles.add("list", calls=["listConsoles"], examples=["ovc consoles list"])
def listing(ovc: Ovc) -> None:
    """List the consoles and terminals that you have open, here or elsewhere."""
    ovc.out.pages(ovc.client.pages("/consoles"), COLUMNS)


@consoles.add("end", calls=["endConsole"], examples=["ovc consoles end 12"])
@click.argument("ids", nargs=-1, required=True, type=click.IntRange(min=1), metavar="ID...")
def end(ovc: Ovc, *, ids: tuple[int, ...]) -> None:
    """End consoles; whoever looks at them is told."""
    for number in ids:
        ovc.client.call("DELETE", f"/consoles/{number}")
        ovc.note(f"Console {number} is ended.")


@consoles.add(
    "allow",
    calls=["allowWatching"],
    examples=["ovc consoles allow 12", "ovc consoles allow 12 --keyboard"],
)
@click.argument("id", type=click.IntRange(min=1))
@click.option("--keyboard", is_flag=True, help="Let him type, too; you look on meanwhile.")
def allow(ovc: Ovc, *, id: int, keyboard: bool) -> None:
    """Let somebody watch your console; this also takes the keyboard back."""
    grant = "keyboard" if keyboard else "watch"
    ovc.client.call("PUT", f"/consoles/{id}/consent", {"allow": grant})
    ovc.note("He may type now." if keyboard else "He may watch now.")


@consoles.add("refuse", calls=["allowWatching"], examples=["ovc consoles refuse 12"])
@click.argument("id", type=click.IntRange(min=1))
def refuse(ovc: Ovc, *, id: int) -> None:
    """Let somebody watch your console no longer, or not at all."""
    ovc.client.call("PUT", f"/consoles/{id}/consent", {"allow": "nothing"})
    ovc.note("He sees nothing of it now.")


@consoles.add("ask", calls=["askForKeyboard"], examples=["ovc consoles ask 12"])
@click.argument("id", type=click.IntRange(min=1))
def ask(ovc: Ovc, *, id: int) -> None:
    """Ask for the keyboard of a console that you watch."""
    ovc.client.call("POST", f"/consoles/{id}/keyboard")
    ovc.note("Whoever has the console is asked.")

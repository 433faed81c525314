"""Moving pools and machines, with what it means shown first; the states of pools."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli.command import Noun, Ovc, agreed, yes_option
from ovcadmin.cli.failures import Exit, Failure
from ovcadmin.cli.names import find, id_of, option, reference
from ovcadmin.cli.output import Column
from ovcadmin.cli.text import clean

COLUMNS = (Column("what"), Column("which"))
STATES = {
    "freeze": "Freeze a pool: nothing new is made or started in it.",
    "unfreeze": "Let machines be made and started in a pool again.",
    "retire": "Retire a pool: frozen, and left out of lists.",
    "bring-back": "Undo the retirement of a pool.",
}
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what it would mean.")


def add_to_pools(pools: Noun, columns: tuple[Column, ...]) -> None:
    """Declare the commands on the place and the state of a pool."""

    @pools.add(
        "move",
        calls=["movePool"],
        examples=[
            "ovc pools move Web --parent Archive --dry-run",
            "ovc pools move Web --parent 7 --yes",
        ],
    )
    @reference("pool")
    @option("pool", "The pool that it is put under.", flag="--parent", required=True)
    @dry_run_option
    @yes_option
    def move(ovc: Ovc, *, name: str, pool: str, dry_run: bool, yes: bool) -> None:
        """Move a pool with all that is below it."""
        path = f"/pools/{id_of(ovc.client, 'pool', name)}/move"
        to = {"parent_id": id_of(ovc.client, "pool", pool)}
        _move(ovc, name, path, to, dry_run=dry_run, yes=yes)

    for verb in STATES:
        _add_state(pools, columns, verb)


def _add_state(pools: Noun, columns: tuple[Column, ...], verb: str) -> None:
    @pools.add(
        verb, calls=["changePoolState"], help=STATES[verb], examples=[f"ovc pools {verb} Web"]
    )
    @reference("pool")
    def change(ovc: Ovc, name: str) -> None:
        pool_id = id_of(ovc.client, "pool", name)
        body = {"action": verb.replace("-", "_")}
        ovc.out.one(ovc.client.call("POST", f"/pools/{pool_id}/state", body).body, columns)


def add_to_machines(machines: Noun) -> None:
    """Declare the command that puts a machine into another pool."""

    @machines.add(
        "move",
        calls=["moveMachine"],
        examples=["ovc machines move web01 --pool Archive --dry-run"],
    )
    @reference("machine")
    @option("pool", "The pool that it is put into.", required=True)
    @dry_run_option
    @yes_option
    def move(ovc: Ovc, *, name: str, pool: str, dry_run: bool, yes: bool) -> None:
        """Put a machine into another pool; it goes on running where it is."""
        path = f"/machines/{find(ovc.client, 'machine', name)['id']}/move"
        to = {"pool_id": id_of(ovc.client, "pool", pool)}
        _move(ovc, name, path, to, dry_run=dry_run, yes=yes)


def _move(ovc: Ovc, name: str, path: str, to: dict[str, Any], *, dry_run: bool, yes: bool) -> None:
    """Say what the move means and ask, when it means something; then make it."""
    if dry_run or not yes:
        looked = ovc.client.call("POST", path, {**to, "dry_run": True}).body
        rows, refused = _rows(looked["impact"]), looked["impact"]["refused"]
        if dry_run:
            ovc.out.raw(looked, rows, COLUMNS)
            if refused:
                raise Failure(f"{name} could not be moved there now.", Exit.REFUSED)
            return
        ask(ovc, f"Move {name}?", rows, needless=refused)
    moved = ovc.client.call("POST", path, to).body
    ovc.out.raw(moved, _rows(moved["impact"]), COLUMNS)
    ovc.note(f"{clean(name)} is moved.")


def ask(ovc: Ovc, question: str, rows: list[dict[str, str]], *, needless: bool = False) -> None:
    """Say what a change means, and ask whether to make it when that is something."""
    for row in rows:
        ovc.note(f"  {row['what']}: {clean(row['which'])}")
    agreed(question, yes=needless or not rows)


def _rows(impact: dict[str, Any]) -> list[dict[str, str]]:
    """Return what a move means, a line for each fact."""
    return [
        *({"what": "no room", "which": block["text"]} for block in impact["blocks"]),
        *({"what": "busy", "which": title} for title in impact["busy"]),
        *(
            {"what": verb, "which": f"{one['user']['name']}: {', '.join(one[verb])}"}
            for one in impact["people"]
            for verb in ("gains", "loses")
            if one[verb]
        ),
        *({"what": "cannot start", "which": row["name"]} for row in impact["stuck"]),
        *({"what": "no longer serves", "which": name} for name in impact["unserved"]),
    ]

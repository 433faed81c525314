"""`ovc machines edit` and `lease`: what is kept of a machine beside what it consists of."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Noun, Ovc
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import find, reference
from ovcadmin.cli.output import Column

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("owner"),
    Column("locked"),
    Column("keep_running"),
    Column("shutdown_seconds", right=True),
    Column("run_until", show=text.moment),
    Column("run_end"),
    Column("keep_until", show=text.moment),
    Column("description", usual=False),
)
NEVER = "never"


def add_to_machines(machines: Noun) -> None:
    """Declare the commands."""
    _add_edit(machines)
    _add_lease(machines)


def _add_edit(machines: Noun) -> None:
    @machines.add(
        "edit",
        calls=["editMachine"],
        examples=[
            "ovc machines edit web01 --rename shop01 --description 'The shop'",
            "ovc machines edit web01 --owner anna@internal --lock --keep-running",
        ],
    )
    @reference("machine")
    @click.option("--rename", metavar="TEXT", help="Its new name.")
    @click.option("--description", help="What it is for.")
    @click.option("--owner", metavar="NAME@REALM", help="Whose it is from now on.")
    @click.option("--lock/--unlock", "locked", default=None, help="Protect it from deletion.")
    @click.option(
        "--keep-running/--let-stop", default=None, help="Start it again when it stopped by itself."
    )
    @click.option(
        "--shutdown-seconds",
        type=click.IntRange(0, 3600),
        help="How long its guest may take to shut down; 0 for the console's setting.",
    )
    def edit(ovc: Ovc, *, name: str, rename: str | None, **given: Any) -> None:  # fmt: skip
        """Change a machine's name, owner, description or care."""
        body = {key: value for key, value in {"name": rename, **given}.items() if value is not None}
        if not body:
            raise usage("Say what to change, such as --rename.")
        machine = find(ovc.client, "machine", name)
        version = {"If-Match": f'"{machine["version"]}"'}
        changed = ovc.client.call("PATCH", f"/machines/{machine['id']}", body, headers=version)
        ovc.out.one(changed.body, COLUMNS)


def _add_lease(machines: Noun) -> None:
    @machines.add(
        "lease",
        calls=["leaseMachine"],
        examples=[
            "ovc machines lease web01 --run-until 2027-01-31T18:00:00Z --then save",
            "ovc machines lease web01 --keep-until never",
        ],
    )
    @reference("machine")
    @click.option("--run-until", metavar="TIME", help="When it is stopped; `never` for no end.")
    @click.option(
        "--then",
        "run_end",
        type=click.Choice(["shutdown", "power_off", "save"]),
        help="How it is stopped.",
    )
    @click.option("--keep-until", metavar="TIME", help="When it goes into the bin; or `never`.")
    def lease(ovc: Ovc, *, name: str, **given: str | None) -> None:  # fmt: skip
        """Set until when a machine may run and until when it is kept."""
        machine = find(ovc.client, "machine", name)
        body = {key: machine[key] for key in ("run_until", "run_end", "keep_until")}
        body |= {
            key: None if value == NEVER else value
            for key, value in given.items()
            if value is not None
        }
        set_ = ovc.client.call("PUT", f"/machines/{machine['id']}/lease", body).body
        ovc.out.one(set_, COLUMNS)

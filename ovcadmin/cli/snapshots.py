"""`ovc snapshots`: all disks of a machine as they were at one moment."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import bulk, text
from ovcadmin.cli.command import Ovc, agreed, noun, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import id_of, option, reference, references
from ovcadmin.cli.output import Column
from ovcadmin.cli.progress import timeout_option, wait_option

snapshots = noun("snapshots", "Snapshots: all disks of a machine as they were.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("taken_at", show=text.moment),
    Column("epoch", right=True),
    Column("running"),
    Column("size", show=text.storage, right=True),
    Column("storage", show=text.storage, right=True),
    Column("scheduled"),
    Column("user"),
    Column("machine", usual=False),
)
SCHEDULE = (
    Column("times"),
    Column("keep", right=True),
    Column("next_at", show=text.moment),
    Column("pool"),
)
_ids = click.argument("ids", nargs=-1, required=True, type=click.IntRange(min=1), metavar="ID...")


@snapshots.add("list", calls=["listSnapshots"], examples=["ovc snapshots list web01"])
@reference("machine")
def listing(ovc: Ovc, name: str) -> None:
    """List a machine's snapshots, newest first."""
    machine_id = id_of(ovc.client, "machine", name)
    ovc.out.rows(ovc.client.get(f"/machines/{machine_id}/snapshots")["items"], COLUMNS)


@snapshots.add("show", calls=["getSnapshot"], examples=["ovc snapshots show 7 --json"])
@click.argument("id", type=click.IntRange(min=1))
def show(ovc: Ovc, id: int) -> None:
    """Show one snapshot."""
    ovc.out.one(ovc.client.get(f"/snapshots/{id}"), COLUMNS)


@snapshots.add(
    "take",
    calls=["takeSnapshot"],
    examples=["ovc snapshots take web01 db01 --as 'before the update' --wait"],
)
@references("machine")
@click.option("--as", "label", default="manual", show_default=True, help="Its name; may repeat.")
@wait_option
@timeout_option
def take(
    ovc: Ovc, *, names: tuple[str, ...], label: str, wait: bool, timeout: float | None
) -> None:
    """Take a snapshot of all disks of each machine."""

    def ask(machine: dict[str, Any]) -> dict[str, Any]:
        path = f"/machines/{machine['id']}/snapshots"
        return _operation(ovc.client.call("POST", path, {"name": label}).body)

    bulk.run(ovc, "machine", list(names), ask, wait=wait, timeout=timeout)


@snapshots.add(
    "rollback", calls=["rollBackSnapshot"], examples=["ovc snapshots rollback 7 --yes --wait"]
)
@_ids
@yes_option
@wait_option
@timeout_option
def rollback(
    ovc: Ovc, *, ids: tuple[int, ...], yes: bool, wait: bool, timeout: float | None
) -> None:
    """Put the disks of a stopped machine back; what came later is lost."""
    found = _found(ovc, ids)
    later = sorted({number for one in found for number in one["removed_by_rollback"]})
    more = f", and so are the later snapshots {', '.join(map(str, later))}" if later else ""
    agreed(f"Roll back {_listed(found)}? What was written since is lost{more}.", yes=yes)

    def ask(snapshot: dict[str, Any]) -> dict[str, Any]:
        return _operation(ovc.client.call("POST", f"/snapshots/{snapshot['id']}/roll-back").body)

    bulk.run(ovc, "snapshot", found, ask, wait=wait, timeout=timeout)


@snapshots.add(
    "delete", calls=["deleteSnapshot"], examples=["ovc snapshots delete 7 8 --yes --wait"]
)
@_ids
@yes_option
@wait_option
@timeout_option
def delete(ovc: Ovc, *, ids: tuple[int, ...], yes: bool, wait: bool, timeout: float | None) -> None:
    """Delete snapshots."""
    found = _found(ovc, ids)
    agreed(f"Delete {_listed(found)}? This cannot be undone.", yes=yes)

    def ask(snapshot: dict[str, Any]) -> dict[str, Any]:
        return _operation(ovc.client.call("DELETE", f"/snapshots/{snapshot['id']}").body)

    bulk.run(ovc, "snapshot", found, ask, wait=wait, timeout=timeout)


@snapshots.add(
    "schedule",
    calls=[
        "getMachineSnapshotSchedule", "setMachineSnapshotSchedule",
        "removeMachineSnapshotSchedule", "getPoolSnapshotSchedule", "setPoolSnapshotSchedule",
        "removePoolSnapshotSchedule",
    ],
    examples=[
        "ovc snapshots schedule --machine web01 --times daily --keep 7",
        "ovc snapshots schedule --pool Web --times '0 2 * * 1-5' --keep 5",
        "ovc snapshots schedule --machine web01",
        "ovc snapshots schedule --machine web01 --remove",
    ],
)  # fmt: skip
@option("machine", "Of this machine.")
@option("pool", "Of all machines in this pool and below it.")
@click.option("--times", help="hourly, daily, weekly, monthly, or five fields as in cron (UTC).")
@click.option(
    "--keep",
    type=click.IntRange(0, 100),
    default=7,
    show_default=True,
    help="So many stay; 0 makes none.",
)
@click.option("--remove", is_flag=True, help="Take the schedule away.")
def schedule(
    ovc: Ovc, *, machine: str | None, pool: str | None, times: str | None, keep: int, remove: bool
) -> None:  # fmt: skip
    """Show, set or remove when snapshots are made by themselves."""
    if bool(machine) == bool(pool):
        raise usage("Name a machine or a pool: --machine or --pool.")
    word, name = ("machine", machine) if machine else ("pool", pool)
    path = f"/{word}s/{id_of(ovc.client, word, name)}/snapshot-schedule"
    if remove:
        ovc.client.call("DELETE", path)
    elif times:
        ovc.client.call("PUT", path, {"times": times, "keep": keep})
    ovc.out.one(ovc.client.get(path), SCHEDULE)


def _found(ovc: Ovc, ids: tuple[int, ...]) -> list[Any]:
    return [ovc.client.get(f"/snapshots/{number}") for number in ids]


def _listed(found: list[Any]) -> str:
    return ", ".join(f"{one['name']} of {one['machine']['name']}" for one in found)


def _operation(accepted: dict[str, Any]) -> dict[str, Any]:
    return {**accepted["operation"], "machine": accepted["machine"]}

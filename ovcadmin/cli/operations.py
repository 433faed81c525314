"""`ovc operations`: lists, waiting, cancelling."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import bulk, progress, text
from ovcadmin.cli.command import Ovc, noun
from ovcadmin.cli.names import OperationId, id_of, option
from ovcadmin.cli.output import Column

operations = noun("operations", "Operations: what was asked for, how far it is, how it ended.")

COLUMNS = (
    Column("id", right=True),
    Column("title"),
    Column("state"),
    Column("progress", show=lambda value: f"{value} %", right=True),
    Column("pool"),
    Column("user"),
    Column("created", "created_at", text.age, right=True),
    Column("error", "error.text", lambda value: "" if value is None else text.plain(value)),
    Column("code", "error.code", usual=False),
    Column("type", usual=False),
    Column("step", usual=False),
    Column("machine", usual=False),
    Column("host", usual=False),
    Column("door", usual=False),
    Column("attempt", usual=False),
    Column("created_at", show=text.moment, usual=False),
    Column("started_at", show=text.moment, usual=False),
    Column("finished_at", show=text.moment, usual=False),
)
STATES = ("queued", "running", "done", "failed", "cancelled")
_ids = click.argument("ids", nargs=-1, required=True, type=OperationId(), metavar="ID...")


@operations.add(
    "list",
    calls=["listOperations"],
    watch=True,
    examples=["ovc operations list --open --watch", "ovc operations list --machine web01"],
)
@click.option("--state", type=click.Choice(STATES))
@click.option("--open", is_flag=True, help="Only those that have not ended.")
@option("pool", "Only in this pool and below it.")
@option("machine", "Only on this machine.")
@option("host", "Only on this host.")
@click.option(
    "--limit", "most", type=click.IntRange(min=1), default=50, show_default=True, metavar="N",
    help="So many at most, the newest.",
)  # fmt: skip
def listing(ovc: Ovc, *, most: int, open: bool, state: str | None, **places: str | None) -> None:
    """List operations, newest first."""
    query = {f"{word}_id": id_of(ovc.client, word, name) for word, name in places.items()}
    found = ovc.client.pages("/operations", most=most, state=state, open=open or None, **query)
    ovc.out.pages(found, COLUMNS)


@operations.add("show", calls=["getOperation"], watch=True, examples=["ovc operations show 7"])
@click.argument("id", type=OperationId())
def show(ovc: Ovc, id: int) -> None:
    """Show one operation with its steps and log."""
    found = ovc.client.get(f"/operations/{id}")
    ovc.out.one(found, COLUMNS)
    if ovc.talks:
        for step in found["steps"]:
            click.echo(f"  {step['state']:<9} {text.clean(step['text'])}")
        for line in found["log"]:
            click.echo(f"  {text.moment(line['at'])}  {text.clean(line['text'])}")


@operations.add("wait", calls=["getOperation"], examples=["ovc operations wait 7 8 --timeout 60"])
@_ids
@progress.timeout_option
def wait(ovc: Ovc, ids: tuple[int, ...], timeout: float | None) -> None:
    """Wait until all have ended; the exit code is 0 when all are done."""
    found = progress.wait(ovc, ids, timeout).values()
    ovc.out.rows([_short(row) for row in found], COLUMNS)
    progress.judge(ovc, found)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("steps", "log")}


@operations.add("cancel", calls=["cancelOperation"], examples=["ovc operations cancel 7"])
@_ids
def cancel(ovc: Ovc, ids: tuple[int, ...]) -> None:
    """Ask for their end: at once while queued, at the next step when they run."""
    _each(ovc, ids, "cancel")


@operations.add("retry", calls=["retryOperation"], examples=["ovc operations retry 7 --wait"])
@_ids
@progress.wait_option
@progress.timeout_option
def retry(ovc: Ovc, *, ids: tuple[int, ...], wait: bool, timeout: float | None) -> None:
    """Ask again for what failed or was cancelled."""
    _each(ovc, ids, "retry", wait=wait, timeout=timeout)


def _each(ovc: Ovc, ids: tuple[int, ...], verb: str, **waiting: Any) -> None:
    def ask(target: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = ovc.client.call("POST", f"/operations/{target['id']}/{verb}").body
        operation: dict[str, Any] = answer["operation"]
        return operation

    targets: list[Any] = [{"id": key, "name": f"operation {key}"} for key in ids]
    bulk.run(ovc, "operation", targets, ask, **waiting)

"""One command on many things: each gets its own result, and one refusal stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ovcadmin.cli import progress
from ovcadmin.cli.failures import Exit, Failure
from ovcadmin.cli.names import find
from ovcadmin.cli.output import Column
from ovcadmin.cli.text import plain

if TYPE_CHECKING:
    from ovcadmin.cli.command import Ovc

Row = dict[str, Any]
Act = Callable[[Row], Row | None]
"""Does it to one thing; returns the operation that was queued, or None when it is done."""

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("result"),
    Column("operation_id", right=True),
    Column("why", "error.detail", lambda text: "" if text is None else plain(text)),
)


def run(
    ovc: Ovc,
    word: str,
    targets: Sequence[str | Row],
    act: Act,
    *,
    wait: bool = False,
    timeout: float | None = None,
) -> None:
    """Do it to every target, print a result for each, and end with the class of what went wrong.

    A target is a name or an object of the API.  With one target a refusal is the command's own.
    """
    results = [_one(ovc, word, target, act, alone=len(targets) == 1) for target in targets]
    queued = [row["operation_id"] for row in results if row["operation_id"] is not None]
    if wait and queued:
        ended = progress.wait(ovc, queued, timeout)
        if len(targets) == 1:
            progress.judge(ovc, ended.values())
        for row in results:
            if row["operation_id"] in ended:
                _note_end(row, ended[row["operation_id"]])
    codes = {row.pop("exit_code") for row in results} - {Exit.OK}
    ovc.out.rows(results, COLUMNS)
    if codes:
        raise click.exceptions.Exit(codes.pop() if len(codes) == 1 else Exit.FAILED)


def _one(ovc: Ovc, word: str, target: str | Row, act: Act, *, alone: bool) -> Row:
    named = target if isinstance(target, str) else target["name"]
    row: Row = {
        "id": None, "name": named, "result": "done", "operation_id": None, "error": None,
        "exit_code": Exit.OK,
    }  # fmt: skip
    try:
        thing = find(ovc.client, word, target) if isinstance(target, str) else target
        row |= {"id": thing.get("id"), "name": thing["name"]}
        operation = act(thing)
    except Failure as failure:
        if alone:
            raise
        row |= {"result": "refused", "error": failure.summary(), "exit_code": failure.exit_code}
    else:
        if operation is not None:
            row |= {"result": operation["state"], "operation_id": operation["id"]}
            machine = operation.get("machine")
            row["id"] = row["id"] or (machine and machine["id"])
    return row


def _note_end(row: Row, operation: Row) -> None:
    row["result"] = operation["state"]
    error = operation["error"]
    if operation["state"] not in progress.ENDED:
        row["exit_code"] = Exit.STILL_RUNNING
    elif operation["state"] != "done":
        row["exit_code"] = Exit.FAILED
        row["error"] = {**error, "detail": error["text"]} if error else None

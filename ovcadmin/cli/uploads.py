"""Sending a file in pieces, with progress; a broken connection is gone on with."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovcadmin.cli.failures import Exit, Failure
from ovcadmin.cli.text import clean

if TYPE_CHECKING:
    from ovcadmin.cli.command import Ovc

Row = dict[str, Any]
PIECE = 8 * 2**20
"""The most that the console takes at once: each piece costs a transaction."""
PIECE_SECONDS = 120.0
TRIES = 5
PAUSE_SECONDS = 1.0


def send(ovc: Ovc, path: Path, upload: Row) -> Row:
    """Send what the console does not have yet; return the upload as it is then.

    A refused place (another sender was faster) and a lost connection lead to the question how far
    it got; after `TRIES` in a row without a step forward the failure is passed on.
    """
    failed = 0
    with path.open("rb") as file, _display(ovc, upload) as show:
        while upload["received"] < upload["size"]:
            at = upload["received"]
            file.seek(at)
            try:
                upload = _put(ovc, upload, file.read(PIECE))
                failed = 0
            except Failure as failure:
                failed += 1
                lost = failure.exit_code in (Exit.UNREACHABLE, Exit.REFUSED)
                if not lost or failed >= TRIES:
                    raise
                time.sleep(PAUSE_SECONDS * failed)
                upload = _again(ovc, upload)
            show(upload["received"])
    return upload


def _put(ovc: Ovc, upload: Row, piece: bytes) -> Row:
    if not piece:
        raise Failure("The file is shorter than it was when the upload began.", Exit.FAILED)
    answer = ovc.client.call(
        "PUT",
        f"/image-uploads/{upload['id']}/content",
        piece,
        query={"at": upload["received"]},
        seconds=PIECE_SECONDS,
    )
    row: Row = answer.body
    return row


def _again(ovc: Ovc, upload: Row) -> Row:
    """Ask how far it got, or take the last word when nobody answers."""
    try:
        found: Row = ovc.client.get(f"/image-uploads/{upload['id']}")
    except Failure as failure:
        if failure.exit_code != Exit.UNREACHABLE:
            raise
        return upload
    return found


@contextmanager
def _display(ovc: Ovc, upload: Row) -> Iterator[Callable[[int], None]]:
    if not (ovc.talks and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to load, and only for terminals
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
        TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as progress:
        task = progress.add_task(clean(upload["name"]), total=upload["size"])
        progress.update(task, completed=upload["received"])
        yield lambda received: progress.update(task, completed=received)

"""Waiting for operations: bars on a terminal, lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from ovcadmin.cli.failures import Exit, Failure
from ovcadmin.cli.text import clean

if TYPE_CHECKING:
    from ovcadmin.cli.command import Ovc

Row = dict[str, Any]
LOOK_SECONDS = 1.0
"""The API answers as soon as an operation has ended, at the latest after this."""
PAUSE_SECONDS = 0.2
"""Least time between two looks, for when the API answers at once because many wait."""
ENDED = ("done", "failed", "cancelled")

wait_option = click.option(
    "--wait/--no-wait", default=False, help="Wait for the end and show progress."
)
timeout_option = click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS",
    help="Wait no longer (for ever); the operation goes on, the exit code is 7.",
)  # fmt: skip


class Lines:
    """Tells each change on a line of standard error."""

    def __init__(self, ovc: Ovc) -> None:
        self._ovc = ovc
        self._said: dict[int, str] = {}

    def close(self) -> None:
        """Nothing stays open."""

    def show(self, operation: Row) -> None:
        text = f"{operation['title']}: {operation['state']}"
        if operation["state"] == "running" and operation["step"]:
            text += f", {operation['progress']} %, {operation['step']}"
        if self._said.get(operation["id"]) != text:
            self._said[operation["id"]] = text
            self._ovc.note(clean(text))


class Bars:
    """A bar for each operation, on standard error."""

    def __init__(self) -> None:
        # Here, because loading rich takes longer than all the rest.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[word]}", markup=False),
            console=Console(stderr=True, highlight=False),
        )
        self._tasks: dict[int, Any] = {}
        self._progress.start()

    def close(self) -> None:
        self._progress.stop()

    def show(self, operation: Row) -> None:
        key = operation["id"]
        if key not in self._tasks:
            title = clean(operation["title"])
            self._tasks[key] = self._progress.add_task(title, total=100, word="")
        running = operation["state"] == "running"
        word = operation["step"] if running and operation["step"] else operation["state"]
        done = 100 if operation["state"] == "done" else operation["progress"]
        self._progress.update(self._tasks[key], completed=done, word=clean(word))


def wait(ovc: Ovc, operations: Iterable[int], seconds: float | None = None) -> dict[int, Row]:
    """Wait until all have ended; return each as it is then, or as it was when time was over."""
    open_ids = list(dict.fromkeys(operations))
    found: dict[int, Row] = {}
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        with closing(_display(ovc)) as display:
            while open_ids:
                began = time.monotonic()
                for place, key in enumerate(open_ids):
                    # Only the first is waited for; the others are looked at meanwhile.
                    found[key] = _look(ovc, key, None if place else _patience(deadline))
                    display.show(found[key])
                open_ids = [key for key in open_ids if found[key]["state"] not in ENDED]
                if deadline is not None and time.monotonic() >= deadline:
                    break
                if open_ids:
                    time.sleep(max(PAUSE_SECONDS - (time.monotonic() - began), 0))
    except KeyboardInterrupt:
        left = " ".join(map(str, open_ids))
        ovc.note(f"They go on without you; to wait again: ovc operations wait {left}")
        raise
    return found


def _display(ovc: Ovc) -> Bars | Lines:
    return Bars() if ovc.talks and sys.stderr.isatty() else Lines(ovc)


def _patience(deadline: float | None) -> float:
    if deadline is None:
        return LOOK_SECONDS
    return round(min(LOOK_SECONDS, max(deadline - time.monotonic(), 0)), 3)


def _look(ovc: Ovc, key: int, patience: float | None) -> Row:
    found: Row = ovc.client.get(f"/operations/{key}", wait=patience)
    return found


def judge(ovc: Ovc, operations: Iterable[Row]) -> None:
    """Raise the failure that operations ended with; nothing when all are done."""
    rows = list(operations)
    bad = [row for row in rows if row["state"] in ("failed", "cancelled")]
    late = [row for row in rows if row["state"] not in ENDED]
    if bad:
        error = bad[0].get("error") or {}
        text = error.get("text") or f"{bad[0]['title']} was cancelled."
        if len(rows) > 1:
            text = f"{len(bad)} of {len(rows)} did not succeed; first {bad[0]['title']}: {text}"
        link = f"{ovc.client.url}{error['type']}" if error else ""
        raise Failure(text, Exit.FAILED, problem=error, link=link)
    if late:
        ids = " ".join(str(row["id"]) for row in late)
        raise Failure(
            f"{len(late)} of {len(rows)} go on; to wait again: ovc operations wait {ids}",
            Exit.STILL_RUNNING,
        )

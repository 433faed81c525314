"""`ovc events`: what changes, as it changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from ovcadmin.cli.command import Ovc, command

PATH = "/live/events"


@command("events", calls=[], examples=["ovc events --json", "ovc events --after 812 --count 1"])
@click.option("--after", type=click.IntRange(min=0), metavar="N", help="What was missed since N.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many.")
def events(ovc: Ovc, after: int | None, count: int | None) -> None:
    """Print what changes, as it changes: kind and id, a line each.

    How it changed is asked for by the other commands.  Ctrl-C ends it.
    """
    told = 0
    for event in _events(ovc, after):
        if event["event"] != "change":
            continue
        row = {**event["data"], "sequence": event["id"]}
        if ovc.out.format == "json":
            click.echo(json.dumps(row))
        else:
            click.echo(f"{row['kind']} {row['id']}")
        told += 1
        if told == count:
            return


def _events(ovc: Ovc, after: int | None) -> Iterator[dict[str, Any]]:
    """Yield the events of the stream, whatever their kind."""
    event: dict[str, Any] = {"event": "", "data": {}, "id": None}
    for line in ovc.client.lines(PATH, after=after):
        name, _, value = line.partition(": ")
        if not line and event["event"]:
            yield event
            event = {"event": "", "data": {}, "id": None}
        elif name == "event":
            event["event"] = value
        elif name == "data":
            event["data"] = json.loads(value)
        elif name == "id" and value.isdigit():
            event["id"] = int(value)

"""`ovc recordings`: what consoles showed, and which pools have them recorded."""

from __future__ import annotations

import base64
import sys

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Ovc, agreed, noun, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import id_of, option, reference
from ovcadmin.cli.output import Column

recordings = noun("recordings", "Recordings of consoles, and which pools want them.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("kind"),
    Column("user"),
    Column("began", "began_at", text.age, right=True),
    Column("seconds", right=True),
    Column("size", show=text.storage, right=True),
    Column("shared"),
    Column("expires_at", show=text.moment, usual=False),
    Column("keys", usual=False),
    Column("cut", usual=False),
)
POLICY = (
    Column("records"),
    Column("keys"),
    Column("keep_days", right=True),
    Column("pool"),
)
_id = click.argument("id", type=click.IntRange(min=1))


@recordings.add(
    "list",
    calls=["listRecordings"],
    examples=["ovc recordings list", "ovc recordings list --machine web01"],
)
@option("machine", "Only of this machine.")
@option("pool", "Only of this pool and those below it.")
def listing(ovc: Ovc, *, machine: str | None, pool: str | None) -> None:
    """List the recordings that you may look at, newest first."""
    query = {}
    if machine:
        query["machine_id"] = id_of(ovc.client, "machine", machine)
    if pool:
        query["pool_id"] = id_of(ovc.client, "pool", pool)
    ovc.out.pages(ovc.client.pages("/recordings", **query), COLUMNS)


@recordings.add("show", calls=["getRecording"], examples=["ovc recordings show 7 --json"])
@_id
def show(ovc: Ovc, id: int) -> None:
    """Show one recording."""
    ovc.out.one(ovc.client.get(f"/recordings/{id}"), COLUMNS)


@recordings.add(
    "save", calls=["getRecordingContent"], examples=["ovc recordings save 7 > web01.cast"]
)
@_id
def save(ovc: Ovc, id: int) -> None:
    """Write a recording as a file: text as asciicast v2, a screen as FBS."""
    query: dict[str, str] = {}
    while True:
        piece = ovc.client.get(f"/recordings/{id}/content", **query)
        sys.stdout.buffer.write(base64.b64decode(piece["data"]))
        if piece["next"] is None:
            break
        query = {"cursor": piece["next"]}
    sys.stdout.buffer.flush()


@recordings.add(
    "mask", calls=["maskRecording"], examples=["ovc recordings mask 7 --from 12.5 --to 14 --yes"]
)
@_id
@click.option("--from", "begin", type=click.FloatRange(min=0), required=True, metavar="SECONDS")
@click.option("--to", "end", type=click.FloatRange(min=0), required=True, metavar="SECONDS")
@yes_option
def mask(ovc: Ovc, *, id: int, begin: float, end: float, yes: bool) -> None:
    """Take out for good what was shown in a range of seconds."""
    agreed(f"Take seconds {begin} to {end} out of recording {id}? They are lost.", yes=yes)
    ovc.out.one(
        ovc.client.call("POST", f"/recordings/{id}/mask", {"begin": begin, "end": end}).body,
        COLUMNS,
    )


@recordings.add(
    "share",
    calls=["shareRecording"],
    examples=["ovc recordings share 7", "ovc recordings share 7 --no-longer"],
)
@_id
@click.option("--no-longer", is_flag=True, help="Only those who may anyhow.")
def share(ovc: Ovc, *, id: int, no_longer: bool) -> None:
    """Let all who see its pool look at a recording."""
    body = {"shared": not no_longer}
    ovc.out.one(ovc.client.call("PUT", f"/recordings/{id}/share", body).body, COLUMNS)


@recordings.add("delete", calls=["deleteRecording"], examples=["ovc recordings delete 7 --yes"])
@click.argument("ids", nargs=-1, required=True, type=click.IntRange(min=1), metavar="ID...")
@yes_option
def delete(ovc: Ovc, *, ids: tuple[int, ...], yes: bool) -> None:
    """Delete recordings."""
    agreed(f"Delete recordings {', '.join(map(str, ids))}? They are lost.", yes=yes)
    for number in ids:
        ovc.client.call("DELETE", f"/recordings/{number}")
        ovc.note(f"Recording {number} is deleted.")


@recordings.add(
    "policy",
    calls=["getConsolePolicy", "setConsolePolicy", "removeConsolePolicy"],
    examples=[
        "ovc recordings policy Web",
        "ovc recordings policy Web --on --keep-days 30",
        "ovc recordings policy Web --off",
        "ovc recordings policy Web --remove",
    ],
)
@reference("pool")
@click.option("--on/--off", "records", default=None, help="Whether consoles are recorded.")
@click.option("--keys", is_flag=True, help="Keep what is typed, too.")
@click.option(
    "--keep-days", type=click.IntRange(1, 3650), default=30, show_default=True,
    help="So long a recording is kept.",
)  # fmt: skip
@click.option("--remove", is_flag=True, help="Take the pool's own policy away.")
def policy(
    ovc: Ovc, *, name: str, records: bool | None, keys: bool, keep_days: int, remove: bool
) -> None:
    """Show, set or remove whether the consoles of a pool and below are recorded."""
    if remove and records is not None:
        raise usage("Set a policy or remove it, not both.")
    path = f"/pools/{id_of(ovc.client, 'pool', name)}/console-policy"
    if remove:
        ovc.client.call("DELETE", path)
    elif records is not None:
        ovc.client.call("PUT", path, {"records": records, "keys": keys, "keep_days": keep_days})
    ovc.out.one(ovc.client.get(path), POLICY)

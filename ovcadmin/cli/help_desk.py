"""`ovc desk`, `ovc notes`, `ovc cases`: what the help desk does while somebody is on the line."""

from __future__ import annotations

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Ovc, agreed, noun, yes_option
from ovcadmin.cli.names import id_of
from ovcadmin.cli.output import Column

ABOUT = click.Choice(["machine", "pool", "host"])
NOTED = click.Choice(["machine", "pool", "host", "storage_pool", "image", "user"])

desk = noun("desk", "Help desk: find what a call is about.")
notes = noun("notes", "Notes on machines, pools, hosts, storage, images and people.")
cases = noun("cases", "Cases that the help desk handed over.")

FOUND = (Column("kind"), Column("id", right=True), Column("name"), Column("text"))
NOTES = (
    Column("id", right=True),
    Column("text"),
    Column("for_users"),
    Column("author"),
    Column("at", show=text.age, right=True),
)
CASES = (
    Column("id", right=True),
    Column("kind"),
    Column("name"),
    Column("text"),
    Column("owner"),
    Column("opened_by", usual=False),
    Column("created", "created_at", text.age, right=True),
    Column("closed_at", show=text.moment),
    Column("answer", usual=False),
    Column("path", usual=False),
)


@desk.add(
    "find", calls=["findForCaller"], examples=["ovc desk find anna", "ovc desk find 52:54:00"]
)
@click.argument("what")
def find(ovc: Ovc, what: str) -> None:
    """Find a person, machine, MAC or IP address, pool, host, operation, request or code."""
    ovc.out.rows(ovc.client.get("/help-desk", q=what)["items"], FOUND)


@notes.add("list", calls=["listNotes"], examples=["ovc notes list machine web01"])
@click.argument("kind", type=NOTED)
@click.argument("name")
def listing(ovc: Ovc, kind: str, name: str) -> None:
    """List the notes on a thing that you may read."""
    number = id_of(ovc.client, kind.replace("_", " "), name)
    ovc.out.rows(ovc.client.get("/notes", kind=kind, object=number)["items"], NOTES)


@notes.add(
    "write", calls=["writeNote"], examples=["ovc notes write machine web01 'Moves on Friday'"]
)
@click.argument("kind", type=NOTED)
@click.argument("name")
@click.argument("words")
@click.option("--for-users", is_flag=True, help="All who see the thing may read it.")
def write(ovc: Ovc, kind: str, name: str, words: str, *, for_users: bool) -> None:
    """Write a note on a thing."""
    number = id_of(ovc.client, kind.replace("_", " "), name)
    body = {"kind": kind, "object": number, "text": words, "for_users": for_users}
    ovc.out.one(ovc.client.call("POST", "/notes", body).body, NOTES)


@notes.add("remove", calls=["removeNote"], examples=["ovc notes remove 7 --yes"])
@click.argument("number", type=int)
@yes_option
def remove(ovc: Ovc, number: int, *, yes: bool) -> None:
    """Take a note away."""
    agreed(f"Take note {number} away?", yes=yes)
    ovc.client.call("DELETE", f"/notes/{number}")


@cases.add("list", calls=["listCases"], examples=["ovc cases list"])
def list_cases(ovc: Ovc) -> None:
    """List the cases that were handed to you, or that you handed over."""
    ovc.out.rows(ovc.client.get("/cases")["items"], CASES)


@cases.add("show", calls=["getCase"], examples=["ovc cases show 7"])
@click.argument("number", type=int)
def show(ovc: Ovc, number: int) -> None:
    """Show one case."""
    ovc.out.one(ovc.client.get(f"/cases/{number}"), CASES)


@cases.add(
    "hand-over",
    calls=["handOver"],
    examples=["ovc cases hand-over machine web01 --to boss@internal 'It does not start'"],
)
@click.argument("kind", type=ABOUT)
@click.argument("name")
@click.argument("words")
@click.option("--to", required=True, help="The machine's owner, or who may modify the pool.")
@click.option("--operation", type=int, help="The operation that went wrong.")
def hand_over(
    ovc: Ovc, kind: str, name: str, words: str, *, to: str, operation: int | None
) -> None:
    """Hand a case over to an owner."""
    body = {
        "kind": kind,
        "object": id_of(ovc.client, kind, name),
        "owner_id": id_of(ovc.client, "user", to),
        "text": words,
    }
    if operation is not None:
        body["operation_id"] = operation
    ovc.out.one(ovc.client.call("POST", "/cases", body).body, CASES)


@cases.add("close", calls=["closeCase"], examples=["ovc cases close 7 'The host was full.'"])
@click.argument("number", type=int)
@click.argument("answer")
def close(ovc: Ovc, number: int, answer: str) -> None:
    """Close a case with what became of it."""
    ovc.out.one(ovc.client.call("POST", f"/cases/{number}/close", {"answer": answer}).body, CASES)

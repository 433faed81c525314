"""`ovc sets` and `ovc tags`: finding things again across the tree."""

from __future__ import annotations

import click

from ovcadmin.cli.command import Ovc, agreed, most_option, noun, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import id_of, option, reference
from ovcadmin.cli.output import Column
from ovcadmin.cli.text import clean

sets = noun("sets", "Sets (logical groups): named sets of things across the tree.")
tags = noun("tags", "Tags: words by which things are found again.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("pool"),
    Column("description", usual=False),
    Column("members", usual=False),
)
THING_COLUMNS = (Column("kind"), Column("id", right=True), Column("name"), Column("pool"))
TAG_COLUMNS = (Column("tags"),)
KINDS = {"machine": "machines", "pool": "pools", "host": "hosts", "storage_pool": "storage-pools"}
_kind = click.argument("kind", type=click.Choice(list(KINDS)))


def _path(ovc: Ovc, name: str) -> str:
    return f"/logical-groups/{id_of(ovc.client, 'set', name)}"


@sets.add("list", calls=["listLogicalGroups"], examples=["ovc sets list"])
@most_option
def listing(ovc: Ovc, most: int | None) -> None:
    """List the named sets."""
    ovc.out.pages(ovc.client.pages("/logical-groups", most=most), COLUMNS)


@sets.add("show", calls=["getLogicalGroup"], examples=["ovc sets show Shop"])
@reference("set")
def show(ovc: Ovc, name: str) -> None:
    """Show a set with its members."""
    found = ovc.client.get(_path(ovc, name))
    if ovc.out.format == "table":
        ovc.out.rows(found["members"], THING_COLUMNS)
    else:
        ovc.out.one(found, COLUMNS)


@sets.add("create", calls=["createLogicalGroup"], examples=["ovc sets create Shop --pool Web"])
@click.argument("name")
@option("pool", "The pool that it belongs to.", required=True)
@click.option("--description", default="")
def create(ovc: Ovc, name: str, pool: str, description: str) -> None:
    """Make a named set."""
    path = f"/pools/{id_of(ovc.client, 'pool', pool)}/logical-groups"
    body = {"name": name, "description": description}
    ovc.out.one(ovc.client.call("POST", path, body).body, COLUMNS)


@sets.add(
    "edit", calls=["editLogicalGroup", "getLogicalGroup"], examples=["ovc sets edit Shop --name X"]
)
@reference("set")
@click.option("--name", "new_name", metavar="NAME", help="Its new name.")
@click.option("--description", metavar="TEXT")
@click.option(
    "--placement",
    type=click.Choice(("together", "apart", "anywhere")),
    help="Where its machines live.",
)
def edit(
    ovc: Ovc, name: str, new_name: str | None, description: str | None, placement: str | None
) -> None:
    """Change name or description of a set, or where its machines may live."""
    given = {"name": new_name, "description": description, "placement": placement}
    if placement == "anywhere":
        given["placement"] = ""
    body = {key: value for key, value in given.items() if value is not None}
    if not body:
        raise usage("Say what is to be changed: --name, --description or --placement.")
    ovc.out.one(ovc.client.change(_path(ovc, name), body), COLUMNS)


@sets.add("delete", calls=["deleteLogicalGroup"], examples=["ovc sets delete Shop --yes"])
@reference("set")
@yes_option
def delete(ovc: Ovc, *, name: str, yes: bool) -> None:
    """Forget a set; its members stay."""
    path = _path(ovc, name)
    agreed(f"Forget the set {name}?", yes=yes)
    ovc.client.call("DELETE", path)
    ovc.note(f"{clean(name)} is forgotten.")


@sets.add("add", calls=["addLogicalGroupMember"], examples=["ovc sets add Shop machine web01"])
@reference("set")
@_kind
@click.argument("thing")
def add(ovc: Ovc, name: str, kind: str, thing: str) -> None:
    """Put something into a set, by its name or pool/name."""
    path = f"{_path(ovc, name)}/members"
    ovc.out.one(ovc.client.call("POST", path, {"kind": kind, "name": thing}).body, THING_COLUMNS)


@sets.add(
    "remove",
    calls=["removeLogicalGroupMember", "getLogicalGroup"],
    examples=["ovc sets remove Shop machine web01"],
)
@reference("set")
@_kind
@click.argument("thing")
def remove(ovc: Ovc, name: str, kind: str, thing: str) -> None:
    """Take something out of a set."""
    path = _path(ovc, name)
    members = [one for one in ovc.client.get(path)["members"] if one["kind"] == kind]
    found = [one["id"] for one in members if thing in (one["name"], str(one["id"]))]
    if len(found) != 1:
        raise usage(f"{clean(name)} holds {len(found)} things of that kind and name.")
    ovc.client.call("DELETE", f"{path}/members", query={"kind": kind, "object_id": found[0]})


@tags.add("find", calls=["listTagged"], examples=["ovc tags find production"])
@click.argument("word")
def find(ovc: Ovc, word: str) -> None:
    """List everything with a tag."""
    ovc.out.rows(ovc.client.get("/tags", word=word)["items"], THING_COLUMNS)


_GET = ["getMachineTags", "getPoolTags", "getHostTags", "getStoragePoolTags"]
_SET = ["setMachineTags", "setPoolTags", "setHostTags", "setStoragePoolTags"]


def _tags_of(ovc: Ovc, kind: str, thing: str) -> str:
    return f"/{KINDS[kind]}/{id_of(ovc.client, kind.replace('_', ' '), thing)}/tags"


@tags.add("show", calls=_GET, examples=["ovc tags show machine web01"])
@_kind
@click.argument("thing")
def show_tags(ovc: Ovc, kind: str, thing: str) -> None:
    """Show the tags of a thing."""
    ovc.out.one(ovc.client.get(_tags_of(ovc, kind, thing)), TAG_COLUMNS)


@tags.add("set", calls=_SET, examples=["ovc tags set machine web01 production shop"])
@_kind
@click.argument("thing")
@click.argument("words", nargs=-1)
def set_tags(ovc: Ovc, kind: str, thing: str, words: tuple[str, ...]) -> None:
    """Set the tags of a thing; none takes them away."""
    path = _tags_of(ovc, kind, thing)
    ovc.out.one(ovc.client.call("PUT", path, {"tags": list(words)}).body, TAG_COLUMNS)

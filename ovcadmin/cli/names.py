"""Things by the names that people use: id, name, uuid, or a path such as `Web/web01`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ovcadmin.cli.failures import Exit, Failure, usage
from ovcadmin.cli.text import clean

if TYPE_CHECKING:
    from ovcadmin.cli.client import Client

Row = dict[str, Any]
COMPLETION_SECONDS = 2.0
MOST_OFFERED = 100
ACCOUNTS = ("user", "group")
"""Kinds whose names have the realm behind them."""


@dataclass(frozen=True)
class Kind:
    """`searched`: the list takes `q`, so that not all of it needs to be read."""

    word: str
    path: str
    searched: bool = False
    page: str = ""
    """Where its page stands when that is not the path."""


KINDS = {
    kind.word: kind
    for kind in (
        Kind("machine", "/machines", searched=True),
        Kind("pool", "/pools", searched=True),
        Kind("image", "/images"),
        Kind("host", "/hosts"),
        Kind("storage pool", "/storage-pools", page="/storage"),
        Kind("cluster", "/storage-clusters"),
        Kind("user", "/users", searched=True),
        Kind("role", "/roles"),
        Kind("group", "/groups", searched=True),
        Kind("realm", "/realms"),
        Kind("set", "/logical-groups"),
        Kind("size", "/sizes"),
    )
}


def find(client: Client, word: str, reference: str) -> Row:
    """Return the object that is meant.  Digits are an id.

    Raises `Failure` when there is none that one may see, or more than one.
    """
    kind = KINDS[word]
    if reference.isascii() and reference.isdigit() and word not in ("role", "group", "realm"):
        found: Row = client.get(f"{kind.path}/{reference}")
        return found
    fits = [row for row in _candidates(client, kind, reference) if _fits(row, reference)]
    where, _, name = reference.rpartition("/")
    if not fits and where and word in ("machine", "pool"):
        fits = _below(client, kind, where, name)
    if not fits:
        text = f"There is no {word} “{reference}”, or none that you may see."
        if word == "machine" and "*" in reference:
            text += f" Patterns go into --selector name={reference}."
        raise Failure(text, Exit.NOT_FOUND)
    if len(fits) > 1:
        ids = ", ".join(str(row["id"]) for row in fits[:10])
        raise usage(f"{len(fits)} {word}s are called “{reference}”: use an id ({ids}).")
    client.page = f"{kind.page or kind.path}/{fits[0]['id']}"
    return fits[0]


def id_of(client: Client, word: str, reference: str | None) -> int | None:
    """Return the id of what is meant; None for no reference."""
    if reference is None:
        return None
    if reference.isascii() and reference.isdigit():
        return int(reference)
    return int(find(client, word, reference)["id"])


def _candidates(client: Client, kind: Kind, text: str) -> Iterator[Row]:
    if kind.word in ACCOUNTS:
        text = text.partition("@")[0]
    if kind.searched:
        return client.items(kind.path, q=text[:200])
    return client.items(kind.path)


def _fits(row: Row, reference: str) -> bool:
    name = row["name"].casefold()
    # Accounts are called name@realm; the realm may be left out where one name fits.
    account = "realm" in row or "vanished" in row
    if reference.casefold() in (name, name.partition("@")[0] if account else name):
        return True
    return reference in (str(row["id"]), row.get("uuid"))


def _below(client: Client, kind: Kind, where: str, name: str) -> list[Row]:
    """Return what is called `name` directly in the pool `where`."""
    pool_id = find(client, "pool", where)["id"]
    rows = _candidates(client, kind, name)
    parents = (
        (row, row["parent_id"] if kind.word == "pool" else row["pool"]["id"]) for row in rows
    )
    return [row for row, parent in parents if parent == pool_id and _fits(row, name)]


class Reference(click.ParamType[str]):
    """A name on the command line; the shell completes it from what the console has now."""

    def __init__(self, word: str) -> None:
        self.name = word
        self._kind = KINDS[word]

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        rows = _offered(ctx, lambda client: _candidates(client, self._kind, incomplete))
        begun = incomplete.casefold()
        return [
            CompletionItem(clean(row["name"]), help=_hint(row))
            for row in rows
            if row["name"].casefold().startswith(begun)
        ]


class OperationId(click.IntRange):
    """The id of an operation; the shell completes it from those that have not ended."""

    def __init__(self) -> None:
        super().__init__(min=1)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        rows = _offered(ctx, lambda client: client.items("/operations", open=True))
        return [
            CompletionItem(str(row["id"]), help=clean(f"{row['title']}, {row['state']}"))
            for row in rows
            if str(row["id"]).startswith(incomplete)
        ]


def _offered(ctx: click.Context, ask: Callable[[Client], Iterator[Row]]) -> list[Row]:
    """Ask for what a shell completes: soon, not too much, and without a word when it fails."""
    from ovcadmin.cli import profiles  # noqa: PLC0415
    from ovcadmin.cli.client import Client  # noqa: PLC0415

    try:
        found = profiles.load(ctx.params.get("profile"))
        client = Client(found.url, found.token, seconds=COMPLETION_SECONDS, ca=found.ca or None)
        return list(islice(ask(client), MOST_OFFERED))
    except Failure:
        return []


def _hint(row: Row) -> str:
    """Return what zsh and fish show beside a name."""
    if "shown" in row:
        return clean(f"{row['shown']}, {row['pool']['name']}")
    return clean(row.get("state") or row.get("description") or "")


def references(word: str, *, required: bool = True) -> Any:
    """Declare the argument NAME... of a command on several things; `-` reads them from stdin."""
    return click.argument(
        "names", nargs=-1, required=required, type=Reference(word), metavar="NAME..."
    )


def reference(word: str) -> Any:
    return click.argument("name", type=Reference(word), metavar="NAME")


def option(word: str, help: str, *, required: bool = False, flag: str = "") -> Any:
    """Declare an option that names something, such as `--pool NAME`."""
    name = word.replace(" ", "_")
    return click.option(
        flag or f"--{word.replace(' ', '-')}", name, type=Reference(word), metavar="NAME",
        required=required, help=help,
    )  # fmt: skip


def from_stdin(names: tuple[str, ...]) -> tuple[str, ...]:
    """Replace `-` by the lines of standard input."""
    if names != ("-",):
        return names
    return tuple(line.strip() for line in sys.stdin if line.strip())

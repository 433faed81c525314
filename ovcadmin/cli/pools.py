"""`ovc pools`: the tree and its quota."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import (
    arrangements,
    bulk,
    leases,
    lowerings,
    moves,
    placement,
    rates,
    requests,
    text,
)
from ovcadmin.cli.command import Noun, Ovc, agreed, most_option, noun, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import id_of, option, reference, references
from ovcadmin.cli.output import Column

pools = noun("pools", "Pools: the tree of what is handed out, and its quota.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("parent_id", right=True),
    Column("machines", right=True),
    Column("frozen"),
    Column("retired", usual=False),
    Column("description"),
    Column("created_at", show=text.moment, usual=False),
    Column("version", usual=False),
    Column("privileges", usual=False),
)
RESOURCES = ("vcpus", "memory", "nics", "machines", "redundancy", "storage")


@pools.add(
    "list",
    calls=["listPools"],
    watch=True,
    examples=["ovc pools list", "ovc pools list --parent Web -o csv"],
)
@click.option("--q", metavar="TEXT", help="Part of the name.")
@click.option("--tag", metavar="WORD", help="Only what has this tag.")
@option("pool", "Only children of this pool.", flag="--parent")
@most_option
def listing(ovc: Ovc, q: str | None, tag: str | None, pool: str | None, most: int | None) -> None:
    """List the pools that you may see."""
    parent_id = id_of(ovc.client, "pool", pool)
    wanted = {"q": q, "tag": tag, "parent_id": parent_id}
    ovc.out.pages(ovc.client.pages("/pools", most=most, **wanted), COLUMNS)


@pools.add("show", calls=["getPool"], examples=["ovc pools show Web", "ovc pools show Web/Shop"])
@reference("pool")
def show(ovc: Ovc, name: str) -> None:
    """Show one pool, and what you may do there."""
    pool_id = id_of(ovc.client, "pool", name)
    ovc.out.one(ovc.client.get(f"/pools/{pool_id}"), COLUMNS)


@pools.add(
    "create",
    calls=["createPool"],
    examples=["ovc pools create Web --parent Cloud --description 'Shops and blogs'"],
)
@click.argument("name")
@option("pool", "The pool above it.", flag="--parent", required=True)
@click.option("--description", default="", help="What it is for.")
def create(ovc: Ovc, name: str, pool: str, description: str) -> None:
    """Make a pool under another one."""
    parent_id = id_of(ovc.client, "pool", pool)
    answer = ovc.client.call(
        "POST",
        f"/pools/{parent_id}/pools",
        {"name": name, "description": description},
    )
    ovc.out.one(answer.body, COLUMNS)


@pools.add("edit", calls=["editPool", "getPool"], examples=["ovc pools edit Web --name Shop"])
@reference("pool")
@click.option("--name", "new_name", metavar="TEXT", help="Its new name.")
@click.option("--description", help="What it is for.")
@click.option(
    "--version", type=int, help="Only when it is still this version (shown by `pools show`)."
)
def edit(ovc: Ovc, name: str, version: int | None, new_name: str | None, **more: Any) -> None:
    """Change name or description of a pool."""
    body = {key: value for key, value in {"name": new_name, **more}.items() if value is not None}
    if not body:
        raise usage("Say what to change: --name or --description.")
    pool_id = id_of(ovc.client, "pool", name)
    seen = f'"{version}"' if version is not None else _etag(ovc, pool_id)
    answer = ovc.client.call("PATCH", f"/pools/{pool_id}", body, headers={"If-Match": seen})
    ovc.out.one(answer.body, COLUMNS)


def _etag(ovc: Ovc, pool_id: int | None) -> str:
    return str(ovc.client.call("GET", f"/pools/{pool_id}").headers["ETag"])


@pools.add("delete", calls=["deletePool"], examples=["ovc pools delete Web --yes"])
@references("pool")
@yes_option
def delete(ovc: Ovc, *, names: tuple[str, ...], yes: bool) -> None:
    """Delete empty pools."""
    agreed(f"Delete {', '.join(names)}?", yes=yes)

    def remove(pool: dict[str, Any]) -> None:
        ovc.client.call("DELETE", f"/pools/{pool['id']}")

    bulk.run(ovc, "pool", names, remove)


moves.add_to_pools(pools, COLUMNS)
arrangements.add_to_pools(pools)
rates.add_to_pools(pools)
leases.add_to_pools(pools)
placement.add_to_pools(pools)
requests.add_forecast(pools)

quota = Noun("quota", help="Limits, use and what is left of a pool.")
pools.add_command(quota)

QUOTA_COLUMNS = (
    Column("pool"),
    Column("resource"),
    Column("limit", "shown_limit", right=True),
    Column("used", "shown_used", right=True),
    Column("pending", "shown_pending", right=True),
    Column("left", "shown_left", right=True),
)


@quota.add(
    "show",
    calls=["getQuota"],
    watch=True,
    examples=["ovc pools quota show Web", "ovc pools quota show Web --json"],
)
@reference("pool")
def quota_show(ovc: Ovc, name: str) -> None:
    """Show the quota of a pool and of every pool above it."""
    pool_id = id_of(ovc.client, "pool", name)
    _print_quota(ovc, ovc.client.get(f"/pools/{pool_id}/quota"))


@quota.add(
    "set",
    calls=["setQuota", "getQuota", "previewQuota"],
    examples=[
        "ovc pools quota set Web --vcpus 8 --memory 16GiB --storage 500GB",
        "ovc pools quota set Web --vcpus none",
        "ovc pools quota set Web --machines 2 --dry-run",
    ],
)
@reference("pool")
@click.option("--vcpus", type=text.COUNT, help="Of running machines.")
@click.option("--memory", type=text.MEMORY, help="Of running machines; a bare number is MiB.")
@click.option("--nics", type=text.COUNT, help="Network cards of running machines.")
@click.option("--machines", type=text.COUNT, help="Running machines.")
@click.option("--redundancy", type=text.COUNT, help="Running machines protected against failure.")
@click.option("--storage", type=text.STORAGE, help="Of all machines; a bare number is GB.")
@moves.dry_run_option
@yes_option
def quota_set(ovc: Ovc, name: str, *, dry_run: bool, yes: bool, **given: int | str | None) -> None:
    """Set limits; `none` takes one away, what is not named stays as it is."""
    changed = {
        key: None if value == text.NONE else value
        for key, value in given.items()
        if value is not None
    }
    if not changed:
        raise usage("Say which limit to set, such as --vcpus 8 or --storage none.")
    pool_id = id_of(ovc.client, "pool", name)
    seen = ovc.client.call("GET", f"/pools/{pool_id}/quota")
    body = {**seen.body["levels"][0]["limits"], **changed}
    look = lowerings.Look(f"/pools/{pool_id}/quota/preview", body, f"Set the quota of {name}?")
    if lowerings.only_looked(ovc, look, dry_run=dry_run, yes=yes):
        return
    headers = {"If-Match": seen.headers["ETag"]}
    answer = ovc.client.call("PUT", f"/pools/{pool_id}/quota", body, headers=headers)
    _print_quota(ovc, answer.body)


def _print_quota(ovc: Ovc, body: dict[str, Any]) -> None:
    rows = [_line(level, name) for level in body["levels"] for name in RESOURCES]
    ovc.out.raw(body, rows, QUOTA_COLUMNS if ovc.talks else _RAW_COLUMNS)


_RAW_COLUMNS = tuple(
    Column(column.name, column.path.removeprefix("shown_"), column.show, column.right)
    for column in QUOTA_COLUMNS
)


def _line(level: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one resource of one level, as figures and as people read them."""
    limit, used = level["limits"][name], level["used"][name]
    pending = level["pending"][name]
    figures = {"limit": limit, "used": used, "pending": pending}
    figures["left"] = None if limit is None else limit - used - pending
    show = lowerings.SHOWN.get(name, text.plain)
    words = {f"shown_{key}": show(value) for key, value in figures.items()}
    if limit is None:
        words["shown_limit"] = "none"  # as it is typed
    return {"pool": level["pool"], "resource": name, **figures, **words}

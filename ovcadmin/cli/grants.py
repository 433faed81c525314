"""`ovc grants`: who holds which role on which pool, and what a change of that would mean."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Ovc, agreed, most_option, noun, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.moves import dry_run_option
from ovcadmin.cli.names import id_of, option, reference
from ovcadmin.cli.output import Column

grants = noun("grants", "Grants: who holds which role on which pool.")

COLUMNS = (
    Column("id", right=True),
    Column("user"),
    Column("group"),
    Column("role"),
    Column("pool"),
    Column("inherited"),
    Column("created_at", show=text.moment, usual=False),
)
CHANGE_COLUMNS = (Column("user"), Column("gains"), Column("loses"))
_id = click.argument("id", type=click.IntRange(min=1))


@grants.add(
    "list", calls=["listGrants"], examples=["ovc grants list Web", "ovc grants list Web --q anna"]
)
@reference("pool")
@click.option("--q", metavar="TEXT", help="Part of the name of a user, a group or a role.")
@most_option
def listing(ovc: Ovc, name: str, q: str | None, most: int | None) -> None:
    """List the grants that hold on a pool, its own and those of pools above."""
    pool_id = id_of(ovc.client, "pool", name)
    ovc.out.pages(ovc.client.pages(f"/pools/{pool_id}/grants", most=most, q=q), COLUMNS)


@grants.add("show", calls=["getGrant"], examples=["ovc grants show 7"])
@_id
def show(ovc: Ovc, id: int) -> None:
    """Show one grant."""
    ovc.out.one(ovc.client.get(f"/grants/{id}"), COLUMNS)


@grants.add(
    "give",
    calls=["giveGrant", "previewGrant"],
    examples=[
        "ovc grants give Web --role User --group admins@corp --dry-run",
        "ovc grants give Web --role User --group admins@corp",
        "ovc grants give Web --role Administrator --user anna@internal",
    ],
)
@reference("pool")
@option("role", "The role; it may hold no more than you do.", required=True)
@option("group", "A group of a directory.")
@option("user", "A user, with the realm where one name is not enough.")
@dry_run_option
def give(
    ovc: Ovc, *, name: str, role: str, group: str | None, user: str | None, dry_run: bool
) -> None:
    """Give a user or a group a role on a pool and all below it."""
    if (group is None) == (user is None):
        raise usage("Name a user or a group: --user or --group.")
    pool_id = id_of(ovc.client, "pool", name)
    word, reference = ("user", user) if group is None else ("group", group)
    body = {
        f"{word}_id": id_of(ovc.client, word, reference),
        "role_id": id_of(ovc.client, "role", role),
    }
    if dry_run:
        _preview(ovc, pool_id, body)
        return
    ovc.out.one(ovc.client.call("POST", f"/pools/{pool_id}/grants", body).body, COLUMNS)


@grants.add(
    "change",
    calls=["changeGrant", "previewGrant"],
    examples=["ovc grants change 7 --role Monitor", "ovc grants change 7 --role User --dry-run"],
)
@_id
@option("role", "The role that it gives from now on.", required=True)
@dry_run_option
def change(ovc: Ovc, *, id: int, role: str, dry_run: bool) -> None:
    """Give another role instead."""
    body = {"role_id": id_of(ovc.client, "role", role)}
    if dry_run:
        _preview_of(ovc, id, body)
        return
    ovc.out.one(ovc.client.call("PATCH", f"/grants/{id}", body).body, COLUMNS)


@grants.add(
    "revoke",
    calls=["revokeGrant", "previewGrant"],
    examples=["ovc grants revoke 7 --dry-run", "ovc grants revoke 7 --yes"],
)
@_id
@dry_run_option
@yes_option
def revoke(ovc: Ovc, *, id: int, dry_run: bool, yes: bool) -> None:
    """Revoke a grant."""
    if dry_run:
        _preview_of(ovc, id, {})
        return
    agreed(f"Revoke grant {id}?", yes=yes)
    ovc.client.call("DELETE", f"/grants/{id}")
    ovc.note(f"Grant {id} is revoked.")


def _preview_of(ovc: Ovc, id: int, body: dict[str, Any]) -> None:
    """Say what it would mean to change or end a grant."""
    pool = ovc.client.get(f"/grants/{id}")["pool"]
    _preview(ovc, pool["id"], {**body, "grant_id": id})


def _preview(ovc: Ovc, pool_id: int | None, body: dict[str, Any]) -> None:
    found = ovc.client.call("POST", f"/pools/{pool_id}/grants/preview", body).body
    ovc.out.raw(found, found["changes"], CHANGE_COLUMNS)
    ovc.note(
        f"It reaches {found['people']} people, {found['pools']} pools and {found['machines']} "
        f"machines; the rights of {found['changed']} people change."
    )
    if found["lost_machines"]:
        ovc.note(f"{found['lost_machines']} machines could not be controlled by their owners.")

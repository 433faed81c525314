"""`ovc roles` and `ovc groups`: what can be held, and by whom."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli.command import Ovc, agreed, most_option, noun, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import id_of, reference
from ovcadmin.cli.output import Column
from ovcadmin.cli.text import clean
from ovcadmin.cli.users import COLUMNS as USER_COLUMNS

roles = noun("roles", "Roles: named sets of privileges.")
groups = noun("groups", "Groups of the directories.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("shipped"),
    Column("privileges"),
    Column("description", usual=False),
    Column("second_factor", usual=False),
)
GROUP_COLUMNS = (Column("id", right=True), Column("name"), Column("vanished"))
_privileges = click.option(
    "--may", multiple=True, metavar="PRIVILEGE", help="What it allows; repeatable."
)
_second_factor = click.option(
    "--second-factor/--no-second-factor", default=None, help="Ask whoever holds it for one."
)
_description = click.option("--description", metavar="TEXT")


def _body(**given: Any) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value not in (None, [])}


@roles.add("list", calls=["listRoles"], examples=["ovc roles list"])
@most_option
def listing(ovc: Ovc, most: int | None) -> None:
    """List the roles and what each holds."""
    ovc.out.pages(ovc.client.pages("/roles", most=most), COLUMNS)


@roles.add("show", calls=["getRole"], examples=["ovc roles show Monitor"])
@reference("role")
def show(ovc: Ovc, name: str) -> None:
    """Show one role, and how much hangs on it."""
    ovc.out.one(ovc.client.get(f"/roles/{id_of(ovc.client, 'role', name)}"), COLUMNS)


@roles.add(
    "create",
    calls=["createRole"],
    examples=["ovc roles create Operator --may view --may control"],
)
@click.argument("name")
@_privileges
@_description
@_second_factor
def create(
    ovc: Ovc,
    *,
    name: str,
    may: tuple[str, ...],
    description: str | None,
    second_factor: bool | None,
) -> None:
    """Make a role of privileges that you hold on the root yourself."""
    body = _body(name=name, description=description, second_factor=second_factor)
    made = ovc.client.call("POST", "/roles", {**body, "privileges": list(may)})
    ovc.out.one(made.body, COLUMNS)


@roles.add(
    "edit",
    calls=["editRole", "getRole"],
    examples=[
        "ovc roles edit Operator --may view --may control --may create",
        "ovc roles edit Administrator --second-factor",
    ],
)
@reference("role")
@click.option("--name", "new_name", metavar="NAME", help="Its new name.")
@_privileges
@_description
@_second_factor
def edit(
    ovc: Ovc,
    *,
    name: str,
    new_name: str | None,
    may: tuple[str, ...],
    description: str | None,
    second_factor: bool | None,
) -> None:
    """Change a role; what is taken out of it, its holders lose at once."""
    body = _body(
        name=new_name, privileges=list(may), description=description, second_factor=second_factor
    )
    if not body:
        raise usage("Say what is to be changed.")
    path = f"/roles/{id_of(ovc.client, 'role', name)}"
    ovc.out.one(ovc.client.change(path, body), COLUMNS)


@roles.add("delete", calls=["deleteRole"], examples=["ovc roles delete Operator --yes"])
@reference("role")
@yes_option
def delete(ovc: Ovc, *, name: str, yes: bool) -> None:
    """Delete a role that nobody holds."""
    path = f"/roles/{id_of(ovc.client, 'role', name)}"
    agreed(f"Delete the role {name}?", yes=yes)
    ovc.client.call("DELETE", path)
    ovc.note(f"The role {clean(name)} is deleted.")


@groups.add("list", calls=["listGroups"], examples=["ovc groups list --q admins"])
@click.option("--q", metavar="TEXT", help="Part of the name.")
@most_option
def list_groups(ovc: Ovc, q: str | None, most: int | None) -> None:
    """List the groups of the directories."""
    ovc.out.pages(ovc.client.pages("/groups", most=most, q=q), GROUP_COLUMNS)


@groups.add("show", calls=["getGroup"], examples=["ovc groups show dev@corp"])
@reference("group")
def show_group(ovc: Ovc, name: str) -> None:
    """Show one group, and the roles that it holds."""
    found = ovc.client.get(f"/groups/{id_of(ovc.client, 'group', name)}")
    ovc.out.one(found, (*GROUP_COLUMNS, Column("grants", "grants")))


@groups.add("members", calls=["listGroupMembers"], examples=["ovc groups members dev@corp"])
@reference("group")
@most_option
def members(ovc: Ovc, name: str, most: int | None) -> None:
    """List who belongs to a group, directly or by way of other groups."""
    path = f"/groups/{id_of(ovc.client, 'group', name)}/members"
    ovc.out.pages(ovc.client.pages(path, most=most), USER_COLUMNS)

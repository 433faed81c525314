"""`ovc users`: who there is, and looking after them; what each may do, and why."""

from __future__ import annotations

from typing import Any

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Ovc, agreed, most_option, noun, secret, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.names import find, id_of, option, reference
from ovcadmin.cli.output import Column
from ovcadmin.cli.text import clean

users = noun("users", "Users of all realms.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("full_name"),
    Column("mail"),
    Column("realm"),
    Column("disabled"),
)
SESSION_COLUMNS = (
    Column("id", right=True),
    Column("address"),
    Column("seen", "seen_at", text.age, right=True),
    Column("created_at", show=text.moment),
    Column("expires_at", show=text.moment),
)
TOKEN_COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("used", "used_at", text.age, right=True),
    Column("expires_at", show=text.moment),
    Column("pool_id", right=True),
    Column("privileges"),
    Column("created_at", show=text.moment, usual=False),
)
RIGHT_COLUMNS = (Column("pool"), Column("role"), Column("group"))


def _path(ovc: Ovc, name: str) -> str:
    return f"/users/{id_of(ovc.client, 'user', name)}"


@users.add("list", calls=["listUsers"], examples=["ovc users list --q anna"])
@click.option("--q", metavar="TEXT", help="Part of the name, the full name or the mail address.")
@click.option("--state", type=click.Choice(["enabled", "disabled"]))
@click.option("--realm", metavar="NAME", help="Only those of this realm.")
@most_option
def listing(
    ovc: Ovc, *, q: str | None, state: str | None, realm: str | None, most: int | None
) -> None:
    """List the users."""
    found = ovc.client.pages("/users", most=most, q=q, state=state, realm=realm)
    ovc.out.pages(found, COLUMNS)


@users.add("show", calls=["getUser"], examples=["ovc users show anna@internal"])
@reference("user")
def show(ovc: Ovc, name: str) -> None:
    """Show one user."""
    ovc.out.one(find(ovc.client, "user", name), COLUMNS)


@users.add(
    "create",
    calls=["createUser"],
    examples=["ovc users create anna --full-name 'Anna A' --mail anna@example.org"],
)
@click.argument("name")
@click.option("--full-name", default="", metavar="TEXT")
@click.option("--mail", default="", metavar="ADDRESS")
@click.option("--realm", default="internal", metavar="NAME", help="One that can be written.")
@click.option("--key", metavar="TEXT", help="Idempotency key: sent again, it makes nothing twice.")
def create(ovc: Ovc, *, name: str, full_name: str, mail: str, realm: str, key: str | None) -> None:
    """Make a user; the password is asked for, or read from standard input."""
    body = {
        "name": name,
        "full_name": full_name,
        "mail": mail,
        "realm": realm,
        "password": secret("Password of the user"),
    }
    headers = {"Idempotency-Key": key} if key else {}
    ovc.out.one(ovc.client.call("POST", "/users", body, headers=headers).body, COLUMNS)


@users.add(
    "edit",
    calls=["editUser", "getUser"],
    examples=["ovc users edit anna --mail anna@example.org"],
)
@reference("user")
@click.option("--full-name", metavar="TEXT")
@click.option("--mail", metavar="ADDRESS")
def edit(ovc: Ovc, name: str, full_name: str | None, mail: str | None) -> None:
    """Change full name or mail address, in the directory that keeps them."""
    given = {"full_name": full_name, "mail": mail}
    body = {key: value for key, value in given.items() if value is not None}
    if not body:
        raise usage("Say what is to be changed: --full-name or --mail.")
    ovc.out.one(ovc.client.change(_path(ovc, name), body), COLUMNS)


@users.add("delete", calls=["deleteUser"], examples=["ovc users delete anna --yes"])
@reference("user")
@yes_option
def delete(ovc: Ovc, *, name: str, yes: bool) -> None:
    """Delete a user with his grants and tokens; his machines stay."""
    path = _path(ovc, name)
    agreed(f"Delete the user {name} with all grants and tokens?", yes=yes)
    ovc.client.call("DELETE", path)
    ovc.note(f"{clean(name)} is deleted.")


def _add_state(verb: str, told: str) -> None:
    @users.add(
        verb, calls=["changeUserState"], help=told, examples=[f"ovc users {verb} anna@internal"]
    )
    @reference("user")
    def change(ovc: Ovc, name: str) -> None:
        body = {"action": verb}
        ovc.out.one(ovc.client.call("POST", f"{_path(ovc, name)}/state", body).body, COLUMNS)


_add_state("enable", "Let a user sign in again.")
_add_state("disable", "Put a user out at once: pages, consoles and tokens included.")


@users.add(
    "password", calls=["setPassword"], examples=["cat password.txt | ovc users password anna"]
)
@reference("user")
def password(ovc: Ovc, name: str) -> None:
    """Set the password of a user; it is asked for, or read from standard input."""
    path = _path(ovc, name)
    ovc.client.call("PUT", f"{path}/password", {"password": secret(f"New password of {name}")})
    ovc.note(f"The password of {clean(name)} is set; his sessions are ended.")


@users.add(
    "remove-second-factor",
    calls=["removeSecondFactor"],
    examples=["ovc users remove-second-factor anna --yes"],
)
@reference("user")
@yes_option
def remove_second_factor(ovc: Ovc, *, name: str, yes: bool) -> None:
    """Remove the second factor of somebody who lost telephone and recovery codes."""
    path = _path(ovc, name)
    agreed(f"Let {name} sign in without the second factor?", yes=yes)
    ovc.client.call("DELETE", f"{path}/second-factor")
    ovc.note(f"The second factor of {clean(name)} is removed.")


@users.add("sessions", calls=["listUserSessions"], examples=["ovc users sessions anna"])
@reference("user")
@most_option
def list_sessions(ovc: Ovc, name: str, most: int | None) -> None:
    """List where a user is signed in."""
    ovc.out.pages(ovc.client.pages(f"{_path(ovc, name)}/sessions", most=most), SESSION_COLUMNS)


@users.add(
    "end-sessions",
    calls=["endUserSessions"],
    examples=["ovc users end-sessions anna --yes", "ovc users end-sessions anna --session 7"],
)
@reference("user")
@click.option("--session", type=click.IntRange(min=1), help="Only this one.")
@yes_option
def end_sessions(ovc: Ovc, *, name: str, session: int | None, yes: bool) -> None:
    """End the sessions of a user, his open pages and consoles with them."""
    path = f"{_path(ovc, name)}/sessions"
    agreed(f"End every session of {name}?", yes=yes or session is not None)
    ovc.client.call("DELETE", path, query={"session_id": session})
    ovc.note(f"{clean(name)} is signed out.")


@users.add("tokens", calls=["listUserTokens"], examples=["ovc users tokens anna"])
@reference("user")
@most_option
def list_tokens(ovc: Ovc, name: str, most: int | None) -> None:
    """List the tokens of a user."""
    ovc.out.pages(ovc.client.pages(f"{_path(ovc, name)}/tokens", most=most), TOKEN_COLUMNS)


@users.add(
    "revoke-token", calls=["revokeUserToken"], examples=["ovc users revoke-token anna --token 7"]
)
@reference("user")
@click.option("--token", type=click.IntRange(min=1), required=True)
def revoke_token(ovc: Ovc, name: str, token: int) -> None:
    """Revoke a token of a user."""
    ovc.client.call("DELETE", f"{_path(ovc, name)}/tokens", query={"token_id": token})
    ovc.note(f"Token {token} is revoked.")


@users.add(
    "rights",
    calls=["getUserRights"],
    examples=["ovc users rights anna", "ovc users rights anna --pool Web"],
)
@reference("user")
@option("pool", "Explain what he holds on this pool.")
def rights(ovc: Ovc, name: str, pool: str | None) -> None:
    """Show what a user may do, and why."""
    pool_id = id_of(ovc.client, "pool", pool)
    print_rights(ovc, ovc.client.get(f"{_path(ovc, name)}/rights", pool_id=pool_id))


def print_rights(ovc: Ovc, found: dict[str, Any]) -> None:
    ovc.out.raw(found, found["holdings"], RIGHT_COLUMNS)
    here = found["here"]
    if here is None or not ovc.talks:
        return
    held = ", ".join(here["privileges"]) or "nothing"
    ovc.note(f"On {clean(here['pool']['name'])}: {held}.")
    for reason in here["reasons"]:
        ovc.note(f"  {clean(reason['text'])}")

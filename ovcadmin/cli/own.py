"""What is one's own: `ovc tokens`, `ovc sessions`, `ovc rights`, `ovc password`."""

from __future__ import annotations

import click

from ovcadmin.cli.command import Ovc, command, most_option, noun, secret
from ovcadmin.cli.names import id_of, option
from ovcadmin.cli.users import SESSION_COLUMNS, TOKEN_COLUMNS, print_rights

tokens = noun("tokens", "Tokens of yours: what programs sign in with.")
sessions = noun("sessions", "Sessions of yours: browsers that are signed in.")
_id = click.argument("id", type=click.IntRange(min=1))


@tokens.add("list", calls=["listTokens"], examples=["ovc tokens list"])
@most_option
def list_tokens(ovc: Ovc, most: int | None) -> None:
    """List your tokens."""
    ovc.out.pages(ovc.client.pages("/tokens", most=most), TOKEN_COLUMNS)


@tokens.add(
    "create",
    calls=["createToken"],
    examples=[
        "ovc tokens create backup --days 90",
        "ovc tokens create ci --days 30 --pool Web --may control --may create",
    ],
)
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 3650), help="Without it the token has no end.")
@option("pool", "Good for this pool and all below it only.")
@click.option("--may", multiple=True, metavar="PRIVILEGE", help="Good for this only; repeatable.")
def create(
    ovc: Ovc, *, name: str, days: int | None, pool: str | None, may: tuple[str, ...]
) -> None:
    """Make a token and print its key, this once."""
    wanted = {
        "name": name,
        "days": days,
        "pool_id": id_of(ovc.client, "pool", pool),
        "privileges": list(may),
    }
    body = {key: value for key, value in wanted.items() if value not in (None, [])}
    made = ovc.client.call("POST", "/tokens", body).body
    if ovc.talks:
        click.echo(made["key"])
        ovc.note("Keep it: it is not shown again.")
    else:
        ovc.out.one(made, TOKEN_COLUMNS)


@tokens.add("revoke", calls=["revokeToken"], examples=["ovc tokens revoke 7"])
@_id
def revoke(ovc: Ovc, id: int) -> None:
    """Revoke a token; whoever used it is out."""
    ovc.client.call("DELETE", f"/tokens/{id}")
    ovc.note(f"Token {id} is revoked.")


@sessions.add("list", calls=["listSessions"], examples=["ovc sessions list"])
@most_option
def list_sessions(ovc: Ovc, most: int | None) -> None:
    """List where you are signed in."""
    ovc.out.pages(ovc.client.pages("/sessions", most=most), SESSION_COLUMNS)


@sessions.add("end", calls=["endSession"], examples=["ovc sessions end 7"])
@_id
def end(ovc: Ovc, id: int) -> None:
    """End a session of yours."""
    ovc.client.call("DELETE", f"/sessions/{id}")
    ovc.note(f"Session {id} is ended.")


@command("rights", calls=["getOwnRights"], examples=["ovc rights", "ovc rights --pool Web"])
@option("pool", "Explain what you hold on this pool.")
def rights(ovc: Ovc, pool: str | None) -> None:
    """Show what you may do, and why."""
    print_rights(ovc, ovc.client.get("/rights", pool_id=id_of(ovc.client, "pool", pool)))


@command("password", calls=["changeOwnPassword"], examples=["ovc password"])
def password(ovc: Ovc) -> None:
    """Change your password; old and new one are asked for.

    Where nobody is there to be asked, they are two lines of standard input.
    """
    old = secret("Your present password", again=False)
    new = secret("Your new password")
    ovc.client.call("PUT", "/password", {"old": old, "new": new, "again": new})
    ovc.note("Your password is changed; your sessions are ended.")

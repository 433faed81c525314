"""`ovc login`, `ovc logout`, `ovc whoami`, `ovc profiles`: who one is, and where."""

from __future__ import annotations

import ipaddress
import sys
from urllib.parse import urlsplit

import click

from ovcadmin.cli import profiles as stored
from ovcadmin.cli.command import Ovc, command
from ovcadmin.cli.failures import Exit, Failure, usage
from ovcadmin.cli.output import Column

COLUMNS = (
    Column("user"),
    Column("name"),
    Column("realm"),
    Column("door"),
    Column("privileges"),
)
_profile = click.option("--profile", metavar="NAME", help="Name of the profile.")


@click.command(
    epilog="\b\nExamples:\n  ovc login https://cloud.example.org\n"
    "  ovc login https://test.example.org --profile test < token.txt"
)
@click.argument("url")
@_profile
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="Certificates to trust instead of the system's.",
)  # fmt: skip
@click.option("--insecure-http", is_flag=True, help="Send the token over plain HTTP.")
def login(*, url: str, profile: str | None, ca: str | None, insecure_http: bool) -> None:
    """Keep a token for a console; it is asked for, or read from standard input.

    Tokens are made on your profile page, or by `ovc tokens create`.  They are kept in the key ring
    of your desktop; where there is none, in a file that is for you alone.
    """
    from ovcadmin.cli.client import Client  # noqa: PLC0415

    address = stored.address(url)
    if address.startswith("http:") and not (insecure_http or _is_here(address)):
        raise usage("Without HTTPS everybody on the way reads the token; --insecure-http if so.")
    name = stored.chosen(profile)
    token = _token(address)
    try:
        who = Client(address, token, ca=ca).get("/session")
    except Failure as failure:
        if failure.problem.get("status") == 401:
            raise Failure(f"{address} does not know this token.", Exit.FORBIDDEN) from failure
        raise
    ring = stored.store(name, stored.Profile(address, token, ca or ""))
    where = "the key ring" if ring else str(stored.path())
    click.echo(
        f"You are {who['name']} at {address} (profile {name}). The token is in {where}.", err=True
    )


def _token(address: str) -> str:
    if sys.stdin.isatty():
        click.echo(f"Create a token at {address}/profile and paste it here.", err=True)
        return str(click.prompt("Token", hide_input=True, err=True)).strip()
    token = sys.stdin.readline().strip()
    if not token.isascii() or not token.isprintable() or not token:
        raise usage("There is no token on standard input.")
    return token


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@click.command()
@_profile
def logout(profile: str | None) -> None:
    """Forget a profile's token on this machine; revoke it on your profile page."""
    name = stored.chosen(profile)
    if not stored.forget(name):
        raise Failure(f"There is no profile “{name}”.", Exit.NOT_FOUND)
    click.echo(f"Forgot profile {name}.", err=True)


@command("whoami", calls=["getSession"], examples=["ovc whoami", "ovc whoami --json"])
def whoami(ovc: Ovc) -> None:
    """Show who you are at the console, and what you may do."""
    ovc.out.one(ovc.client.get("/session"), COLUMNS)


@command("extensions", calls=["listExtensions"], examples=["ovc extensions -q"])
def extensions(ovc: Ovc) -> None:
    """List what was added to this version of the API, by name."""
    found = ovc.client.get("/extensions")["items"]
    ovc.out.rows(found, (Column("name"), Column("text")))


@click.command()
def profiles() -> None:
    """List the profiles of `ovc login`."""
    for name in stored.names():
        found = stored.stored_profile(name)
        mark = "*" if name == stored.chosen(None) else " "
        click.echo(f"{mark} {name}  {found.url if found else ''}")

"""`ovc realms`: where users are checked, and keeping company directories in line."""

from __future__ import annotations

from typing import IO, Any

import click

from ovcadmin.cli import operations, text
from ovcadmin.cli.command import Ovc, agreed, most_option, noun, secret, yes_option
from ovcadmin.cli.failures import Exit, Failure, usage
from ovcadmin.cli.names import id_of, reference
from ovcadmin.cli.output import Column
from ovcadmin.cli.progress import judge, timeout_option, wait, wait_option
from ovcadmin.cli.text import clean

realms = noun("realms", "Realms: where users are checked.")

COLUMNS = (
    Column("id", right=True),
    Column("name"),
    Column("label"),
    Column("kind"),
    Column("enabled"),
    Column("synced", "synced_at", text.age, right=True),
    Column("sync_error", usual=False),
    Column("settings", usual=False),
)
FINDING_COLUMNS = (Column("step"), Column("server"), Column("good"), Column("text"))
CHANGE_COLUMNS = (Column("count", right=True), Column("text"), Column("names"))
KINDS = ("openldap", "freeipa", "active-directory")
MAPPING = ("people_base", "people_filter", "groups_base", "groups_filter")
"""Settings that say who and which groups are taken in."""
PLAIN = (
    "base", "bind_dn", "user_bind", *MAPPING,
    "kerberos_principal", "kerberos_keytab", "kerberos_realm",
)  # fmt: skip
"""Settings that are words, each with an option of its name."""


def _settings(function: Any) -> Any:
    for name in reversed(PLAIN):
        function = click.option(f"--{name.replace('_', '-')}", metavar="TEXT")(function)
    for option in (
        click.option("--sync-minutes", type=click.IntRange(0, 10080), help="0: only on demand."),
        click.option("--writable/--read-only", default=None, help="People are changed from here."),
        click.option("--bind-password", is_flag=True, help="Ask for it, or read it from stdin."),
        click.option("--authority", type=click.File("r"), help="PEM of who signs its certificate."),
        click.option("--transport", type=click.Choice(["starttls", "ldaps", "plain"])),
        click.option("--server", multiple=True, metavar="HOST[:PORT]", help="Repeatable."),
        click.option("--label", metavar="TEXT", help="What people read at sign-in."),
    ):
        function = option(function)
    return function


def _mapping(function: Any) -> Any:
    """Add an option for each setting that says who is taken in."""
    for name in reversed(MAPPING):
        option = click.option(
            f"--{name.replace('_', '-')}", metavar="TEXT", help="Try this; with --dry-run."
        )
        function = option(function)
    return function


def _body(
    *, server: tuple[str, ...], authority: IO[str] | None, bind_password: bool, **plain: Any
) -> dict[str, Any]:
    given = {
        **plain,
        "servers": "\n".join(server) or None,
        "authority": authority.read() if authority else None,
        "bind_password": secret("Password of the service account") if bind_password else None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _path(ovc: Ovc, name: str) -> str:
    return f"/realms/{id_of(ovc.client, 'realm', name)}"


@realms.add("list", calls=["listRealms"], examples=["ovc realms list"])
@most_option
def listing(ovc: Ovc, most: int | None) -> None:
    """List the realms."""
    ovc.out.pages(ovc.client.pages("/realms", most=most), COLUMNS)


@realms.add("show", calls=["getRealm"], examples=["ovc realms show corp"])
@reference("realm")
def show(ovc: Ovc, name: str) -> None:
    """Show a directory realm."""
    ovc.out.one(ovc.client.get(_path(ovc, name)), COLUMNS)


@realms.add(
    "create",
    calls=["createRealm"],
    examples=[
        "ovc realms create corp --kind freeipa --server ipa.example.org --base dc=example,dc=org",
    ],
)
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True)
@_settings
def create(ovc: Ovc, *, name: str, kind: str, **given: Any) -> None:
    """Describe a company directory; it signs nobody in until it is enabled."""
    body = {"name": name, "kind": kind, **_body(**given)}
    ovc.out.one(ovc.client.call("POST", "/realms", {"label": name, **body}).body, COLUMNS)


@realms.add(
    "edit", calls=["editRealm", "getRealm"], examples=["ovc realms edit corp --sync-minutes 30"]
)
@reference("realm")
@_settings
def edit(ovc: Ovc, *, name: str, **given: Any) -> None:
    """Change how a directory is reached."""
    body = _body(**given)
    if not body:
        raise usage("Say what is to be changed.")
    ovc.out.one(ovc.client.change(_path(ovc, name), body), COLUMNS)


def _add_state(verb: str, told: str) -> None:
    @realms.add(verb, calls=["changeRealmState"], help=told, examples=[f"ovc realms {verb} corp"])
    @reference("realm")
    def change(ovc: Ovc, name: str) -> None:
        body = {"action": verb}
        ovc.out.one(ovc.client.call("POST", f"{_path(ovc, name)}/state", body).body, COLUMNS)


_add_state("enable", "Let the users of a realm sign in.")
_add_state("disable", "Put the users of a realm out at once.")


@realms.add("check", calls=["checkRealm"], examples=["ovc realms check corp"])
@reference("realm")
def check(ovc: Ovc, name: str) -> None:
    """Test the connection to a directory, step by step."""
    found = ovc.client.call("POST", f"{_path(ovc, name)}/check", seconds=60).body
    ovc.out.raw(found, found["findings"], FINDING_COLUMNS)
    if not found["good"]:
        raise Failure(f"{name} cannot be used like this.", Exit.FAILED)


@realms.add(
    "sync",
    calls=["syncRealm"],
    examples=[
        "ovc realms sync corp --dry-run --wait",
        "ovc realms sync corp --wait",
        "ovc realms sync corp --dry-run --wait --groups-base ou=teams,dc=example,dc=org",
    ],
)
@reference("realm")
@click.option("--dry-run", is_flag=True, help="Only list what would change.")
@click.option("--even-many", is_flag=True, help="Even when most users vanish.")
@_mapping
@wait_option
@timeout_option
def sync(ovc: Ovc, *, name: str, timeout: float | None, **given: Any) -> None:
    """Bring users and groups in line with the directory, and tell whose rights that changes."""
    path = _path(ovc, name)
    body = {key: given[key] for key in ("dry_run", "even_many")}
    mapping = {key: given[key] for key in MAPPING if given[key] is not None}
    if mapping and not given["dry_run"]:
        raise usage("Bases and filters are only tried here: add --dry-run, or edit the realm.")
    if mapping:
        body["mapping"] = mapping
    asked = ovc.client.call("POST", f"{path}/sync", body).body["operation"]
    if not given["wait"]:
        ovc.out.one(asked, operations.COLUMNS)
        return
    judge(ovc, wait(ovc, [asked["id"]], timeout).values())
    _tell_changes(ovc, path)


@realms.add("changes", calls=["listRealmChanges"], examples=["ovc realms changes corp"])
@reference("realm")
def changes(ovc: Ovc, name: str) -> None:
    """Show what the last synchronisation or trial found, and whose rights it concerns."""
    _tell_changes(ovc, _path(ovc, name))


def _tell_changes(ovc: Ovc, path: str) -> None:
    found = ovc.client.get(f"{path}/changes")
    rights = [
        {
            "count": line["count"],
            "text": f"{line['verb']} {line['role']} on {line['pool']}",
            "names": line["names"],
        }
        for line in found["rights"]
    ]
    ovc.out.raw(found, [*found["changes"], *rights], CHANGE_COLUMNS)
    if found["operation"] is None:
        ovc.note("No synchronisation ended well yet: ovc realms sync --dry-run tries one.")
    elif not found["changes"]:
        ovc.note(
            f"Nothing: all of {found['people']} users and {found['groups']} groups is in line."
        )
    if lost := found["machines"]["count"]:
        ovc.note(f"{lost} machines could not be controlled by their own owner any more.")


@realms.add(
    "delete",
    calls=["deleteRealm"],
    examples=["ovc realms delete corp --dry-run", "ovc realms delete corp --yes"],
)
@reference("realm")
@click.option("--dry-run", is_flag=True, help="Only say what would be lost.")
@yes_option
def delete(ovc: Ovc, *, name: str, dry_run: bool, yes: bool) -> None:
    """Delete a disabled realm with all that hangs on it; the directory itself stays."""
    path = _path(ovc, name)
    looked = ovc.client.call("DELETE", path, query={"dry_run": True}).body
    rows = [{"what": what, "count": count} for what, count in looked["lost"].items()]
    columns = (Column("what"), Column("count", right=True))
    if dry_run:
        ovc.out.raw(looked, rows, columns)
        return
    for row in rows:
        ovc.note(f"  {row['count']} {row['what']}")
    agreed(f"Delete the realm {name}?", yes=yes)
    found = ovc.client.get(path)
    done = ovc.client.call("DELETE", path, query={"name": found["name"]}).body
    ovc.out.raw(done, rows, columns)
    ovc.note(f"{clean(name)} is deleted.")

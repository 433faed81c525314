"""Commands of `ovcadmin` that open the database."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ovcadmin.config import Settings
from ovcadmin.errors import NotFound
from ovcadmin.manage import first_run, schema
from ovcadmin.manage import serve as supervisor
from ovcadmin.manage import status as presence
from ovcadmin.manage.without_database import INI, settings_of
from ovcadmin.models import User
from ovcadmin.models.database import Database
from ovcadmin.services import audit_seals, people, quota_check, sessions, tokens, watches
from ovcadmin.services import setup as first
from ovcadmin.work import Actor, Work


@click.command()
@INI
def init(ini: Path) -> None:
    """Prepare data directory and database; safe to run again."""
    settings = settings_of(ini)
    os.umask(0o077)  # the database file is for this user only
    password = first_run.initialise(settings)
    click.echo(f"OpenvCloud admin is ready in {settings.data_dir}.")
    click.echo(f"Address:  {supervisor.address(settings)}")
    if password is not None:
        click.echo(f"User:     {first.ADMINISTRATOR}")
        click.echo(f"Password: {password}   (shown this once)")


@click.command()
@INI
def serve(ini: Path) -> None:
    """Run web, gateway and worker in the foreground until Ctrl-C."""
    settings = settings_of(ini)
    with _database(settings) as database:
        schema.ensure_current(database)
    supervisor.serve(ini, settings)


@click.command()
@INI
def status(ini: Path) -> None:
    """Say which process is up; the exit code is 0 when all three kinds are."""
    with _work(ini) as work:
        found, unserved = presence.lines(work), watches.unserved(work)
    click.echo(f"{'PROCESS':<8} {'STATE':<7} {'PID':>8}  {'SINCE':<20} {'LAST WORD':>10}  NAME")
    for line in found:
        since = f"{line.since:%Y-%m-%d %H:%M:%SZ}" if line.since else "-"
        age = f"{line.age:.1f} s" if line.age is not None else "-"
        click.echo(
            f"{line.kind:<8} {line.state:<7} {line.pid or '-':>8}  {since:<20} {age:>10}  "
            f"{line.name}"
        )
        if line.trouble:
            click.echo(f"         {line.trouble} Operations run later than usual.")
    for group in unserved:
        click.echo(f"No worker looks after the hosts of group {group}.")
    sys.exit(0 if presence.all_up(found) else 1)


@click.group()
def db() -> None:
    """The tables of the database."""


@db.command()
@INI
def upgrade(ini: Path) -> None:
    """Bring the tables up to date."""
    with _database(settings_of(ini)) as database:
        click.echo(f"The database is at revision {schema.upgrade(database)}.")


@db.command()
@INI
def check(ini: Path) -> None:
    """Compare the tables with what this version declares; exit code 1 when they differ."""
    with _database(settings_of(ini)) as database:
        schema.ensure_current(database)
        trouble = schema.differences(database)
    if trouble:
        raise click.ClickException(trouble)
    click.echo("The tables are as this version declares them.")


@click.group()
def quota() -> None:
    """What is held of the quotas."""


@quota.command(name="check")
@INI
@click.option("--repair", is_flag=True, help="Set right what differs, and look again.")
def check_quota(ini: Path, *, repair: bool) -> None:
    """Work every figure out again from machines and volumes; exit code 1 when one differs."""
    with _work(ini, write=repair) as work:
        if repair:
            quota_check.repair(work)
        found = quota_check.differences(work)
        looked = quota_check.counted(work)
    for line in found:
        click.echo(line)
    if found:
        raise click.ClickException(f"{len(found)} differences.")
    click.echo("Looked at " + ", ".join(f"{count} {word}" for word, count in looked.items()) + ".")
    click.echo("What is held is what the machines hold.")


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command(name="verify")
@INI
@click.option("--noted", default="", help="The head that an earlier run printed: NUMBER:DIGEST.")
def verify_audit(ini: Path, noted: str) -> None:
    """Follow the chain over the audit log; exit code 1 at its first broken link."""
    with _work(ini) as work:
        found = audit_seals.verify(work, noted)
    click.echo(f"{found.sealed} links hold. Head: {found.head}")
    click.echo(f"{found.waiting} rows wait for their seal.")
    if found.broken:
        raise click.ClickException(found.broken)


@click.group()
def user() -> None:
    """Local accounts."""


@user.command()
@INI
@click.argument("name")
@click.password_option(help="Asked for when not given.")
@click.option("--display-name", default="", help="The name that people see.")
def add(ini: Path, name: str, password: str, display_name: str) -> None:
    """Make a local account."""
    with _work(ini, write=True) as work:
        made = people.create(work, name=name, password=password, display_name=display_name)
        click.echo(f"{made.name} can sign in; what it may do is granted on a pool.")


@user.command()
@INI
@click.argument("name")
@click.password_option(help="Asked for when not given.")
def password(ini: Path, name: str, password: str) -> None:
    """Set the password of a local account; all its sessions end."""
    with _work(ini, write=True) as work:
        found = _user(work, name)
        people.set_password(work, found, password)
        sessions.revoke_others(work, found.id, keep=None)
        click.echo(f"{name} has a new password.")


@user.command()
@INI
@click.argument("name")
@click.password_option(help="Asked for when not given.")
def rescue(ini: Path, name: str, password: str) -> None:
    """Let NAME in as Super Admin of the whole cloud when nobody else gets in.

    The local account is made where there is none; otherwise it gets this password, is enabled,
    and loses its sessions and its second factor.
    """
    with _work(ini, write=True) as work:
        made = first.rescue(work, name, password)
        click.echo(f"{made.name} can sign in and is Super Admin of the whole cloud.")


@click.group()
def token() -> None:
    """Tokens for the REST API."""


@token.command(name="create")
@INI
@click.argument("user")
@click.argument("name")
@click.option("--days", type=int, default=None, help="Days until it ends; without end if not set.")
def create_token(ini: Path, user: str, name: str, days: int | None) -> None:
    """Create a token for USER, called NAME, and print its key, this once."""
    with _work(ini, write=True) as work:
        _, key = tokens.create(work, _user(work, user).id, name=name, days=days)
    click.echo(key)


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url, pool_size=1)
    try:
        yield database
    finally:
        database.dispose()


@contextmanager
def _work(ini: Path, *, write: bool = False) -> Iterator[Work]:
    """One transaction on the tables, acting as whoever runs the command."""
    settings = settings_of(ini)
    actor = Actor(user_id=None, name=f"console ({_login()})", door="console")
    with _database(settings) as database:
        schema.ensure_current(database)
        with database.writing() if write else database.reading() as session:
            yield Work(db=session, actor=actor, settings=settings)


def _login() -> str:
    return os.environ.get("SUDO_USER") or os.environ.get("USER") or str(os.getuid())


def _user(work: Work, name: str) -> User:
    found = people.find(work, name)
    if found is None:
        raise NotFound(f"There is no local account {name}.")
    return found

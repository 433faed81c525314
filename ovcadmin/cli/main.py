"""The root of `ovc`: which commands there are.  Only the module of the asked one is loaded."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click
from click.exceptions import NoSuchCommand

COMMANDS = {
    "login": ("session", "Keep a token for a console."),
    "logout": ("session", "Forget a profile's token on this machine."),
    "profiles": ("session", "List the profiles of `ovc login`."),
    "whoami": ("session", "Show who you are at the console."),
    "machines": ("machines", "Virtual machines: make them, run them, look at them."),
    "blueprints": (
        "machine_profiles",
        "Profiles of machines: image, size and network under one name.",
    ),
    "snapshots": ("snapshots", "Snapshots: all disks of a machine as they were."),
    "console": ("console", "Type into a machine's serial console."),
    "consoles": ("consoles", "Consoles and terminals that you have open."),
    "recordings": ("recordings", "Recordings of consoles, and which pools want them."),
    "pools": ("pools", "Pools: the tree of what is handed out, and its quota."),
    "images": ("images", "Images: what the disk of a new machine starts from."),
    "sizes": ("images", "Sizes: vCPUs, memory and storage of a new machine."),
    "hosts": ("hosts", "Hosts: where machines run."),
    "storage": ("storage", "Storage pools: where volumes live, and how full they are."),
    "volumes": ("volumes", "Volumes: what is in a storage pool, and who uses it."),
    "clusters": ("clusters", "OpenvStorage clusters: where vDisks live."),
    "operations": ("operations", "Operations: what was asked for, how far it is, how it ended."),
    "consumption": ("consumption", "Consumption: what machines used, by month."),
    "requests": ("requests", "Requests for more quota: yours, and those that you decide."),
    "grants": ("grants", "Grants: who holds which role on which pool."),
    "users": ("users", "Users of all realms."),
    "desk": ("help_desk", "Help desk: find what a call is about."),
    "notes": ("help_desk", "Notes on machines, pools, hosts, storage, images and people."),
    "cases": ("help_desk", "Cases that the help desk handed over."),
    "roles": ("roles", "Roles: named sets of privileges."),
    "groups": ("roles", "Groups of the directories."),
    "realms": ("realms", "Realms: where users are checked."),
    "loans": ("arrangements", "Loans: quota lent to a pool beside until a day."),
    "sets": ("sets", "Sets (logical groups): named sets of things across the tree."),
    "tags": ("sets", "Tags: words by which things are found again."),
    "articles": ("articles", "Articles of the knowledge base."),
    "audit": ("audit", "Audit log: who did what to what, with which outcome."),
    "tokens": ("own", "Tokens of yours: what programs sign in with."),
    "sessions": ("own", "Sessions of yours: browsers that are signed in."),
    "rights": ("own", "Show what you may do, and why."),
    "password": ("own", "Change your password; old and new one are asked for."),
    "events": ("events", "Print what changes, as it changes: kind and id, a line each."),
    "extensions": ("session", "List what was added to this version of the API, by name."),
    "api": ("api", "Send METHOD to PATH below /api/v1 and print the JSON that comes back."),
    "shell": ("shell", "Type commands one after the other, with history and completion."),
    "completion": ("completion", "Print the completion script of a shell."),
}
"""Name -> module of ovcadmin.cli that holds a command of this name, and what help says of it."""

INTERRUPTED = 130


class Root(click.Group):
    """Loads a command when it is asked for; takes the singular for the plural."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name if cmd_name in COMMANDS else f"{cmd_name}s"
        if name not in COMMANDS:
            return None
        module = import_module(f"ovcadmin.cli.{COMMANDS[name][0]}")
        found: click.Command = getattr(module, name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand:  # click knows no names here to propose one of
            raise NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nFirst steps:\n  ovc login https://cloud.example.org\n  ovc machines list\n"
    "  ovc machines create --help",
)
@click.version_option(package_name="ovcadmin", message="ovc %(version)s")
def root() -> None:
    """OpenvCloud from the command line, by its REST API.

    Exit codes: 0 done, 1 an operation failed, 2 typed wrongly, 3 refused, 4 not found,
    5 not signed in or not allowed, 6 not reachable, 7 still running when waiting ended.
    """


def main() -> None:
    """Run the command line and exit with the code of what happened."""
    sys.exit(_run())


def _run() -> int:
    if os.environ.get("_OVC_COMPLETE"):
        root(prog_name="ovc", complete_var="_OVC_COMPLETE")
    return run_words(None)


def run_words(words: list[str] | None) -> int:
    """Run one command and tell what went wrong; return its exit code.

    `words` None takes those of the process.
    """
    color: Any = False if os.environ.get("NO_COLOR") else None
    try:
        answer = root(words, prog_name="ovc", standalone_mode=False, color=color)
    except click.exceptions.Exit as ended:
        return int(ended.exit_code)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except PermissionError as error:
        click.echo(f"{click.style('Error:', fg='red')} {error}", err=True)
        return 1
    except BrokenPipeError:
        # Whoever read our output has enough; the interpreter must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return answer if isinstance(answer, int) else 0

"""The local command `ovcadmin`.

It works on the database and the processes of this machine with the rights of whoever may read
the settings file; `ovc`, the client of the REST API, is another command.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ovcadmin.errors import DomainError, InvalidInput

COMMANDS = {
    "init": "with_database",
    "serve": "with_database",
    "gateway": "without_database",
    "web": "without_database",
    "worker": "without_database",
    "status": "with_database",
    "db": "with_database",
    "quota": "with_database",
    "audit": "with_database",
    "user": "with_database",
    "token": "with_database",
    "config": "without_database",
    "docs": "without_database",
    "simulate": "simulate",
}
"""Name -> module of ovcadmin.manage that holds a command of this name."""


class Commands(click.Group):
    """Loads what the asked command needs; turns domain errors into a message and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"ovcadmin.manage.{COMMANDS[cmd_name]}")
        found: click.Command = getattr(module, cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InvalidInput as error:
            details = [f"  {name}: {text}" for name, text in error.fields.items()]
            raise click.ClickException("\n".join([error.text, *details])) from error
        except DomainError as error:
            raise click.ClickException(error.text) from error


@click.group(cls=Commands)
def main() -> None:
    """Run and look after OpenvCloud admin on this machine."""


if __name__ == "__main__":
    main()

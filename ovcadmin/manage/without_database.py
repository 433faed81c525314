"""Commands of `ovcadmin` that need no database, and do not load what it takes."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from ovcadmin import log
from ovcadmin.config import PREFIX, Settings
from ovcadmin.manage import reference
from ovcadmin.manage.processes import command

INI = click.argument(
    "ini", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="INI"
)


def settings_of(ini: Path) -> Settings:
    """Read the settings, and log as they say."""
    settings = Settings.from_file(ini)
    log.configure(settings.log_level)
    return settings


def _process(kind: str) -> click.Command:
    @click.command(name=kind, help=f"Run one {kind} process in the foreground.")
    @INI
    def run(ini: Path) -> None:
        settings_of(ini)
        words = command(kind, ini)
        os.execv(words[0], words)  # noqa: S606 - our own interpreter, without a shell

    return run


gateway = _process("gateway")
web = _process("web")
worker = _process("worker")


@click.command()
@INI
def config(ini: Path) -> None:
    """Show the settings that are in force."""
    settings = settings_of(ini)
    for spec in fields(settings):
        value = log.without_password(reference.show(getattr(settings, spec.name)))
        click.echo(f"{PREFIX}{spec.name} = {value}")


@click.group()
def docs() -> None:
    """Pages of the documentation that are written by the program."""


@docs.command(name="settings")
@click.argument("file", type=click.File("w", encoding="utf-8"), default="-")
def settings_page(file: Any) -> None:
    """Write the reference of settings to FILE (docs/configuration.md) or the screen."""
    file.write(reference.settings_page())


@docs.command(name="commands")
@click.argument("file", type=click.File("w", encoding="utf-8"), default="-")
def page_of_commands(file: Any) -> None:
    """Write the reference of ovc to FILE (docs/ovc-commands.md) or the screen."""
    from ovcadmin.manage import commands  # noqa: PLC0415 - loads the whole client

    file.write(commands.commands_page())


@docs.command(name="faces")
@click.argument("file", type=click.File("w", encoding="utf-8"), default="-")
def page_of_faces(file: Any) -> None:
    """Write what pages tell of ovc to FILE (ovcadmin/views/faces.json) or the screen."""
    from ovcadmin.manage import faces  # noqa: PLC0415 - loads the whole client

    file.write(faces.page())


@docs.command(name="man")
@click.argument("file", type=click.File("w", encoding="utf-8"), default="-")
def page_of_the_manual(file: Any) -> None:
    """Write the manual page of ovc to FILE (docs/ovc.1) or the screen."""
    from ovcadmin.manage import man  # noqa: PLC0415 - loads the whole client

    file.write(man.man_page())

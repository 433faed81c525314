"""`ovcadmin docs commands`: what pages, calls of the API and commands of `ovc` do the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

import click
import yaml

from ovcadmin.api import CONTRACT
from ovcadmin.cli.command import OvcCommand
from ovcadmin.cli.main import root
from ovcadmin.manage import parity

_METHODS = ("get", "post", "put", "patch", "delete")
_CALLS = """\
# Commands of `ovc`

How to begin stands in [the guide](ovc.md).  This page is written by `ovcadmin docs commands` from
the commands themselves and the API's [contract](../ovcadmin/api/openapi/v1.yaml).

## What can be done, and where

| what | call of the API | command | page |
|---|---|---|---|
"""
_PEOPLE_ONLY = """
## For people only

| page | why |
|---|---|
"""
_COMMANDS = """
## Commands

All options and more examples: `ovc COMMAND --help`.

| command | what it does | example |
|---|---|---|
"""


@cache
def commands() -> dict[str, click.Command]:
    """Return every command by what is typed, such as `ovc machines list`."""
    return dict(_below(root, click.Context(root, info_name="ovc")))


def _below(group: click.Group, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        assert found is not None
        inner = click.Context(found, info_name=name, parent=ctx)
        if isinstance(found, click.Group):
            yield from _below(found, inner)
        else:
            yield inner.command_path, found


@cache
def callers() -> dict[str, list[str]]:
    """Return which commands make each call of the API, by its operationId."""
    found: dict[str, list[str]] = {}
    for path, command in commands().items():
        for name in command.calls if isinstance(command, OvcCommand) else ():
            found.setdefault(name, []).append(path)
    return found


@cache
def calls() -> dict[str, tuple[str, str]]:
    """Return each call of the contract by its operationId: method with path, and summary."""
    paths = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))["paths"]
    return {
        item[method]["operationId"]: (f"{method.upper()} {path}", item[method]["summary"])
        for path, item in paths.items()
        for method in _METHODS
        if method in item
    }


def commands_page() -> str:
    by, pages, patterns = callers(), parity.pages_of(), parity.pages()
    made = "".join(
        f"| {summary} | `{call}` | {_listed(by.get(name, ()))} | "
        f"{_listed(_readable(patterns[route]) for route in pages.get(name, ())) or _why(name)} |\n"
        for name, (call, summary) in calls().items()
    )
    alone = "".join(
        f"| `{_readable(patterns[route])}` | {why} |\n" for route, why in parity.PEOPLE_ONLY.items()
    )
    known = "".join(
        f"| `{path}` | {command.get_short_help_str(200)} | {_example(command)} |\n"
        for path, command in commands().items()
    )
    return f"{_CALLS}{made}{_PEOPLE_ONLY}{alone}{_COMMANDS}{known}"


def _listed(words: Iterable[str]) -> str:
    return "<br>".join(f"`{word}`" for word in words)


def _why(call: str) -> str:
    return parity.PROGRAMS_ONLY.get(call, "")


def _readable(pattern: str) -> str:
    """Return a route's pattern without its regular expressions."""
    return re.sub(r"\{([a-z]+):(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", pattern)


def _example(command: click.Command) -> str:
    lines = command.examples[:1] if isinstance(command, OvcCommand) else ()
    return "".join(f"`{line}`" for line in lines).replace("|", "\\|")

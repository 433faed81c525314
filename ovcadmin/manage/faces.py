"""`ovcadmin docs faces`: what stands at the foot of each page, drawn from commands and contract.

The web process knows nothing of the client, so the table is written beforehand, into
ovcadmin/views/faces.json: route of a page -> the calls that do what it does, with their commands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import click

from ovcadmin.manage import parity
from ovcadmin.manage.commands import callers, calls, commands

_BY_NAME = ("/roles/", "/realms/", "/groups/")
"""Where digits are a name to `ovc`, not an id."""
_PARENTS = {"/pools/": ("--pool", "--parent"), "/storage-pools/": ("--storage-pool", "--storage")}
"""Options that say in what something is made, by where its path begins."""
_COMMON = 6
"""Options that every command has."""
_PARTS = {
    "SECTION/NAME": "{section}/{slug}",
    "NUMBER": "{number}",
    "DRIVE": "{target}",
    "MAC": "{mac}",
}


def page() -> str:
    """Return the table as it stands in the file."""
    made = {route: list(_deeds(route, names)) for route, names in parity.SAME.items()}
    told = {route: deeds for route, deeds in made.items() if deeds}
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def _deeds(route: str, names: tuple[str, ...]) -> Iterator[dict[str, object]]:
    known, by, all_calls = commands(), callers(), calls()
    for name in names:
        call, summary = all_calls[name]
        if call.startswith("GET ") or call.endswith("/preview"):
            continue
        lines = [_line(route, call, path, known[path]) for path in by[name]]
        yield {"what": summary, "call": call, "commands": lines}


def _line(route: str, call: str, path: str, command: click.Command) -> str:
    """Return a command as it is typed; in braces what the page knows."""
    where = call.partition(" ")[2]
    holder = "" if where.endswith("/move") else _holder(where, command)
    words, first = [path], "{id}" in where and not holder and not where.startswith(_BY_NAME)
    context = click.Context(command)
    for one in command.params:
        if not isinstance(one, click.Argument):
            continue
        sign = one.make_metavar(context)
        kind = re.sub(r"_(note|tags|hand_over)$", "", route)
        if isinstance(one.type, click.Choice) and kind in one.type.choices:
            words.append(kind)
            first = True
        elif first and sign.removesuffix("...") in ("NAME", "ID", "NUMBER", "THING"):
            words.append("{id}")
            first = False
        else:
            words.append(_known(sign, where))
    return " ".join([*words, *_options(command, context, holder)])


def _known(sign: str, where: str) -> str:
    part = _PARTS.get(sign, "")
    return part if part and all(name in where for name in re.findall(r"\{\w+\}", part)) else sign


def _holder(where: str, command: click.Command) -> str:
    """Return the option that takes what the path begins with; blank where an argument does."""
    named = next((names for start, names in _PARENTS.items() if where.startswith(start)), ())
    return next((one.opts[-1] for one in _needed(command) if one.opts[-1] in named), "")


def _needed(command: click.Command) -> Iterator[click.Option]:
    return (one for one in command.params if isinstance(one, click.Option) and one.required)


def _options(command: click.Command, context: click.Context, holder: str) -> Iterator[str]:
    needed = list(_needed(command))
    for one in needed:
        flag = one.opts[-1]
        yield f"{flag} {'{id}' if flag == holder else one.make_metavar(context)}"
    if sum(isinstance(one, click.Option) for one in command.params) > _COMMON + len(needed):
        yield "[OPTIONS]"

"""Options that say what a guest is told at its first boot, by cloud-init."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ovcadmin.cli.command import secret

F = TypeVar("F", bound=Callable[..., Any])

TEXTS = ("hostname", "user")
FILES = ("user_data", "network_config")

_OPTIONS = (
    click.option("--hostname", default="", help="Its host name; else from its own name."),
    click.option("--user", default="", help="A user that cloud-init makes in the guest."),
    click.option("--password", is_flag=True, help="Ask for a password of this user."),
    click.option("--ssh-key", multiple=True, metavar="KEY", help="A public key; repeatable."),
    click.option("--ssh-keys", type=click.File("r"), help="A file of public keys, one a line."),
    click.option("--user-data", type=click.File("r"), help="More of cloud-config, YAML."),
    click.option("--network-config", type=click.File("r"), help="Its network, YAML."),
)


def options(command: F) -> F:
    """Add the options to a command; `folded` makes of them what the API takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def folded(given: dict[str, Any]) -> dict[str, Any]:
    """Return the body with what was said of the first boot under `cloud_init`."""
    body = dict(given)
    told: dict[str, Any] = {name: body.pop(name) for name in TEXTS}
    told |= {name: file.read() if file else "" for name in FILES for file in [body.pop(name)]}
    keys, file = list(body.pop("ssh_key")), body.pop("ssh_keys")
    keys += file.read().splitlines() if file else []
    told["ssh_keys"] = [key for key in keys if key.strip()]
    if body.pop("password"):
        told["password"] = secret("Password")
    held = {name: value for name, value in told.items() if value}
    return {**body, "cloud_init": held} if held else body

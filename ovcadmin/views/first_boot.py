"""The fields that say what a guest is told at its first boot, for machines and profiles."""

from __future__ import annotations

from typing import Any

import colander

from ovcadmin.services import cloud_init
from ovcadmin.services.cloud_init import Wish
from ovcadmin.views.forms import text

NAMES = ("hostname", "user", "ssh_keys", "password", "user_data", "network_config")


class FirstBoot(colander.Schema):
    """What cloud-init in the guest reads."""

    hostname = text("Host name", longest=253, missing="", hint="Empty: from the machine's name.")
    user = text(
        "User", longest=32, missing="",
        hint="Made with the right to become root; empty for the one that the image makes.",
    )  # fmt: skip
    ssh_keys = text(
        "SSH keys", kind="textarea", longest=100_000, missing="", hint="Public keys, one a line."
    )
    password = text(
        "Password of this user", kind="password", longest=200, missing="",
        autocomplete="new-password", hint="Only its hash is kept. Better leave it empty: use keys.",
    )  # fmt: skip
    user_data = text(
        "More cloud-config", kind="textarea", longest=cloud_init.LONGEST_TEXT, missing="",
        hint="YAML, such as packages: [nginx]. What it says goes before the fields above.",
    )  # fmt: skip
    network_config = text(
        "Network of the guest", kind="textarea", longest=cloud_init.LONGEST_TEXT, missing="",
        hint="YAML of cloud-init, version 1 or 2; empty for DHCP.",
    )  # fmt: skip


def added_to(schema: Any) -> Any:
    """Return the schema with these fields after its own."""
    for node in FirstBoot():
        schema.add(node)
    return schema


def taken(values: dict[str, Any]) -> Wish:
    """Take the fields out of a form's values."""
    return Wish.of({name: values.pop(name) for name in NAMES})


def body(form: Any) -> dict[str, Any]:
    """Return what the form says as the API takes it; a password is not written out."""
    found: dict[str, Any] = {
        name: form[name].value for name in NAMES if form[name].value and name != "password"
    }
    if "ssh_keys" in found:
        found["ssh_keys"] = found["ssh_keys"].splitlines()
    return {"cloud_init": found} if found else {}


def options(form: Any) -> dict[str, Any]:
    """Return the same as options of `ovc`."""
    files = {"ssh_keys": "keys.pub", "user_data": "more.yml", "network_config": "net.yml"}
    given = {name: form[name].value for name in NAMES if form[name].value}
    return {
        name: files.get(name, True if name == "password" else value)
        for name, value in given.items()
    }

"""First boot: what a guest with cloud-init is told by its seed (NoCloud, a small ISO).

What people give is checked here, once, and kept with the machine or the profile; the words that
may hold secrets are sealed.  The seed itself is made anew whenever it is needed and kept nowhere
but on the machine's own storage.
"""

from __future__ import annotations

import base64
import crypt
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pycdlib
import yaml

from ovcadmin.errors import InvalidInput
from ovcadmin.services import seals
from ovcadmin.work import Work

LABEL = "cidata"
"""The name by which cloud-init knows its disk."""
LONGEST_TEXT = 32 * 1024
MOST_KEYS = 32
LEAST_PASSWORD = 8

_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_KEY_TYPES = (
    "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)  # fmt: skip
SEALED = ("password", "user_data", "network_config")

Kept = dict[str, Any]
"""As it lies in the database: `hostname`, `user`, `ssh_keys`, `holds` (which of SEALED are there)
and `sealed`."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What people give.  Texts of YAML as cloud-init takes them."""

    hostname: str = ""
    """Empty: from the machine's name."""
    user: str = ""
    """Empty: the one that the image makes by itself."""
    password: str = ""
    ssh_keys: tuple[str, ...] = ()
    user_data: str = ""
    """A mapping of cloud-config; what it says goes before the fields here."""
    network_config: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Wish:
        """Read from a form or a request; keys may come as lines of one text."""
        keys = given.get("ssh_keys") or ()
        lines = keys.splitlines() if isinstance(keys, str) else keys
        texts = {
            name: str(given.get(name) or "")
            for name in ("hostname", "user", "password", "user_data", "network_config")
        }
        return cls(ssh_keys=tuple(line.strip() for line in lines if line.strip()), **texts)


NOTHING = Wish()


def keep(work: Work, wish: Wish) -> Kept | None:
    """Check what was given and return what is written down, None for nothing at all.

    Raises `InvalidInput`.
    """
    if wish == NOTHING:
        return None
    checks = {
        "hostname": _hostname, "user": _user, "password": _password, "ssh_keys": _keys,
        "user_data": _user_data, "network_config": _network_config,
    }  # fmt: skip
    wrong = {name: told for name, check in checks.items() if (told := check(wish))}
    if wrong:
        raise InvalidInput("What its first boot is told cannot be used.", fields=wrong)
    secret = {"user_data": wish.user_data, "network_config": wish.network_config}
    if wish.password:
        secret["password"] = crypt.crypt(wish.password, crypt.mksalt(crypt.METHOD_SHA512))
    held = {name: secret[name] for name in SEALED if secret.get(name)}
    return {
        "hostname": wish.hostname,
        "user": wish.user,
        "ssh_keys": list(wish.ssh_keys),
        "holds": list(held),
        "sealed": seals.seal(work, json.dumps(held)) if held else "",
    }


def hostname_of(name: str) -> str:
    """Make a host name of a machine's name: `Web 01` becomes `web-01`."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-")
    return plain or "machine"


def seed(work: Work, kept: Kept, *, uuid: str, name: str) -> bytes:
    """Build the seed of a machine.  Raises `SettingInvalid` with the wrong key."""
    held = json.loads(seals.unseal(work, kept["sealed"])) if kept["sealed"] else {}
    host = kept["hostname"] or hostname_of(name)
    files = {
        "meta-data": yaml.safe_dump({"instance-id": uuid, "local-hostname": host}),
        "user-data": "#cloud-config\n" + yaml.safe_dump(_told(kept, held), sort_keys=False),
    }
    if held.get("network_config"):
        files["network-config"] = held["network_config"]
    return disc(files)


def _told(kept: Kept, held: Mapping[str, str]) -> dict[str, Any]:
    """Return the cloud-config: a user of one's own beside the image's, or keys for that one."""
    found: dict[str, Any] = {}
    if kept["user"]:
        user: dict[str, Any] = {
            "name": kept["user"],
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "shell": "/bin/bash",
            "lock_passwd": "password" not in held,
            "ssh_authorized_keys": kept["ssh_keys"],
        }
        if "password" in held:
            user["passwd"] = held["password"]
            found["ssh_pwauth"] = True
        found["users"] = ["default", user]
    elif kept["ssh_keys"]:
        found["ssh_authorized_keys"] = kept["ssh_keys"]
    return found | (yaml.safe_load(held["user_data"]) if held.get("user_data") else {})


def disc(files: Mapping[str, str], label: str = LABEL) -> bytes:
    """Return an ISO with these texts in it, under the label that its reader looks for."""
    made = pycdlib.PyCdlib()
    made.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=label)
    for name, text in files.items():
        content = text.encode()
        plain = name.upper().replace("-", "_")
        short = f"/{plain};1" if "." in plain else f"/{plain}.;1"
        made.add_fp(io.BytesIO(content), len(content), short, rr_name=name, joliet_path=f"/{name}")
    out = io.BytesIO()
    made.write_fp(out)
    made.close()
    return out.getvalue()


# --- what is wrong with a field; empty when nothing is --------------------------------------------


def _hostname(wish: Wish) -> str:
    if wish.hostname and (len(wish.hostname) > 253 or not _HOSTNAME.fullmatch(wish.hostname)):
        return "Use lower-case letters, digits, hyphens and dots, such as web01."
    return ""


def _user(wish: Wish) -> str:
    if wish.user and not _USER.fullmatch(wish.user):
        return "Use lower-case letters, digits, - and _, beginning with a letter."
    return ""


def _password(wish: Wish) -> str:
    if wish.password and not wish.user:
        return "Say whose password it is: fill in the user."
    if wish.password and not LEAST_PASSWORD <= len(wish.password) <= 200:
        return f"Use {LEAST_PASSWORD} to 200 characters."
    return ""


def _keys(wish: Wish) -> str:
    if len(wish.ssh_keys) > MOST_KEYS:
        return f"Give at most {MOST_KEYS} keys."
    bad = [number for number, key in enumerate(wish.ssh_keys, 1) if not _is_key(key)]
    return f"Line {bad[0]} is no public key of SSH, such as ssh-ed25519 AAAA…" if bad else ""


def _is_key(line: str) -> bool:
    kind, _, rest = line.partition(" ")
    if kind not in _KEY_TYPES or len(line) > 8192 or not line.isprintable():
        return False
    try:
        raw = base64.b64decode(rest.split(" ", 1)[0], validate=True)
    except ValueError:  # no base64, or not even ASCII
        return False
    return raw[4 : 4 + int.from_bytes(raw[:4])] == kind.encode()


def _user_data(wish: Wish) -> str:
    return _mapping(wish.user_data)


def _network_config(wish: Wish) -> str:
    told = _mapping(wish.network_config)
    if told or not wish.network_config.strip():
        return told
    found = yaml.safe_load(wish.network_config)
    inner = found.get("network", found)
    if not isinstance(inner, dict) or inner.get("version") not in (1, 2):
        return "It must say version: 1 or version: 2."
    return ""


def _mapping(text: str) -> str:
    if not text.strip():
        return ""
    if len(text) > LONGEST_TEXT:
        return f"Use at most {LONGEST_TEXT} characters."
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        return f"This is no YAML: {place}{error.problem}."
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return f"This is no YAML: {error}."
    return "" if isinstance(found, dict) else "It must be a mapping: lines of “key: value”."

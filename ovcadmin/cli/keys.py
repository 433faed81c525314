"""Where tokens are kept: the key ring of the desktop when there is one, else the profiles' file.

`keyring` and its backends take long to load, so nothing here is imported before a token is needed.
OVC_KEYRING=off keeps tokens in the file.
"""

from __future__ import annotations

import os
from typing import Any

SERVICE = "ovc"
OFF = "off"


def put(profile: str, url: str, token: str) -> bool:
    """Put a token into the key ring; False when there is none that can be used."""
    ring = _ring()
    if ring is None:
        return False
    try:
        ring.set_password(SERVICE, _name(profile, url), token)
        return bool(ring.get_password(SERVICE, _name(profile, url)) == token)
    except Exception:  # noqa: BLE001 - each backend fails in its own way; the file always works
        return False


def get(profile: str, url: str) -> str:
    """Return the token of a profile; blank when the key ring does not give it."""
    ring = _ring()
    try:
        found = ring.get_password(SERVICE, _name(profile, url)) if ring is not None else None
    except Exception:  # noqa: BLE001 - locked, or its service is gone: as if it were not there
        found = None
    return found or ""


def forget(profile: str, url: str) -> None:
    ring = _ring()
    try:
        if ring is not None:
            ring.delete_password(SERVICE, _name(profile, url))
    except Exception:  # noqa: BLE001 - it is not there any more
        return


def _name(profile: str, url: str) -> str:
    # The address is part of it: a token is sent to none but its own.
    return f"{profile} {url}"


def _ring() -> Any:
    """Return the key ring that works here, None when there is none."""
    if os.environ.get("OVC_KEYRING", "").lower() == OFF:
        return None
    try:
        import keyring  # noqa: PLC0415 - see above
        from keyring.backends import fail, null  # noqa: PLC0415

        ring = keyring.get_keyring()
    except Exception:  # noqa: BLE001 - a broken set of backends is as good as none
        return None
    return None if isinstance(ring, (fail.Keyring, null.Keyring)) else ring

"""Where the console is and what one may do there: profiles of `ovc login`, and the environment.

A profile is a section of `ovc/profiles.ini` below the XDG configuration directory.  Its token is
in the desktop's key ring, or, where there is none, in that file, which only its owner may read.
OVC_URL, OVC_TOKEN, OVC_CA and OVC_PROFILE win over it.
"""

from __future__ import annotations

import os
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ovcadmin.cli.failures import Exit, Failure, usage

DEFAULT = "default"


@dataclass(frozen=True)
class Profile:
    """`ca` is a file of certificates to trust instead of the system's; empty for the system's."""

    url: str
    token: str
    ca: str = ""

    def __repr__(self) -> str:
        return f"Profile({self.url})"


def path() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home, "ovc", "profiles.ini")


def chosen(name: str | None) -> str:
    return name or os.environ.get("OVC_PROFILE") or DEFAULT


def names() -> list[str]:
    return _read().sections()


def load(name: str | None) -> Profile:
    """Return the profile with what the environment says instead.

    A stored token is sent to the address that it was stored with and to no other.
    """
    url, token = os.environ.get("OVC_URL", ""), os.environ.get("OVC_TOKEN", "")
    if not (url and token):
        stored = stored_profile(chosen(name), needed=bool(name) or not url)
        same = stored is not None and (not url or address(url) == stored.url)
        if stored is not None and same:
            url, token = stored.url, token or stored.token or _from_ring(name, stored.url)
            return Profile(url, token, os.environ.get("OVC_CA") or stored.ca)
    if not token:
        raise Failure(
            f"There is no token for {url}: set OVC_TOKEN, or `ovc login {url}`.", Exit.FORBIDDEN
        )
    return Profile(address(url), token, os.environ.get("OVC_CA", ""))


def stored_profile(name: str, *, needed: bool = True) -> Profile | None:
    found = _read()
    if name in found:
        section = found[name]
        return Profile(section.get("url", ""), section.get("token", ""), section.get("ca", ""))
    if needed:
        raise Failure(
            f"You are not signed in ({name}): `ovc login URL`, or set OVC_URL and OVC_TOKEN.",
            Exit.FORBIDDEN,
        )
    return None


def address(url: str) -> str:
    """Return the address of a console in the one form that is kept."""
    whole = url if "://" in url else f"https://{url}"
    parts = urlsplit(whole)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise usage(f"“{url}” is no address of a console, such as https://cloud.example.org.")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def store(name: str, profile: Profile) -> bool:
    """Keep the profile; tell whether its token is in the key ring."""
    from ovcadmin.cli import keys  # noqa: PLC0415 - takes long to load

    found = _read()
    kept = keys.put(name, profile.url, profile.token)
    found[name] = {"url": profile.url} if kept else {"url": profile.url, "token": profile.token}
    if profile.ca:
        found[name]["ca"] = profile.ca
    _write(found)
    return kept


def forget(name: str) -> bool:
    """Remove the profile; False when there was none."""
    from ovcadmin.cli import keys  # noqa: PLC0415 - takes long to load

    found = _read()
    if name not in found:
        return False
    if "token" not in found[name]:
        keys.forget(name, found[name].get("url", ""))
    found.remove_section(name)
    _write(found)
    return True


def _from_ring(name: str | None, url: str) -> str:
    from ovcadmin.cli import keys  # noqa: PLC0415 - takes long to load

    token = keys.get(chosen(name), url)
    if not token:
        raise Failure(
            f"The key ring does not give the token for {url}: unlock it, or `ovc login {url}`.",
            Exit.FORBIDDEN,
        )
    return token


def _read() -> ConfigParser:
    # DEFAULT of ini files would hold for all profiles: a name that nobody takes.
    found = ConfigParser(interpolation=None, default_section="\0")
    where = path()
    try:
        with where.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise Failure(
                    f"{where} holds tokens and others may read it: chmod 600 {where}", Exit.USAGE
                )
            found.read_file(file)
    except FileNotFoundError:
        pass
    except (Error, OSError, UnicodeError) as error:
        raise usage(f"{where} cannot be read: {error}") from error
    return found


def _write(profiles: ConfigParser) -> None:
    """Replace the file as a whole; nobody else can read it at any moment."""
    where = path()
    fresh = where.with_name(f".{where.name}.{os.getpid()}")
    try:
        where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            profiles.write(file)
        fresh.replace(where)
    except OSError as error:
        raise usage(f"{where} cannot be written: {error}") from error

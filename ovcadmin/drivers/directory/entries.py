"""From entries to people and groups, and from names to filters."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from ldap3.utils.conv import escape_bytes, escape_filter_chars
from ldap3.utils.dn import escape_rdn

from ovcadmin.domain import names
from ovcadmin.drivers.directory.base import Group, Person
from ovcadmin.drivers.directory.connection import Entry
from ovcadmin.drivers.directory.shapes import Encoding, Moment, Shape, Switch
from ovcadmin.errors import DirectoryRefused

log = structlog.get_logger(__name__)

LONGEST_TEXT = 200
_PART = re.compile(r"([^=,+]*)=((?:[^,+\\]|\\.)*)([,+]?)", re.DOTALL)
"""Attribute, value and separator of one part of a DN.  (ldap3's own parser wants = escaped.)"""
_ESCAPE = re.compile(rb"\\(?:([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_FILETIME_ZERO = datetime(1601, 1, 1, tzinfo=UTC)
_FILETIME_NEVER = (0, 2**63 - 1)


# --- filters ---
def equals(attribute: str, value: str | bytes) -> str:
    """Return the filter for one value, which may hold anything."""
    # escape_bytes alone would be right for text too, but nobody could read a log of it.
    plain = escape_bytes(value) if isinstance(value, bytes) else escape_filter_chars(value)
    return f"({attribute}={plain})"


def both(*filters: str) -> str:
    return f"(&{''.join(filters)})"


def either(*filters: str) -> str:
    return f"(|{''.join(filters)})"


def by_key(shape: Shape, key: str) -> str | None:
    """Return the filter that finds a lasting id; None for what cannot be one."""
    if shape.key_encoding == Encoding.TEXT:
        return equals(shape.key, key)
    try:
        return equals(shape.key, UUID(key).bytes_le)
    except ValueError:
        return None


# --- DNs ---
@functools.lru_cache(maxsize=4096)
def dn_key(dn: str) -> str:
    """Return the DN in the one spelling that all its spellings share.

    Case, spaces around separators and the way of escaping differ between an entry and those that
    refer to it.
    """
    return "".join(
        f"{name.strip().lower()}={_escaped(_fold(_unescaped(value)))}{separator}"
        for name, value, separator in _PART.findall(dn)
    )


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    raw = _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]) if m[1] else m[2], value.encode())
    return raw.decode(errors="replace")


def _escaped(value: str) -> str:
    # A comma is never left as one: what follows it would look like a base.
    return escape_rdn(value).replace("\\=", "=").replace("\\,", "\\2c") if value else ""


def _fold(text: str) -> str:
    # No wider than the directory's own idea of equal: two groups must never become one.
    return " ".join(unicodedata.normalize("NFC", text).lower().split())


def below(key: str, base: str) -> bool:
    """Whether the entry with this `dn_key` stands below a base (a `dn_key` too)."""
    return key == base or key.endswith("," + base)


# --- values ---
def raw_values(entry: Entry, attribute: str) -> Sequence[bytes]:
    if not attribute:
        return ()
    return entry["raw_attributes"].get(attribute) or ()


def texts(entry: Entry, attribute: str) -> list[str]:
    return [value.decode(errors="replace") for value in raw_values(entry, attribute)]


def first(entry: Entry, attribute: str) -> str:
    return next(iter(texts(entry, attribute)), "")


def tidy(text: str) -> str:
    """Make one line of at most `LONGEST_TEXT` characters, without what only deceives."""
    shown = (c if unicodedata.category(c)[0] != "C" else " " for c in text[: LONGEST_TEXT * 4])
    return " ".join(unicodedata.normalize("NFC", "".join(shown)).split())[:LONGEST_TEXT]


def moment(entry: Entry, kind: Moment) -> datetime | None:
    """Return when; None for never, and for what is no time."""
    text = first(entry, kind.attribute)
    try:
        if kind.encoding == Encoding.FILETIME:
            ticks = int(text or 0)
            never = ticks in _FILETIME_NEVER
            return None if never else _FILETIME_ZERO + timedelta(microseconds=ticks // 10)
        return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC) if text else None
    except (ValueError, OverflowError):
        return None


def is_on(entry: Entry, switch: Switch) -> bool:
    text = first(entry, switch.attribute)
    if switch.bit:
        return text.lstrip("-").isdigit() and bool(int(text) & switch.bit)
    return text.casefold() == switch.on.casefold()


def key_of(entry: Entry, shape: Shape) -> str:
    """Return the lasting id.  Without one nobody can be told from his successor: it raises."""
    raw = next(iter(raw_values(entry, shape.key)), b"")
    if shape.key_encoding == Encoding.GUID and len(raw) == 16:
        return str(UUID(bytes_le=bytes(raw)))
    key = raw.decode(errors="replace")
    if not key or shape.key_encoding == Encoding.GUID:
        raise DirectoryRefused(
            f"{entry['dn']} shows no {shape.key}: let the service account read it.",
            dn=entry["dn"],
            attribute=shape.key,
        )
    return key


# --- people and groups ---
def person_attributes(shape: Shape) -> list[str]:
    wanted = [shape.key, shape.name, *shape.display_name, shape.email, shape.member_of]
    wanted += [shape.principal, shape.disabled.attribute, shape.end.attribute if shape.end else ""]
    return [name for name in dict.fromkeys(wanted) if name]


def group_attributes(shape: Shape, *, members: bool = False) -> list[str]:
    return [shape.key, shape.group_name, *([shape.member] if members else ())]


def person(entry: Entry, shape: Shape, now: datetime) -> Person | None:
    """Make a person of an entry; None when nobody could type the name (a line break in it)."""
    name = _name(entry, shape.name)
    if name is None:
        return None
    shown = next(filter(None, (tidy(first(entry, a)) for a in shape.display_name)), name)
    email = first(entry, shape.email)
    end = moment(entry, shape.end) if shape.end else None
    in_groups = (dn_key(dn) for dn in texts(entry, shape.member_of))
    groups_base = dn_key(shape.groups_base)
    return Person(
        key=key_of(entry, shape),
        dn=entry["dn"],
        dn_key=dn_key(entry["dn"]),
        name=name,
        display_name=shown,
        email=email if email == tidy(email) and "@" in email and " " not in email else "",
        disabled=is_on(entry, shape.disabled) or (end is not None and end <= now),
        groups=tuple(key for key in in_groups if below(key, groups_base)),
    )


def group(entry: Entry, shape: Shape, *, members: bool = False) -> Group | None:
    """Make a group of an entry; None when its name cannot be shown."""
    name = _name(entry, shape.group_name)
    if name is None:
        return None
    return Group(
        key=key_of(entry, shape),
        dn=entry["dn"],
        dn_key=dn_key(entry["dn"]),
        name=name,
        members=tuple(dn_key(dn) for dn in texts(entry, shape.member)) if members else None,
    )


def _name(entry: Entry, attribute: str) -> str | None:
    try:
        return names.clean(first(entry, attribute))
    except ValueError as error:
        log.warning("directory.name_refused", dn=entry["dn"], why=str(error))
        return None

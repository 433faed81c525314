"""Names that people give: any text that can be shown on one line and found again."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 100
_GROUP = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

# Bidirectional controls can make a name read as another one (fault 21).
_FORBIDDEN = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff")


def clean(text: str, longest: int = LONGEST) -> str:
    """Return the name in its normal form, or raise `ValueError` with a text for people.

    Normal form is NFC with surrounding white space removed.  Control characters, line breaks and
    direction marks are refused rather than silently dropped.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise ValueError("Give it a name.")
    if len(name) > longest:
        raise ValueError(f"Use at most {longest} characters; this has {len(name)}.")
    if any(unicodedata.category(c).startswith("C") or c in _FORBIDDEN for c in name):
        raise ValueError("Use letters, digits and punctuation on one line only.")
    if any(unicodedata.category(c) in ("Zl", "Zp") for c in name):
        raise ValueError("Use one line only.")
    return name


def key(name: str) -> str:
    """Return what two names share when people would call them the same: case and width aside."""
    return unicodedata.normalize("NFKC", name).casefold()


def clean_group(text: str) -> str:
    """Return the name of a host group, which is part of a queue's name too, or `ValueError`."""
    name = text.strip()
    if not _GROUP.fullmatch(name):
        raise ValueError("use lower-case letters, digits and hyphens, at most 40")
    return name

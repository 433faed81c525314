"""`ovcadmin docs settings`: the reference of settings, written from their declarations."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from ovcadmin.config import PREFIX, Settings

_HEAD = f"""\
# Configuration

All settings stand in the section `[app:main]` of one ini file, each with the prefix `{PREFIX}`;
`%(here)s` is the directory of the file.  An unknown or bad setting stops the start with its name
and the reason.  `ovcadmin config FILE` shows what is in force.

This page is written by `ovcadmin docs settings` from `ovcadmin/config.py`.

| setting | default | meaning |
|---|---|---|
"""


def settings_page() -> str:
    rows = (
        f"| `{PREFIX}{spec.name}` | {_default(spec.default)} | {spec.metadata['help']} |\n"
        for spec in fields(Settings)
    )
    return _HEAD + "".join(rows)


def show(value: Any) -> str:
    """Write a value as it stands in the ini file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _default(value: Any) -> str:
    if value is MISSING:
        return "*required*"
    shown = show(value)
    return f"`{shown}`" if shown else "*empty*"

"""Values as people read and type them: amounts, times, text that cannot upset a terminal."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import click

_CONTROLS = [*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""C0, C1 and what turns the direction of writing: they would act on the terminal, not show."""
_SHOWN = dict.fromkeys(_CONTROLS, "\N{REPLACEMENT CHARACTER}") | {9: " ", 10: " ", 13: None}

_BYTES = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "pb": 10**15,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "pib": 2**50,
}  # fmt: skip
_AMOUNT = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,6}))?\s*([A-Za-z]{0,3})", re.ASCII)


def clean(text: object) -> str:
    """Return the text on one line, without what a terminal would obey."""
    return str(text).translate(_SHOWN)


def plain(value: Any) -> str:
    """Show any value of the API in a cell."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(plain(inner) for inner in value) or "-"
    if isinstance(value, dict):
        named = value.get("name", value.get("text"))
        return plain(named) if named is not None else clean(json.dumps(value, ensure_ascii=False))
    return clean(value) or "-"


def memory(kib: Any) -> str:
    return "-" if kib is None else _scaled(kib * 1024, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def storage(amount: Any) -> str:
    return "-" if amount is None else _scaled(amount, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))


def _scaled(amount: float, base: int, units: tuple[str, ...]) -> str:
    unit = units[0]
    for larger in units[1:]:
        if abs(amount) < base:
            break
        amount, unit = amount / base, larger
    digits = f"{amount:.1f}" if amount < 100 else f"{amount:.0f}"
    return f"{digits.removesuffix('.0')} {unit}"


def hours(value: Any) -> str:
    return "-" if value is None else f"{value:.2f}"


def moment(text: Any) -> str:
    """Show a time of the API in this machine's time zone."""
    if not text:
        return "-"
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"


def age(text: Any) -> str:
    """Show how long ago a time of the API was."""
    if not text:
        return "-"
    seconds = max((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds(), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


class Amount(click.ParamType[int | str]):
    """An amount with a unit, or `none` for no limit; a bare number is taken in `unit`.

    `scale` bytes are one unit of the API.
    """

    name = "amount"

    def __init__(self, unit: str, scale: int) -> None:
        self.unit, self.scale = unit, scale

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if not isinstance(value, str) or value.lower() == NONE:
            return str(value).lower()
        match = _AMOUNT.fullmatch(value.strip())
        scale = _BYTES.get((match.group(3) or self.unit).lower()) if match else None
        if match is None or scale is None:
            self.fail(f"Write a number and a unit, such as 512MiB or 15GB, not “{value}”.")
        whole, fraction = match.group(1), match.group(2) or ""
        exact = int(whole + fraction) * scale
        return exact // int(10 ** len(fraction)) // self.scale


class Count(click.ParamType[int | str]):
    """A whole number, or `none` for no limit."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if str(value).lower() == NONE:
            return NONE
        if not re.fullmatch(r"[0-9]{1,16}", str(value), re.ASCII):
            self.fail(f"Write a whole number or “none”, not “{value}”.")
        return int(value)


NONE = "none"
MEMORY = Amount("MiB", 1024)
STORAGE = Amount("GB", 1)
COUNT = Count()

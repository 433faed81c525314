"""Amounts as people read and write them.

Memory is written in binary units (MiB, GiB; kept in KiB), storage in decimal ones (GB, TB; kept
in bytes), as in `sizes.yml`: small is 262144 KiB of memory and 15 GB of storage.
"""

from __future__ import annotations

import re

from ovcadmin.domain.resources import LARGEST

_BYTES = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "pb": 10**15,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "pib": 2**50,
}  # fmt: skip

# re.ASCII: "٣" is a digit for Python's int(), and no quantity that anyone meant to type.
_AMOUNT = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,6}))?\s*([A-Za-z]{0,3})", re.ASCII)


def count(text: str) -> int:
    """Read a plain whole number of at most `LARGEST`.

    Raises `ValueError` with a text for people for anything else: signs, fractions, exponents,
    other digits than 0-9.
    """
    if not re.fullmatch(r"[0-9]{1,19}", text.strip(), re.ASCII):
        raise ValueError("Write a whole number with the digits 0 to 9.")
    return _bounded(int(text))


def byte_amount(text: str, *, default_unit: str) -> int:
    """Read an amount such as `15 GB`, `512MiB` or `1.5 TiB` as bytes.

    A bare number is taken in `default_unit`.  Raises `ValueError` with a text for people.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if not match:
        raise ValueError("Write a number and a unit, such as 512 MiB or 15 GB.")
    whole, fraction, unit = match.groups()
    scale = _BYTES.get((unit or default_unit).lower())
    if scale is None:
        raise ValueError(f"“{unit}” is no unit here; use MiB, GiB, TiB, MB, GB or TB.")
    digits = fraction or ""
    exact = int(whole + digits) * scale
    return _bounded(exact // 10 ** len(digits))


def memory_kib(text: str) -> int:
    """Read an amount of memory as KiB; a bare number is MiB."""
    return byte_amount(text, default_unit="MiB") // 1024


def storage_bytes(text: str) -> int:
    """Read an amount of storage as bytes; a bare number is GB."""
    return byte_amount(text, default_unit="GB")


def show_memory(kib: int) -> str:
    """Show KiB as the largest binary unit that keeps it short: `512 MiB`, `1.5 GiB`."""
    return _scaled(kib * 1024, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def show_storage(amount: int) -> str:
    """Show bytes in decimal units: `15 GB`, `1.6 TB`."""
    return _scaled(amount, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))


def show(resource: str, amount: int) -> str:
    """Show an amount of the named resource with its unit."""
    if resource == "memory":
        return show_memory(amount)
    if resource == "storage":
        return show_storage(amount)
    return str(amount)


READERS = {"memory": memory_kib, "storage": storage_bytes}
"""How each resource is read from a form field; the others are plain counts."""


def read(resource: str, text: str) -> int:
    return READERS.get(resource, count)(text)


def write(resource: str, amount: int) -> str:
    """Write an amount for a form field: `read` gives back the very same, nothing is rounded."""
    units = _WRITTEN.get(resource)
    if units is None:
        return str(amount)
    # The largest unit that goes in evenly; the smallest one always does.
    unit, scale = next((pair for pair in units if amount and amount % pair[1] == 0), units[-1])
    return f"{amount // scale} {unit}"


_WRITTEN = {
    "memory": [("TiB", 2**30), ("GiB", 2**20), ("MiB", 2**10), ("KiB", 1)],
    "storage": [("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3), ("B", 1)],
}


def _bounded(value: int) -> int:
    if value > LARGEST:
        raise ValueError("This is more than the console can count.")
    return value


def _scaled(amount: int, base: int, units: tuple[str, ...]) -> str:
    value, unit = float(amount), units[0]
    for larger in units[1:]:
        if abs(value) < base:
            break
        value, unit = value / base, larger
    digits = f"{value:.1f}" if value < 100 else f"{value:.0f}"
    return f"{digits.removesuffix('.0')} {unit}"

"""The way of an embedded terminal to its console: straight to the processes, past any proxy."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

Address = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Direct:
    web: Address
    gateway: Address
    headers: dict[str, str]
    """What a proxy in front would say of the person who types."""


current: Direct | None = None
"""Set once, by the process of an embedded terminal."""


def of(*, url: str, web: str, gateway: str, address: str) -> Direct:
    parts = urlsplit(url)
    return Direct(
        web=_split(web),
        gateway=_split(gateway),
        headers={
            "Host": parts.netloc,
            "X-Forwarded-For": address,
            "X-Forwarded-Proto": parts.scheme,
            "X-Forwarded-Host": parts.netloc,
        },
    )


def _split(address: str) -> Address:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)

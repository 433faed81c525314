"""Where images may be fetched from: a list of addresses, and what else of the network is closed.

Each line allows an address and everything below it.  A name is resolved once, every address that
it has must be a public one (or any but the host's neighbours, where the line says `private`), and
exactly that address is connected to; redirects are judged like the first address.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import unquote, urlsplit

PORTS = {"http": 80, "https": 443}
PRIVATE = "private"


@dataclass(frozen=True, kw_only=True)
class Address:
    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Source:
    address: Address
    private: bool
    """Whether the server may be in one's own network."""


def read(line: str) -> Source:
    """Read one line of the list; raises `ValueError`."""
    text, _, word = line.strip().partition(" ")
    if word.strip() not in ("", PRIVATE):
        raise ValueError(f"behind the address only `{PRIVATE}` may stand, not {word.strip()!r}")
    return Source(address=parse(text), private=bool(word))


def parse(url: str) -> Address:
    """Take an address apart; raises `ValueError` with what is wrong for people."""
    parts = urlsplit(url.strip())
    if parts.scheme not in PORTS:
        raise ValueError("must begin with https:// or http://")
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise ValueError("must name a server, without a user")
    if ".." in unquote(parts.path).split("/"):
        raise ValueError("must not go up by ..")
    return Address(
        scheme=parts.scheme,
        host=parts.hostname.rstrip(".").lower(),
        port=parts.port or PORTS[parts.scheme],
        path=parts.path or "/",
    )


def allowing(lines: Iterable[str], url: str) -> Source | None:
    """Return the line that allows the address, None when there is none or it is no address."""
    try:
        wanted = parse(url)
    except ValueError:
        return None
    for source in map(read, lines):
        own = source.address
        same = (own.scheme, own.host, own.port) == (wanted.scheme, wanted.host, wanted.port)
        if same and _below(wanted.path, own.path):
            return source
    return None


def closed(number: str, *, private: bool) -> str:
    """Say why nothing is fetched from this IP address; blank when it is open."""
    ip = ip_address(number.partition("%")[0])
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or _everybody(ip):
        return "is no address of a server"
    if not private and not ip.is_global:
        return "is not on the public network"
    return ""


def _below(path: str, base: str) -> bool:
    return path == base or path.startswith(base if base.endswith("/") else base + "/")


def _everybody(ip: IPv4Address | IPv6Address) -> bool:
    return isinstance(ip, IPv4Address) and (ip.is_reserved or str(ip) == "255.255.255.255")

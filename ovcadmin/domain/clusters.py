"""How a storage cluster is reached: what people type, read and judged.  Raises `ValueError`."""

from __future__ import annotations

import re
import ssl
from urllib.parse import urlsplit

API_PORT = 443
MOST_ADDRESSES = 50
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def addresses(text: str) -> list[str]:
    """Read the addresses of storage routers, separated by white space or commas."""
    found = list(dict.fromkeys(_address(word) for word in text.replace(",", " ").split()))
    if not 0 < len(found) <= MOST_ADDRESSES:
        raise ValueError(f"Name between one and {MOST_ADDRESSES} storage routers.")
    return found


def fingerprints(text: str) -> list[str]:
    """Read SHA-256 fingerprints as any tool writes them, one a line."""
    found = [line.rpartition("=")[2].replace(":", "").strip().lower() for line in text.split()]
    for word in found:
        if not _FINGERPRINT.fullmatch(word):
            raise ValueError("A SHA-256 fingerprint has 64 hexadecimal digits.")
    return found


def certificates(text: str) -> str:
    """Return certificates in PEM that the library can read."""
    if not text.strip():
        return ""
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("These are no certificates in PEM.") from error
    return text.strip() + "\n"


def same_host(one: str, other: str) -> bool:
    """Whether two names mean the same machine, with or without its domain."""
    short = [name.lower().partition(".")[0] for name in (one, other)]
    return bool(one) and short[0] == short[1]


def _address(word: str) -> str:
    parts = urlsplit(word if "://" in word else f"https://{word}")
    try:
        port = parts.port or API_PORT
    except ValueError:
        port = 0
    bad = parts.scheme != "https" or not parts.hostname or not port
    if bad or parts.path.strip("/") not in ("", "api") or parts.username or parts.query:
        raise ValueError(f"{word} is no address of a storage router, such as https://10.0.0.1.")
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return f"https://{host}:{port}"

"""How a cluster is reached, and how long anything may take."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from ovcadmin.errors import SettingInvalid


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Deadlines in seconds."""

    connect: float = 3.0
    answer: float = 10.0
    """Of one call, from its first byte to its last."""
    task: float = 60.0
    sync: float = 330.0
    """Of clones and rollbacks, which wait for the backend."""
    appear: float = 10.0
    """How long something may take to show that was asked for by a call without an answer."""
    stale: float = 20.0
    """For so long a storage router may still name a volume that was moved away from it."""
    first_look: float = 0.2
    last_look: float = 1.0
    """Pauses between two looks at a task grow from the one to the other."""
    longest_pause: float = 10.0
    """A storage router that does not answer is left alone for up to this long."""


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Plain values: they outlive the transaction they were read in."""

    name: str
    addresses: tuple[str, ...]
    """Of the storage routers, as https://host or https://host:port."""
    client_id: str
    client_secret: str = field(repr=False)
    authority: str = ""
    """Certificates (PEM) that are trusted, the system's authorities when blank."""
    fingerprints: tuple[str, ...] = ()
    """SHA-256 of the very certificates that are trusted; then nothing else counts."""
    patience: Patience = Patience()


def tls(settings: ClusterSettings) -> ssl.SSLContext:
    """Return how certificates are judged; raises `SettingInvalid` for what is no certificate."""
    if settings.fingerprints:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the certificate itself is compared instead
        return context
    try:
        return ssl.create_default_context(cadata=settings.authority or None)
    except ssl.SSLError as error:
        raise SettingInvalid(
            f"These are no certificates in PEM: {error.reason or error}.", field="authority"
        ) from error

"""Addresses of hosts as libvirt writes them: `qemu+ssh://root@kvm-a/system`."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

TRANSPORTS = ("", "ssh", "tls", "tcp", "unix")
LONGEST = 500
REFUSED = ("keyfile", "command", "netcat", "pkipath", "sshauth", "known_hosts", "authfile", "mode")
"""Parameters that name files or commands of the worker's machine."""


def read(text: str) -> str:
    """Return the address; raises `ValueError` with what is wrong with it."""
    uri = text.strip()
    if not uri or len(uri) > LONGEST or any(c.isspace() or not c.isprintable() for c in uri):
        raise ValueError("Write an address such as qemu+ssh://root@kvm-a/system.")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise ValueError("The address has a bad port or host.") from None
    driver, _, transport = parts.scheme.partition("+")
    if driver not in ("qemu", "test") or transport not in TRANSPORTS:
        raise ValueError("It begins with qemu://, qemu+ssh://, qemu+tls:// or qemu+tcp://.")
    if driver == "qemu" and parts.path not in ("/system", "/session"):
        raise ValueError("It ends with /system (or /session for a user's own libvirt).")
    if transport in ("ssh", "tls", "tcp") and not parts.hostname:
        raise ValueError(f"qemu+{transport} needs the name of the host.")
    if (
        parts.password
        or (parts.hostname or "").startswith("-")
        or (parts.username or "").startswith("-")
    ):
        raise ValueError("It holds no password, and no name begins with a dash.")
    if port == 0:
        raise ValueError("The address has a bad port or host.")
    for name in REFUSED:
        if f"{name}=" in parts.query:
            raise ValueError(f"The parameter {name} is not taken: the worker has its own setup.")
    return uri


def with_certificates(uri: str, directory: str) -> str:
    """Return the address by which libvirt finds our certificates; others are as they are.

    `qemu://` with a host is TLS as well.
    """
    parts = urlsplit(uri)
    if not directory or not parts.hostname or parts.scheme.partition("+")[2] not in ("", "tls"):
        return uri
    query = "&".join(part for part in (parts.query, f"pkipath={quote(directory)}") if part)
    return urlunsplit(parts._replace(query=query))


def read_migration(text: str) -> str:
    """Return an address for guests on the move, `tcp://10.0.0.5`, or nothing; else `ValueError`."""
    uri = text.strip()
    if not uri:
        return ""
    parts = urlsplit(uri)
    if parts.scheme not in ("tcp", "rdma") or not parts.hostname or parts.path or len(uri) > 200:
        raise ValueError("Write an address such as tcp://10.0.0.5, or leave it blank.")
    return uri

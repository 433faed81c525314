"""Reaching a server: a name, a socket, encryption, all within one deadline.

ldap3 by itself bounds each read but not their sum, tries every address of a name for the full
time, leaves name resolution unbounded, checks no certificate unless told, and sends no server
name.  So the socket and the encryption are ours.
"""

from __future__ import annotations

import functools
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException
from pyasn1.error import PyAsn1Error

from ovcadmin.drivers.directory.settings import Address, DirectorySettings, Transport
from ovcadmin.errors import DirectoryRefused, DirectoryUnreachable

BROKEN = (AttributeError, IndexError, KeyError, TypeError, ValueError, PyAsn1Error)
"""What else ldap3 raises for an answer that is no LDAP."""


class EncryptionRefused(DirectoryRefused):
    """A certificate that does not verify, or no encryption at all: another server may do better."""


class Deadlined:
    """A socket for ldap3 whose reads together end in time, however slowly the bytes drip."""

    def __init__(self, plain: Any, silence: float) -> None:
        """Take the place of `plain`; between two reads at most `silence` seconds may pass."""
        self.plain = plain
        self._silence = silence
        self.allow(silence)

    def allow(self, seconds: float) -> None:
        """Start the clock for the next answer."""
        self._until = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not end in time")
        self.plain.settimeout(min(left, self._silence))
        time.sleep(0)  # among greenlets a long list must not starve the others
        return self.plain.recv(size)  # type: ignore[no-any-return]

    def sendall(self, data: bytes) -> None:
        self.plain.settimeout(self._silence)
        self.plain.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


class VerifiedTls(ldap3.Tls):
    """Encryption that always verifies authority and name, by the library that does it right."""

    def __init__(self, ca_file: Path | None, host: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = _context(ca_file, ca_file.stat().st_mtime_ns if ca_file else 0)
        self._host = host
        self.refusal: str | None = None
        """What is wrong with its encryption; ldap3 keeps only a text of its own."""

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: FBT001, FBT002 - ldap3's
        silence = connection.server.connect_timeout
        plain = connection.socket
        plain = plain.plain if isinstance(plain, Deadlined) else plain
        plain.settimeout(silence)
        # Else the first request waits 40 ms for the acknowledgement of the handshake's end.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            safe = self._context.wrap_socket(plain, server_hostname=self._host)
        except ssl.SSLCertVerificationError as error:
            self.refusal = f"its certificate is refused: {error.verify_message}"
            raise
        except ssl.SSLError as error:
            self.refusal = f"it does not speak TLS as expected ({error.reason})"
            raise
        connection.socket = Deadlined(safe, silence)


@functools.lru_cache(maxsize=32)
def _context(ca_file: Path | None, _changed: int) -> ssl.SSLContext:
    """Reading the system's list takes longer than a sign-in, so it is kept until it changes."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise EncryptionRefused(
            f"{ca_file} is no list of certificate authorities: {error}.", ca_file=str(ca_file)
        ) from None


def dial(settings: DirectorySettings, address: Address) -> ldap3.Connection:
    """Return an encrypted connection that is not bound yet.

    Raises `DirectoryUnreachable` or `EncryptionRefused`, within the timeout of the settings.
    """
    tls = VerifiedTls(settings.ca_file, address.host)
    trouble: Exception | None = None
    for place, seconds in _places(address, settings.timeout):
        connection = _connection(settings, address, place, tls, seconds)
        try:
            connection.open(read_server_info=False)
            if not isinstance(connection.socket, Deadlined):
                connection.socket = Deadlined(connection.socket, settings.timeout)
            if settings.transport == Transport.STARTTLS:
                connection.start_tls(read_server_info=False)
        except (LDAPException, *BROKEN) as error:
            hang_up(connection)
            trouble = error
            if tls.refusal or _said_no(connection):
                break
        else:
            _make_sure(connection, settings.transport)
            return connection
    raise _explained(trouble, connection, address, tls, settings.timeout)


def _said_no(connection: ldap3.Connection) -> bool:
    return bool(connection.result and connection.result["result"])


def _make_sure(connection: ldap3.Connection, transport: Transport) -> None:
    """Let no password out in the clear, whatever a library takes for a success."""
    if transport != Transport.PLAIN and not isinstance(connection.socket.plain, ssl.SSLSocket):
        raise AssertionError("the connection is not encrypted")


def hang_up(connection: ldap3.Connection) -> None:
    with suppress(LDAPException, OSError):
        connection.strategy.close()
    # After a failed attempt to connect ldap3 forgets the socket without closing it.
    if connection.socket is not None:
        connection.socket.close()


def _connection(
    settings: DirectorySettings, address: Address, place: str, tls: VerifiedTls, seconds: float
) -> ldap3.Connection:
    server = ldap3.Server(
        place,
        address.port,
        use_ssl=settings.transport == Transport.LDAPS,
        get_info=ldap3.NONE,
        tls=tls,
        connect_timeout=seconds,
    )
    return ldap3.Connection(
        server,
        auto_referrals=False,
        check_names=False,
        raise_exceptions=False,
        return_empty_attributes=False,
    )


def _places(address: Address, timeout: float) -> Iterator[tuple[str, float]]:
    """Yield the addresses of a name, each with its share of the time that is left."""
    until = time.monotonic() + timeout
    places = _resolve(address, timeout)
    for tried, place in enumerate(places):
        yield place, max(0.1, (until - time.monotonic()) / (len(places) - tried))


def _resolve(address: Address, timeout: float) -> list[str]:
    with suppress(ValueError):
        return [str(ip_address(address.host))]
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except OSError as error:
            answers.put(error)

    # The resolver has no deadline of its own and cannot be interrupted.
    threading.Thread(target=ask, name=f"resolve {address.host}", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except Empty:
        answer = OSError(f"no answer within {timeout:g} s")
    if isinstance(answer, OSError):
        raise DirectoryUnreachable(
            f"{address}: the name cannot be resolved ({answer}).", server=str(address)
        )
    return answer


def _explained(
    error: Exception | None,
    connection: ldap3.Connection,
    address: Address,
    tls: VerifiedTls,
    timeout: float,
) -> DirectoryUnreachable | EncryptionRefused:
    if tls.refusal:
        return EncryptionRefused(f"{address}: {tls.refusal}.", server=str(address))
    if _said_no(connection):
        return EncryptionRefused(
            f"{address} does not offer StartTLS ({connection.result['description']}).",
            server=str(address),
        )
    return unreachable(error, address, timeout)


def unreachable(error: Exception | None, address: Address, timeout: float) -> DirectoryUnreachable:
    """Say in people's words why a socket failed."""
    text = str(error)
    if isinstance(error, TimeoutError) or "timed out" in text or "in time" in text:
        why = f"no answer within {timeout:g} s"
    elif isinstance(error, ConnectionRefusedError) or "refused" in text:
        why = "nothing listens on this port"
    elif isinstance(error, BROKEN):
        why = "what answers is no directory"
    else:
        why = text
    return DirectoryUnreachable(f"{address}: {why}.", server=str(address))

"""One libvirt connection: opened with a deadline, cut when it hangs, its errors mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import libvirt

from ovcadmin import green
from ovcadmin.drivers.hypervisor.loop import Handle, loop
from ovcadmin.errors import (
    DomainError,
    DomainMissing,
    HostUnreachable,
    HostUnresponsive,
    HypervisorFailed,
)

T = TypeVar("T")
Conn = Any
"""A `libvirt.virConnect`; the package has no usable types."""

DIAL_DEADLINE = 5.0
KEEPALIVE = (5, 2)
"""Seconds between probes, and how many may stay unanswered: a dead line is noticed in 15 s."""
PATIENT_KEEPALIVE = (20, 3)
"""Where answers may wait behind much data: a dead line is noticed in 80 s."""
CLOSE_GRACE = 3.0
"""Seconds that a polite goodbye may take before the socket is shut down."""

CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "an error on the line",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "the daemon closed it",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "the daemon did not answer keepalive",
}


@dataclass(eq=False)
class Line:
    """One open libvirt connection.

    `farewells` are calls to make before it is closed: libvirt keeps a connection alive for as long
    as something is registered on it.
    """

    conn: Conn
    handles: list[Handle]
    closed: bool = False
    used: float = 0.0
    """When a call ended on it."""
    farewells: list[Callable[[], object]] = field(default_factory=list)

    def guard(self, lost: Callable[[str], None], keepalive: tuple[int, int] = KEEPALIVE) -> None:
        """Have `lost(reason)` called, in libvirt's event thread, when the other side is gone."""

        def closed(_conn: Conn, reason: int, _opaque: object) -> None:
            self.closed = True
            if reason != libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT:
                lost(CLOSE_REASONS.get(reason, "unknown"))

        # libvirt's own test driver knows neither of the two.
        with _where_supported():
            self.conn.setKeepAlive(*keepalive)
        with _where_supported():
            self.conn.registerCloseCallback(closed, None)
            self.farewells.append(self.conn.unregisterCloseCallback)

    def alive(self) -> bool:
        """Tell whether it still leads anywhere, as far as this side knows; asks nobody."""
        self.closed = self.closed or not self.conn.isAlive()
        return not self.closed

    def cut(self) -> None:
        """Make every call on it return with an error now."""
        self.closed = True
        for handle in self.handles:
            loop().cut(handle)

    def hang_up(self) -> None:
        """Close it without waiting."""
        self.closed = True
        green.native_thread(self.close)
        green.later(CLOSE_GRACE, self.cut)

    def close(self) -> None:
        """Close it, in a native thread.

        Whatever still refers to it, say a domain in the traceback of an error, keeps it open in
        libvirt.  Its last end would then ask the daemon, in whichever thread drops it: so the
        socket is shut down too.
        """
        for last in [*self.farewells, self.conn.close]:
            # The other side may be gone already: closed is closed.
            with suppress(libvirt.libvirtError):
                last()
        self.cut()


@contextmanager
def _where_supported() -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise


def domain_error(host: str, error: libvirt.libvirtError) -> DomainError:
    """Map libvirt's error to ours, with its text kept."""
    text = " ".join((error.get_error_message() or str(error)).split()).rstrip(" .")
    context: dict[str, Any] = {
        "host": host,
        "libvirt_code": error.get_error_code(),
        "libvirt_domain": error.get_error_domain(),
        "errno": error.get_int1() if error.get_error_code() == libvirt.VIR_ERR_SYSTEM_ERROR else 0,
    }
    if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
        return DomainMissing(f"Host {host} does not know the machine: {text}.", **context)
    return HypervisorFailed(f"Host {host} refused: {text}.", **context)


def run(host: str, line: Line, fn: Callable[[Conn], T]) -> T:
    """Call `fn(conn)` in a native thread, with libvirt's errors mapped."""
    if line.closed:
        raise HostUnresponsive(
            f"The connection to host {host} was given up before the call was made.", host=host
        )
    try:
        return fn(line.conn)
    except libvirt.libvirtError as error:
        if not line.alive():
            raise HostUnresponsive(
                f"The connection to host {host} broke during the call. "
                "Whether the call was carried out is not known.",
                host=host,
            ) from error
        raise domain_error(host, error) from error


def unreachable(host: str, why: str) -> HostUnreachable:
    return HostUnreachable(
        f"No connection to host {host} can be opened: {why.rstrip('.')}.", host=host
    )


class Dialler:
    """Opens connections to one address in throw-away threads, a few at the same time."""

    def __init__(self, host: str, uri: str, *, at_once: int = 1) -> None:
        self.host = host
        self.uri = uri
        self._threads = green.HostThreads(host, size=at_once, ceiling=at_once + 2)

    def dial(
        self,
        setup: Callable[[Line], T],
        *,
        deadline: float = DIAL_DEADLINE,
    ) -> tuple[Line, T]:
        """Open a connection and run `setup` on it in the same native thread.

        Raises `HostUnreachable`, also when too many earlier attempts still hang.
        """
        loop()
        handles: list[Handle] = []
        work = partial(dial, self.uri, handles, setup)
        try:
            return self._threads.call(
                work, deadline=deadline, late=lambda opened: opened[0].close()
            )
        except libvirt.libvirtError as error:
            raise unreachable(self.host, error.get_error_message() or str(error)) from error
        except HostUnresponsive as error:
            for handle in handles:
                loop().cut(handle)
            raise unreachable(self.host, "it does not answer") from error


def dial(uri: str, handles: list[Handle], setup: Callable[[Line], T]) -> tuple[Line, T]:
    """Open a connection in this native thread; `handles` are there before it is, to be cut."""
    with loop().capture(handles):
        line = Line(libvirt.open(uri), handles)
    try:
        return line, setup(line)
    except BaseException:
        line.close()
        raise

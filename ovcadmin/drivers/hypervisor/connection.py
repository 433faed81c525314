"""Connections to one host: opened with a deadline, opened again with back-off, mapped errors.

A host has six lanes, each with its own libvirt connection and its own threads: READ calls never
wait for a guest or a disk, so they tell whether the host itself answers; ACT calls may wait for a
guest that hangs, STORE calls for a storage path that does; MEMORY calls write a guest's memory to
disk or read it, COPY calls move volumes, both for minutes; AGENT calls ask guests, which need
never answer.  A daemon answers five calls of one
connection at a time and then stops listening to it, so lanes that shared one could silence each
other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
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
LONGEST_PAUSE = 10.0
"""Upper bound of the back-off between two attempts to open a connection, seconds."""
CLOSE_GRACE = 3.0
"""Seconds that a polite goodbye may take before the socket is shut down."""

CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "an error on the line",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "the daemon closed it",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "the daemon did not answer keepalive",
}

_clock: Callable[[], float] = green.native("time", "monotonic")


class Lane(StrEnum):
    """Which of the host's connections a call uses."""

    READ = "read"
    ACT = "act"
    STORE = "store"
    MEMORY = "memory"
    COPY = "copy"
    GAUGE = "gauge"
    """Statistics of guests: one that hangs holds them up, and nothing else."""
    AGENT = "agent"


THREADS = {
    Lane.READ: (3, 2),
    Lane.ACT: (4, 3),
    Lane.STORE: (3, 3),
    Lane.MEMORY: (3, 3),
    Lane.COPY: (3, 3),
    Lane.GAUGE: (1, 2),
    Lane.AGENT: (1, 2),
}
"""Calls that run at the same time, and stuck threads at which the circuit opens."""


@dataclass(eq=False)
class Line:
    """One open libvirt connection.

    `farewells` are calls to make before it is closed: libvirt keeps a connection alive for as long
    as something is registered on it.
    """

    conn: Conn
    handles: list[Handle]
    closed: bool = False
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
        work = partial(_dial, self.uri, handles, setup)
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


def _dial(uri: str, handles: list[Handle], setup: Callable[[Line], T]) -> tuple[Line, T]:
    with loop().capture(handles):
        line = Line(libvirt.open(uri), handles)
    try:
        return line, setup(line)
    except BaseException:
        line.close()
        raise


@dataclass
class _Backoff:
    """Why the last attempt failed, and when the next one may start."""

    failures: int = 0
    until: float = 0.0
    error: HostUnreachable | None = None

    def failed(self, error: HostUnreachable) -> None:
        self.error = error
        self.until = _clock() + min(0.5 * 2**self.failures, LONGEST_PAUSE)
        self.failures += 1

    def check(self) -> None:
        """Raise the last error again while its pause lasts."""
        if self.error and _clock() < self.until:
            raise HostUnreachable(self.error.text, **self.error.context)


@dataclass(eq=False)
class Link:
    """One lane: a connection that is opened when needed, and the threads that use it."""

    host: str
    uri: str
    lane: Lane
    setup: Callable[[Line], None] = lambda _line: None
    """Runs on every fresh connection, in a native thread."""
    lost: Callable[[str], None] = lambda _reason: None
    """Runs when a connection breaks, in libvirt's event thread: it must only note the fact."""
    line: Line | None = None
    _aside: list[Line] = field(default_factory=list)
    _backoff: _Backoff = field(default_factory=_Backoff)
    _opening: Any = field(default_factory=green.Lock)

    def __post_init__(self) -> None:
        size, ceiling = THREADS[self.lane]
        self.threads = green.HostThreads(self.host, size=size, ceiling=ceiling, relieve=self.cut)
        self._dialler = Dialler(self.host, self.uri)

    def call(self, fn: Callable[[Conn], T], *, deadline: float) -> T:
        """Run `fn(conn)` in the lane's threads; raises domain errors only."""
        begun = _clock()
        line = self.open(deadline)
        call = self._start(fn, line)
        return self.threads.result(call, deadline=deadline - (_clock() - begun))

    def start(self, fn: Callable[[Conn], T]) -> green.Call[T]:
        """Run `fn(conn)` without waiting; see `green.HostThreads.start`."""
        return self._start(fn, self.open())

    def _start(self, fn: Callable[[Conn], T], line: Line) -> green.Call[T]:
        return self.threads.start(partial(run, self.host, line, fn))

    def open(self, deadline: float = DIAL_DEADLINE) -> Line:
        """Return the open connection, or open one; fails at once while a back-off lasts."""
        if self.line and not self.line.closed:
            return self.line
        with self._opening:
            if self.line and not self.line.closed:
                return self.line
            self._backoff.check()
            self._forget()
            try:
                self.line, _ = self._dialler.dial(
                    self._prepare, deadline=min(deadline, DIAL_DEADLINE)
                )
            except HostUnreachable as error:
                self._backoff.failed(error)
                raise
            self._backoff = _Backoff()
            return self.line

    def cut(self) -> None:
        """Make the calls that hang return; the next call opens a new connection."""
        for line in (self.line, *self._aside):
            if line:
                line.cut()

    def set_aside(self, line: Line) -> None:
        """Leave a connection to the call that hangs on it.

        libvirt's client may overlook other calls on it until the next keepalive.
        """
        if self.line is line:
            self.line = None
            self._aside.append(line)

    def take_back(self, line: Line) -> None:
        """Close a connection that was set aside: its call has returned."""
        if line in self._aside:
            self._aside.remove(line)
            line.hang_up()

    def close(self) -> None:
        self._forget()
        for line in list(self._aside):
            self.take_back(line)

    def _forget(self) -> None:
        line, self.line = self.line, None
        if line:
            line.hang_up()

    def _prepare(self, line: Line) -> None:
        line.guard(self.lost, PATIENT_KEEPALIVE if self.lane is Lane.COPY else KEEPALIVE)
        self.setup(line)


class Connection:
    """One host: its name, its address and its lanes."""

    def __init__(
        self,
        host: str,
        uri: str,
        *,
        deadline: float = 8.0,
    ) -> None:
        self.host = host
        self.uri = uri
        self.deadline = deadline
        """Of an ordinary call, seconds."""
        self.links = {lane: Link(host, uri, lane) for lane in Lane}

    def call(
        self,
        fn: Callable[[Conn], T],
        *,
        lane: Lane = Lane.READ,
        deadline: float | None = None,
    ) -> T:
        return self.links[lane].call(fn, deadline=deadline or self.deadline)

    def close(self) -> None:
        for link in self.links.values():
            link.close()

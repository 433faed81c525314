"""The connections to one host: opened when needed, again with back-off, one for each call.

A connection carries one call at a time.  libvirt's client library (until 10.4, CVE-2024-4418) makes
the process die when a connection on which two calls wait is given up, as on a host that hangs; and
the daemon stops listening to a connection on which five wait for it.

A host has several lanes, each with its own threads: READ calls never wait for a guest or a disk, so
they tell whether the host itself answers; ACT calls may wait for a guest that hangs, STORE calls
for a storage path that does; MEMORY calls write a guest's memory to disk or read it, COPY calls
move volumes, both for minutes; AGENT calls ask guests, which need never answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import libvirt

from ovcadmin import green
from ovcadmin.drivers.hypervisor.line import (
    DIAL_DEADLINE,
    KEEPALIVE,
    PATIENT_KEEPALIVE,
    Conn,
    Dialler,
    Line,
    dial,
    run,
    unreachable,
)
from ovcadmin.drivers.hypervisor.loop import Handle, loop
from ovcadmin.errors import HostUnreachable

T = TypeVar("T")

LONGEST_PAUSE = 10.0
"""Upper bound of the back-off between two attempts to open a connection, seconds."""
SPARE_SECONDS = 60.0
"""A connection beside the first one is closed when no call has needed it for this long."""

_clock: Callable[[], float] = green.native("time", "monotonic")
_new_lock: Callable[[], Any] = green.native("_thread", "allocate_lock")


class Lane(StrEnum):
    """Which of the host's threads and connections a call uses."""

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


class Lines:
    """The open connections of one lane.  Whoever calls has one for itself."""

    def __init__(
        self, host: str, uri: str, guard: Callable[[Line], None], spare_seconds: float
    ) -> None:
        self._host = host
        self._uri = uri
        self._guard = guard
        """Runs on every further connection, in the thread that opens it."""
        self._spare_seconds = spare_seconds
        self.first: Line | None = None
        """The one that brings events and tells whether the host is there; others are spare."""
        self._free: list[Line] = []
        self._busy: list[Line] = []
        self._dialled: list[list[Handle]] = []
        """What is known of the connections that are being opened."""
        self._lock = _new_lock()

    def begun(self) -> bool:
        return self.first is not None and not self.first.closed

    def begin(self, line: Line) -> None:
        """Take the first connection in, just opened."""
        with self._lock:
            self.first = line
            self._free.insert(0, line)

    @contextmanager
    def lent(self) -> Iterator[Line]:
        """Lend one that nobody else uses, in a native thread; opens a further one if need be.

        Raises `HostUnreachable`; has no deadline but `cut`.
        """
        line = self._take() or self._dial()
        try:
            yield line
        finally:
            self._put_back(line)

    def cut(self) -> None:
        """Make every call return with an error now, and every attempt to open."""
        with self._lock:
            lines = [*self._free, *self._busy]
            handles = [handle for found in self._dialled for handle in found]
        for line in lines:
            line.cut()
        for handle in handles:
            loop().cut(handle)

    def end(self) -> None:
        """Close all; one that is in use is cut, and closed by the thread that uses it."""
        with self._lock:
            free, self._free = self._free, []
            self.first = None
        for line in free:
            line.hang_up()
        self.cut()

    def _take(self) -> Line | None:
        while True:
            with self._lock:
                if not self._free:
                    return None
                line = self._free.pop(0)
                if not line.closed:
                    self._busy.append(line)
                    return line
            green.native_thread(line.close)

    def _dial(self) -> Line:
        handles: list[Handle] = []
        with self._lock:
            self._dialled.append(handles)
        try:
            line, _ = dial(self._uri, handles, self._guard)
        except libvirt.libvirtError as error:
            raise unreachable(self._host, error.get_error_message() or str(error)) from error
        finally:
            with self._lock:
                self._dialled = [one for one in self._dialled if one is not handles]
        with self._lock:
            self._busy.append(line)
        return line

    def _put_back(self, line: Line) -> None:
        line.used = _clock()
        with self._lock:
            self._busy.remove(line)
            # The first before spare ones, so that these are needed less and less.
            lines = sorted([*self._free, line], key=lambda one: (one is not self.first, -one.used))
            ended = [one for one in lines if self._is_needless(one, line.used)]
            self._free = [one for one in lines if one not in ended]
        for one in ended:
            green.native_thread(one.close)

    def _is_needless(self, line: Line, now: float) -> bool:
        if line.closed or self.first is None:
            return True
        return line is not self.first and now - line.used > self._spare_seconds


@dataclass(eq=False)
class Link:
    """One lane: connections that are opened when needed, and the threads that use them."""

    host: str
    uri: str
    lane: Lane
    setup: Callable[[Line], None] = lambda _line: None
    """Runs on every fresh first connection, in a native thread."""
    lost: Callable[[str], None] = lambda _reason: None
    """Runs when the first one breaks, in libvirt's event thread: it must only note the fact."""
    spare_seconds: float = SPARE_SECONDS
    _backoff: _Backoff = field(default_factory=_Backoff)
    _opening: Any = field(default_factory=green.Lock)

    def __post_init__(self) -> None:
        size, ceiling = THREADS[self.lane]
        self.threads = green.HostThreads(self.host, size=size, ceiling=ceiling, relieve=self.cut)
        self._dialler = Dialler(self.host, self.uri)
        self._lines = Lines(self.host, self.uri, self._guard, self.spare_seconds)

    def call(self, fn: Callable[[Conn], T], *, deadline: float) -> T:
        """Run `fn(conn)` in the lane's threads; raises domain errors only."""
        begun = _clock()
        call = self.start(fn, deadline)
        return self.threads.result(call, deadline=deadline - (_clock() - begun))

    def start(self, fn: Callable[[Conn], T], deadline: float = DIAL_DEADLINE) -> green.Call[T]:
        """Run `fn(conn)` without waiting, but to connect; see `green.HostThreads.start`."""
        self.open(deadline)
        return self.threads.start(partial(self._carry, fn))

    def _carry(self, fn: Callable[[Conn], T]) -> T:
        with self.lent() as line:
            return run(self.host, line, fn)

    @contextmanager
    def lent(self) -> Iterator[Line]:
        """Lend a connection to a call of another link, in its native thread."""
        with self._lines.lent() as line:
            yield line

    def open(self, deadline: float = DIAL_DEADLINE) -> None:
        """Connect, unless it is; fails at once while a back-off lasts."""
        if self._lines.begun():
            return
        with self._opening:
            if self._lines.begun():
                return
            self._backoff.check()
            self._lines.end()
            try:
                line, _ = self._dialler.dial(self._prepare, deadline=min(deadline, DIAL_DEADLINE))
            except HostUnreachable as error:
                self._backoff.failed(error)
                raise
            self._backoff = _Backoff()
            self._lines.begin(line)

    def cut(self) -> None:
        """Make the calls that hang return; the next call opens a new connection."""
        self._lines.cut()

    def close(self) -> None:
        self._lines.end()

    def _prepare(self, line: Line) -> None:
        self._guard(line, self.lost)
        self.setup(line)

    def _guard(self, line: Line, lost: Callable[[str], None] = lambda _reason: None) -> None:
        line.guard(lost, PATIENT_KEEPALIVE if self.lane is Lane.COPY else KEEPALIVE)


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

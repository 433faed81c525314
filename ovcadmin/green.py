"""The one module outside worker/ and gateway/ that knows gevent.

libvirt is a C library that blocks the thread which calls it, and its event loop must never run
Python code that waits.  So all of it happens in *native* threads, also in a process whose standard
library is monkey-patched, and this module is the border: native threads on one side, greenlets of
a hub on the other.  Everything here works the same in a patched process (worker, gateway) and in
an unpatched one (tests, tools), where the calling thread's own hub does the waiting.

Rule of the native side: no logging, no `threading`, no gevent primitive.  A patched lock that is
touched there would start a second hub in that thread.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from ovcadmin.errors import HostUnresponsive

T = TypeVar("T")

native = monkey.get_original
"""`native(module, name)`: the standard library's own function, patched or not."""

_start_thread: Callable[..., int] = native("_thread", "start_new_thread")
_new_lock: Callable[[], Any] = native("_thread", "allocate_lock")

Lock = BoundedSemaphore
"""A lock for greenlets: waiting for it lets others run."""

DECIDED_AT_IMPORT = ("psycopg", "sqlalchemy")
"""Packages that choose their way of waiting when they are imported."""


def patch() -> None:
    """Monkey-patch the standard library; the first thing a worker process does.  Harmless twice."""
    if monkey.is_module_patched("socket"):
        return
    late = [name for name in DECIDED_AT_IMPORT if name in sys.modules]
    if late:
        raise RuntimeError(f"green.patch() must run before {', '.join(late)} is imported")
    monkey.patch_all()


def sleep(seconds: float) -> None:
    """Wait while events are delivered and other greenlets run."""
    gevent.sleep(seconds)


def background(fn: Callable[[], None]) -> Callable[[], None]:
    """Run `fn` in a greenlet of its own; the answer stops it."""
    greenlet = gevent.spawn(fn)
    return partial(greenlet.kill, block=False)


def later(seconds: float, fn: Callable[[], None]) -> None:
    """Run `fn` in a greenlet after some seconds."""
    gevent.spawn_later(seconds, fn)


def native_thread(fn: Callable[[], None]) -> None:
    """Run `fn` in a real thread that nobody waits for."""
    _start_thread(fn, ())


class Doorbell:
    """Runs functions in the thread of one hub, whoever rings; they must not wait.

    gevent's own `run_callback_threadsafe` counts a reference of the loop in the calling thread,
    while the loop counts its own without the interpreter's lock: one day a count is lost, and the
    hub believes that nothing is waited for any more ("would block forever").  Ringing counts
    nothing.
    """

    def __init__(self, hub: Any) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._bell = hub.loop.async_(ref=False)
        self._bell.start(self._answer)

    @classmethod
    def here(cls) -> Doorbell:
        """Return the one of the calling thread's hub."""
        hub: Any = gevent.get_hub()
        if not hasattr(hub, "ovc_doorbell"):
            hub.ovc_doorbell = cls(hub)
        found: Doorbell = hub.ovc_doorbell
        return found

    def ring(self, fn: Callable[[], None]) -> None:
        """Callable from any thread; never waits.  Raises `ValueError` when the hub has ended."""
        self._waiting.append(fn)
        self._bell.send()

    def _answer(self) -> None:
        while self._waiting:
            self._waiting.popleft()()


class Call(Generic[T]):
    """A function on its way through a native thread, and the greenlet that waits for it."""

    def __init__(self, fn: Callable[[], T], late: Callable[[T], None] | None = None) -> None:
        self._fn = fn
        self._late = late
        self._outcome: tuple[bool, Any] | None = None
        self._doorbell = Doorbell.here()
        self._done = Event()
        self.abandoned = False

    def run(self) -> None:
        """Run in the native thread.  The error travels as a value: gevent would print it."""
        try:
            self._outcome = (True, self._fn())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the caller waits
            self._outcome = (False, error)

    def discard(self) -> None:
        """Hand a result that nobody waits for any more to `late`, in the native thread."""
        if self._late is not None:
            with suppress(BaseException):
                self._late(self.value)

    def tell(self) -> None:
        """Wake the waiting greenlet, from the native thread."""
        # The thread that asked may have ended long ago, and its hub with it.
        with suppress(Exception):
            self._doorbell.ring(self._done.set)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; True when the function has returned or raised."""
        self._done.wait(seconds)
        return self.finished

    @property
    def finished(self) -> bool:
        return self._outcome is not None

    @property
    def value(self) -> T:
        """What the function returned, once `wait` said True; raises what it raised."""
        assert self._outcome is not None
        good, value = self._outcome
        if good:
            return value  # type: ignore[no-any-return]
        raise value


class HostThreads:
    """The bulkhead of one host: its calls run in a few native threads that no other host shares.

    At most `size` calls run and `limit` wait; more are refused.  A call that passes its deadline is
    abandoned: its thread is set aside as *stuck* and another may take its place.  When `ceiling`
    threads are stuck the circuit is open: `relieve` is called (it should make stuck calls return,
    say by cutting the connection), and calls fail at once until a stuck thread comes back.
    """

    def __init__(
        self,
        host: str,
        *,
        size: int = 4,
        ceiling: int = 3,
        limit: int = 64,
        relieve: Callable[[], None] = lambda: None,
    ) -> None:
        self.host = host
        self.size = size
        self.ceiling = ceiling
        self.limit = limit
        self.stuck = 0
        """Threads whose call passed its deadline and has not returned yet."""
        self._relieve = relieve
        self._busy = 0
        self._waiting: deque[Call[Any]] = deque()
        self._lock = _new_lock()

    @property
    def open_circuit(self) -> bool:
        return self.stuck >= self.ceiling

    def call(
        self, fn: Callable[[], T], *, deadline: float, late: Callable[[T], None] | None = None
    ) -> T:
        """Run `fn` and wait; raises `HostUnresponsive`, or what `fn` raises.

        A result that comes after the deadline is given to `late` in the native thread, so that
        what was opened gets closed.
        """
        return self.result(self.start(fn, late), deadline=deadline)

    def start(self, fn: Callable[[], T], late: Callable[[T], None] | None = None) -> Call[T]:
        """Run `fn` without waiting.  The answer must go to `result` or `abandon`."""
        call = Call(fn, late)
        with self._lock:
            if self.open_circuit:
                raise HostUnresponsive(
                    f"Host {self.host} does not answer: {self.stuck} calls to it hang. "
                    "It is asked again when one of them returns.",
                    host=self.host,
                    stuck=self.stuck,
                )
            if len(self._waiting) >= self.limit:
                raise HostUnresponsive(
                    f"Host {self.host} is busy: {self.limit} calls to it wait already. Try later.",
                    host=self.host,
                    waiting=self.limit,
                )
            self._waiting.append(call)
            self._hire()
        return call

    def result(self, call: Call[T], *, deadline: float) -> T:
        """Wait up to `deadline` seconds for a started call."""
        try:
            call.wait(max(deadline, 0.0))
        finally:
            if not call.finished:
                self.abandon(call)
        if call.finished:
            return call.value
        raise HostUnresponsive(
            f"Host {self.host} did not answer within {deadline:.3g} seconds.",
            host=self.host,
            deadline=deadline,
        )

    def abandon(self, call: Call[Any]) -> None:
        """Give a call up: it never runs, or its thread is set aside until it returns."""
        with self._lock:
            if call in self._waiting:
                self._waiting.remove(call)
                return
            if call.finished or call.abandoned:
                return
            call.abandoned = True
            self._busy -= 1
            self.stuck += 1
            tripped = self.open_circuit
            self._hire()
        if tripped:
            self._relieve()

    def _hire(self) -> None:
        """Start a thread when there is work for it.  The lock is held."""
        if self._waiting and self._busy < self.size and not self.open_circuit:
            self._busy += 1
            native_thread(self._work)

    def _work(self) -> None:
        """Body of a native thread: it goes home when nothing waits."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy -= 1
                    return
                call = self._waiting.popleft()
            call.run()
            call.tell()
            with self._lock:
                if not call.abandoned:
                    continue
                self.stuck -= 1
                self._hire()
            call.discard()
            return


class Mailbox(Generic[T]):
    """Facts from native threads, handled one after the other in a greenlet of the maker's hub."""

    def __init__(self, handle: Callable[[T], None]) -> None:
        self._handle = handle
        self._doorbell = Doorbell.here()
        self._facts: deque[T] = deque()
        self._draining = False

    def put(self, fact: T) -> None:
        """Callable from any thread; never waits."""
        self._facts.append(fact)
        self._doorbell.ring(self._wake)

    def _wake(self) -> None:
        if self._facts and not self._draining:
            self._draining = True
            gevent.spawn(self._drain)

    def _drain(self) -> None:
        try:
            while self._facts:
                self._handle(self._facts.popleft())
        finally:
            self._draining = False
            self._wake()

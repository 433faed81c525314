"""libvirt's event loop, in a native thread of its own.

libvirt brings a loop, but one that cannot leave a socket unread.  Ours can, and that is what makes
consoles safe: libvirt's client library reads whatever the daemon sends into memory, so a console
whose reader is slow grows without end unless its connection's socket is left alone; then the daemon
waits, and so does the guest.  Knowing the sockets also lets us *cut* a connection whose daemon
hangs: the only way to make a stuck libvirt call return at once.

libvirt calls the six functions registered here from any thread, with its own locks held.  They and
the loop only do bookkeeping under one short lock; callbacks into libvirt are made without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import libvirt

from ovcadmin import green

_epoll: Any = green.native("select", "epoll")
_poll: Any = green.native("select", "poll")
_socket: Any = green.native("socket", "socket")
_identity: Callable[[], int] = green.native("_thread", "get_ident")
_new_lock: Callable[[], Any] = green.native("_thread", "allocate_lock")
_clock: Callable[[], float] = green.native("time", "monotonic")

EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP = 1, 4, 8, 16
SHUT_RDWR = 2
BREATH = 10.0
"""Seconds between two breaths of a held socket: it is read until libvirt has answered the daemon's
keepalive, which stands behind what the kernel's buffer holds (about 200 kB).  Without an answer in
30 s the daemon would close the connection."""
BREATH_MESSAGES = 512
"""End of a breath when no keepalive is found; a message holds up to 4 kB of console output."""

ROUNDS = 32
"""How often sockets are read before timers run, while they keep coming: libvirt hands console
output on by a timer, which then finds many messages at once."""

_FROM_EPOLL = (
    (EPOLLIN, libvirt.VIR_EVENT_HANDLE_READABLE),
    (EPOLLOUT, libvirt.VIR_EVENT_HANDLE_WRITABLE),
    (EPOLLERR, libvirt.VIR_EVENT_HANDLE_ERROR),
    (EPOLLHUP, libvirt.VIR_EVENT_HANDLE_HANGUP),
)
LIBVIRT_EVENTS = [sum(theirs for ours, theirs in _FROM_EPOLL if mask & ours) for mask in range(32)]
"""libvirt's word for a mask of epoll."""
EPOLL_EVENTS = [
    sum(ours for ours, theirs in _FROM_EPOLL[:2] if mask & theirs) for mask in range(16)
]
"""What epoll is to watch for when libvirt wants a mask; errors it tells unasked."""


@dataclass(eq=False)
class Handle:
    """A file descriptor that libvirt wants watched: the socket of one connection."""

    watch: int
    fd: int
    events: int
    callback: Any
    opaque: Any
    armed: int = 0
    """What epoll watches it for at the moment."""
    held: bool = False
    """Left unread on purpose."""
    breath: int = 0
    """Messages that may still be read although it is held."""
    removed: bool = False


@dataclass(eq=False)
class Timer:
    number: int
    callback: Any
    opaque: Any
    every: float = -1.0
    """Seconds; negative is off."""
    due: float = 0.0


@dataclass(eq=False)
class EventLoop:
    """One a process: libvirt knows one event implementation only."""

    _lock: Any = field(default_factory=_new_lock)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _handles: dict[int, Handle] = field(default_factory=dict)
    _by_fd: dict[int, Handle] = field(default_factory=dict)
    _timers: dict[int, Timer] = field(default_factory=dict)
    _ticking: dict[int, Timer] = field(default_factory=dict)
    """Those of the timers that are on."""
    _gone: list[Any] = field(default_factory=list)
    """What libvirt gave with things that are removed now; it wants it back from the loop."""
    _captures: dict[int, list[Handle]] = field(default_factory=dict)
    _next_look: float = 0.0
    _thread: int = 0

    def start(self) -> EventLoop:
        self._epoll = _epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._wake_read, EPOLLIN)
        libvirt.virEventRegisterImpl(
            self._add_handle,
            self._update_handle,
            self._remove_handle,
            self._add_timeout,
            self._update_timeout,
            self._remove_timeout,
        )
        # Without this libvirt prints every error on stderr, also those that are handled.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        green.native_thread(self._run)
        return self

    # --- what consoles and connections ask -----------------------------------------------------

    @contextmanager
    def capture(self, found: list[Handle]) -> Iterator[None]:
        """Collect the handles that libvirt adds while this thread opens a connection."""
        me = _identity()
        self._captures[me] = found
        try:
            yield
        finally:
            del self._captures[me]

    def hold(self, handle: Handle) -> None:
        """Leave the socket unread until `release`."""
        with self._lock:
            handle.held = True
            self._arm(handle)

    def release(self, handle: Handle) -> None:
        with self._lock:
            handle.held, handle.breath = False, 0
            self._arm(handle)

    def cut(self, handle: Handle) -> None:
        """Shut the socket down: every call that waits on it returns with an error at once."""
        with self._lock:
            if handle.removed:
                return
            handle.held = False
            copy = os.dup(handle.fd)
            self._arm(handle)
        with _socket(fileno=copy) as sock, suppress(OSError):
            sock.shutdown(SHUT_RDWR)

    def has_room(self, handle: Handle) -> bool:
        """Tell whether some kilobytes fit into the socket's buffer right now."""
        with self._lock:
            if handle.removed:
                return True  # sending fails at once
            look = _poll()
            look.register(handle.fd, EPOLLOUT)
            return bool(look.poll(0))

    def buffer(self, handle: Handle, option: int, size: int) -> None:
        """Set a buffer size of the socket."""
        with self._lock:
            if handle.removed:
                return
            copy = os.dup(handle.fd)
        with _socket(fileno=copy) as sock, suppress(OSError):
            sock.setsockopt(1, option, size)

    # --- what libvirt asks ----------------------------------------------------------------------

    def _add_handle(self, fd: int, events: int, callback: Any, opaque: Any) -> int:
        with self._lock:
            handle = Handle(next(self._numbers), fd, events, callback, opaque)
            self._handles[handle.watch] = self._by_fd[fd] = handle
            self._arm(handle)
        self._captures.get(_identity(), []).append(handle)
        return handle.watch

    def _update_handle(self, watch: int, events: int) -> None:
        with self._lock:
            handle = self._handles.get(watch)
            if handle:
                handle.events = events
                if events & libvirt.VIR_EVENT_HANDLE_WRITABLE:
                    handle.breath = 0  # the answer to the keepalive is on its way
                self._arm(handle)

    def _remove_handle(self, watch: int) -> int:
        with self._lock:
            handle = self._handles.pop(watch, None)
            if handle is None:
                return -1
            handle.removed, handle.events = True, 0
            self._arm(handle)
            if self._by_fd.get(handle.fd) is handle:
                del self._by_fd[handle.fd]
            self._gone.append(handle.opaque)
        self._wake()
        return 0

    def _add_timeout(self, milliseconds: int, callback: Any, opaque: Any) -> int:
        timer = Timer(next(self._numbers), callback, opaque)
        self._timers[timer.number] = timer
        self._update_timeout(timer.number, milliseconds)
        return timer.number

    def _update_timeout(self, number: int, milliseconds: int) -> None:
        with self._lock:
            timer = self._timers.get(number)
            if timer is None:
                return
            timer.every = milliseconds / 1000
            if timer.every < 0:
                self._ticking.pop(number, None)
                return
            timer.due = _clock() + timer.every
            self._ticking[number] = timer
            sooner = timer.due < self._next_look
        if sooner:
            self._wake()

    def _remove_timeout(self, number: int) -> int:
        with self._lock:
            timer = self._timers.pop(number, None)
            self._ticking.pop(number, None)
            if timer is None:
                return -1
            self._gone.append(timer.opaque)
        self._wake()
        return 0

    def _arm(self, handle: Handle) -> None:
        """Tell epoll what to watch for.  The lock is held."""
        wanted = EPOLL_EVENTS[handle.events]
        if handle.held and not handle.breath:
            wanted &= ~EPOLLIN
        if wanted == handle.armed:
            return
        # Unregistered when nothing is wanted: epoll would report a hang-up again and again.
        if not wanted:
            self._epoll.unregister(handle.fd)
        elif handle.armed:
            self._epoll.modify(handle.fd, wanted)
        else:
            self._epoll.register(handle.fd, wanted)
        handle.armed = wanted

    # --- the loop ---------------------------------------------------------------------------------

    def _wake(self) -> None:
        if _identity() != self._thread:
            with suppress(BlockingIOError):
                os.write(self._wake_write, b"w")

    def _run(self) -> None:
        self._thread = _identity()
        breath = _clock() + BREATH
        while True:
            self._read_sockets(self._rest(breath))
            now = _clock()
            if now >= breath:
                breath = now + BREATH
                self._let_breathe()
            self._fire(now)
            if self._gone:
                self._give_back()

    def _read_sockets(self, seconds: float) -> None:
        """Wait for sockets, then go on while there is something on one of them."""
        ready = self._epoll.poll(seconds)
        for _ in range(ROUNDS):
            for fd, mask in ready:
                if fd == self._wake_read:
                    os.read(fd, 4096)
                else:
                    self._ready(fd, mask)
            ready = self._epoll.poll(0) if ready else ()
            if not ready:
                return

    def _rest(self, breath: float) -> float:
        """Seconds until something is due."""
        with self._lock:
            due = breath
            for timer in self._ticking.values():
                due = min(due, timer.due)
            self._next_look = due
        return max(0.0, due - _clock())

    def _ready(self, fd: int, mask: int) -> None:
        with self._lock:
            handle = self._by_fd.get(fd)
            if handle is None or not mask & (handle.armed | EPOLLERR | EPOLLHUP):
                return
        handle.callback(handle.watch, fd, LIBVIRT_EVENTS[mask & 31], handle.opaque)
        if handle.breath:
            with self._lock:
                handle.breath -= 1
                self._arm(handle)

    def _let_breathe(self) -> None:
        with self._lock:
            for handle in self._handles.values():
                if handle.held:
                    handle.breath = BREATH_MESSAGES
                    self._arm(handle)

    def _fire(self, now: float) -> None:
        with self._lock:
            due = [timer for timer in self._ticking.values() if timer.due <= now]
        for timer in due:
            timer.due = now + timer.every
            if timer.number in self._ticking:
                timer.callback(timer.number, timer.opaque)

    def _give_back(self) -> None:
        with self._lock:
            gone, self._gone = self._gone, []
        for opaque in gone:
            libvirt.virEventInvokeFreeCallback(opaque)


_loop: EventLoop | None = None


def loop() -> EventLoop:
    """Return the process's event loop, started.  Call it before any connection is opened."""
    global _loop  # noqa: PLW0603 - libvirt's event implementation is a global of the process
    if _loop is None:
        _loop = EventLoop().start()
    return _loop

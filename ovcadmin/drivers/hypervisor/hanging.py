"""Parts of a host that hang while the rest of it answers: a storage pool whose server is gone.

libvirtd spends one of its twenty-odd workers on every call into such a part until the call
returns, which may be never.  Whoever asks again and again takes all workers, and with them the
whole host.  So one call stays and waits for the part to come back; others wait for that one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ovcadmin import green
from ovcadmin.drivers.hypervisor.connection import Link
from ovcadmin.errors import HostUnresponsive

T = TypeVar("T")

FIRST_PAUSE = 60.0
LONGEST_PAUSE = 3600.0
"""Seconds from one try to the next when none waits any more, because its connection was cut."""

_clock = time.monotonic


@dataclass
class _Stuck:
    """The call that found a part hanging, or tries whether it still does; how many did before."""

    call: green.Call[Any]
    times: int = 1
    at: float = field(default_factory=_clock)

    def over(self, patience: float) -> bool:
        """Whether the part may be asked again; waits a while when it has just begun to hang."""
        if not self.call.wait(patience if _clock() - self.at < FIRST_PAUSE else 0.0):
            return False
        pause = min(FIRST_PAUSE * 2 ** (self.times - 1), LONGEST_PAUSE)
        return _answered(self.call) or _clock() - self.at > pause


_STUCK: WeakKeyDictionary[Link, dict[str, _Stuck]] = WeakKeyDictionary()


def ask(link: Link, part: str, fn: Callable[[Any], T], *, deadline: float) -> T:
    """Run `fn` with the host's connection; it may hang in `part`, for instance "storage pool x".

    Raises `HostUnresponsive` after `deadline` seconds; once a part hangs for longer, at once.
    """
    stuck = _STUCK.setdefault(link, {})
    begun = _clock()
    before = stuck.get(part)
    if before is not None and not before.over(deadline):
        raise HostUnresponsive(
            f"Host {link.host} does not answer for {part}: a call has not returned. The way to "
            "that storage, or its server, seems to be gone; when it is back it is used again.",
            host=link.host,
            part=part,
        )
    call = link.start(fn, deadline)
    if before is not None:  # others wait for this one
        stuck[part] = _Stuck(call, before.times + 1)
    try:
        return link.threads.result(call, deadline=deadline - (_clock() - begun))
    except HostUnresponsive as error:
        if not call.abandoned:
            raise
        stuck.setdefault(part, _Stuck(call))
        raise HostUnresponsive(
            f"Host {link.host} did not answer for {part} within {deadline:g} seconds.",
            host=link.host,
            part=part,
        ) from error
    finally:
        if _answered(call):
            stuck.pop(part, None)


def _answered(call: green.Call[Any]) -> bool:
    """Whether it returned what the host said; an error is an answer, a broken connection none."""
    if not call.finished:
        return False
    try:
        call.value  # noqa: B018 - it raises what the call did
    except HostUnresponsive:
        return False
    except Exception:  # noqa: BLE001 - whatever the host complained of
        return True
    return True

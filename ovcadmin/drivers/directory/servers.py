"""Which server to ask: the first one that is not known to keep people waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ovcadmin.drivers.directory.settings import Address

REST_FACTOR = 5
"""A server that failed is left alone so many times as long as the failure took: one that refuses
at once is asked again at once, one that costs 3 s not for 15.  So a dead directory costs one
caller at a time a sixth of the time, whatever the reason it is dead, and all others nothing."""


@dataclass
class _Rest:
    until: float
    trouble: str


class Servers:
    """Memory of dead servers, shared by all threads of a process.

    A server that comes back is asked when those before it fall silent: nobody has to wait in
    order to find out that the preferred one is alive again.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        probe: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember nothing yet; `probe` is the longest time that one try takes."""
        self._addresses = tuple(addresses)
        self._probe = probe
        self._clock = clock
        self._resting: dict[Address, _Rest] = {}
        self._lock = threading.Lock()

    def candidates(self) -> list[Address]:
        """Return the servers to try, best first; none when all of them rest.

        A server whose rest is over is handed to one caller at a time: the others go on without it
        instead of waiting with him.
        """
        now = self._clock()
        with self._lock:
            alive = [a for a in self._addresses if a not in self._resting]
            rested = [a for a in self._addresses if a in self._resting]
            rested = [a for a in rested if self._resting[a].until <= now]
            if not alive:
                for address in rested:
                    self._resting[address].until = now + self._probe
        return alive + rested

    def answered(self, address: Address) -> None:
        with self._lock:
            self._resting.pop(address, None)

    def failed(self, address: Address, *, seconds: float, trouble: str) -> None:
        """Let a server rest that wasted so many seconds."""
        rest = min(seconds, self._probe) * REST_FACTOR
        with self._lock:
            self._resting[address] = _Rest(self._clock() + rest, trouble)

    def troubles(self) -> dict[str, str]:
        """Why the servers that failed last did so."""
        with self._lock:
            return {str(address): rest.trouble for address, rest in self._resting.items()}

    def next_try(self) -> float:
        """Seconds until a resting server may be asked again."""
        now = self._clock()
        with self._lock:
            return max(0.0, min((r.until - now for r in self._resting.values()), default=0.0))

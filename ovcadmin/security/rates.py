"""How fast one token may send requests: a bucket each, which all web processes of a machine see.

A bucket holds `BURST` seconds' worth of requests and fills up again at the rate.  The buckets lie
in a small file of fixed size, read and written in place: a few microseconds a request, where a row
of the database would be a write for every read.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import struct
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from ovcadmin.errors import RateExceeded

BURST = 10
FILE = "rates"
"""Name of the file in the data directory."""
_BUCKET = struct.Struct("<Qdd")
"""Whose it is (part of a hash), how much was in it, at which moment of the machine's clock."""
_SHELVES = 8192
_PLACES = 8
"""Buckets of a shelf.  A token's hash names its shelf; there the longest unused one gives way."""


class Rates:
    def __init__(self, rate: int, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate`: requests a second; 0 is no limit.

        `clock`: runs alike in all processes of the machine, and may begin anew when it starts.
        """
        self._rate = rate
        self._whole = float(rate * BURST)
        self._clock = clock
        self._lock = threading.Lock()
        """The file's lock keeps processes apart, this one the threads of a process."""
        self._path = file

    def take(self, key: str) -> None:
        """Count one request with a token's key; raises `RateExceeded` when it sent too many."""
        if not self._rate:
            return
        digest = hashlib.sha256(key.encode()).digest()
        shelf, owner = int.from_bytes(digest[:4], "big") % _SHELVES, digest[4:12]
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                left = self._take(shelf * _PLACES * _BUCKET.size, int.from_bytes(owner, "big"))
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        if left < 0:
            wait = math.ceil(-left / self._rate)
            raise RateExceeded(
                f"This token sends more than {self._rate} requests a second. Wait {wait} s.",
                retry_after=wait,
            )

    def _take(self, offset: int, owner: int) -> float:
        """Return how much is left after one more; below 0 nothing was taken."""
        now, size = self._clock(), _PLACES * _BUCKET.size
        raw = os.pread(self._file, size, offset).ljust(size, b"\0")
        shelf = list(_BUCKET.iter_unpack(raw))
        place = next((k for k, one in enumerate(shelf) if one[0] == owner), None)
        if place is None:
            place, held = min(range(_PLACES), key=lambda k: shelf[k][2]), self._whole
        else:
            _, held, at = shelf[place]
            # A clock that went back began anew: the machine was started since.
            held = self._whole if at > now else min(self._whole, held + (now - at) * self._rate)
        if held >= 1:
            bucket = _BUCKET.pack(owner, held - 1, now)
            os.pwrite(self._file, bucket, offset + place * _BUCKET.size)
        return held - 1

    @cached_property
    def _file(self) -> int:
        """The file's descriptor, for as long as the process runs."""
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

"""The access token of a cluster, shared by all processes of this machine.

A cluster counts token calls by the caller's address and shuts out for a minute who makes more
than five in one.  So the token and the times of the calls are kept in a file, and whoever holds
its lock may ask for a new one.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ovcadmin import green
from ovcadmin.errors import StorageRefused, StorageUnreachable

ALLOWED = 4
"""Calls in a window: one less than the cluster allows, for somebody else on this address."""
WINDOW = 61.0
EARLY = 60.0
"""A token is renewed when it has less than this left (of short ones: a fifth of its life)."""
LOCK_SECONDS = 30.0
LOOK_SECONDS = 0.02

Fetch = Callable[[], tuple[str, float]]
"""Asks the cluster; answers a token and how many seconds it lives."""


@dataclass
class _Kept:
    token: str = ""
    renew_at: float = 0.0
    calls: list[float] = field(default_factory=list)


class TokenFile:
    def __init__(self, path: Path, cluster: str) -> None:
        self._path = path
        self._cluster = cluster

    def get(self, fetch: Fetch, *, unlike: str = "") -> str:
        """Return a token that lives and is not `unlike`, which the cluster has just refused.

        Raises `StorageRefused` when too many were asked for within a minute.
        """
        kept = self._read()
        if _lives(kept, unlike):
            return kept.token
        with self._locked():
            kept = self._read()
            if _lives(kept, unlike):  # somebody else was faster
                return kept.token
            now = time.time()
            kept.calls = [call for call in kept.calls if now - WINDOW < call <= now]
            if len(kept.calls) >= ALLOWED:
                wait = kept.calls[0] + WINDOW - now
                raise StorageRefused(
                    f"Storage cluster {self._cluster} forgot {ALLOWED} access tokens within a "
                    f"minute. The next one is asked for in {wait:.0f} seconds.",
                    retry_after=wait,
                )
            kept.calls.append(now)
            self._write(kept)
            token, life = fetch()
            kept.token, kept.renew_at = token, now + life - min(EARLY, life / 5)
            self._write(kept)
            return token

    def _read(self) -> _Kept:
        try:
            return _Kept(**json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return _Kept()

    def _write(self, kept: _Kept) -> None:
        fresh = self._path.with_suffix(".new")
        handle = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(vars(kept), file)
        fresh.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        end = time.monotonic() + LOCK_SECONDS
        handle = os.open(self._path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise StorageUnreachable(
                            f"Another process has been waiting for storage cluster "
                            f"{self._cluster} for too long."
                        ) from None
                green.sleep(LOOK_SECONDS)
            yield
        finally:
            os.close(handle)


def _lives(kept: _Kept, unlike: str) -> bool:
    return bool(kept.token) and kept.token != unlike and time.time() < kept.renew_at

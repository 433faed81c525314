"""What operations ask of the web: one file, from an address that is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Protocol

Progress = Callable[[float], None]


class Downloads(Protocol):
    def fetch(self, url: str, into: BinaryIO, *, largest: int, progress: Progress) -> int:
        """Write what the address holds into the file; return its length in bytes.

        Raises `DownloadRefused` for an address (or a redirect to one) that is not allowed,
        `DownloadFailed` when the server fails, stalls, or sends more than `largest`.
        """
        ...

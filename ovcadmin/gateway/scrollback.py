"""What a console printed last, for pages that come later."""

from __future__ import annotations

LIMIT = 256 * 1024
_SLACK = 64 * 1024
"""How much more may gather before the beginning is cut off: a cut moves all that is kept."""
_LONGEST_LINE = 4096


class Scrollback:
    """The last `LIMIT` bytes, from the start of a line on."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._seen = 0

    def append(self, chunk: bytes) -> None:
        self._seen += len(chunk)
        self._kept += chunk[-LIMIT:]
        if len(self._kept) > LIMIT + _SLACK:
            del self._kept[:-LIMIT]

    def __bytes__(self) -> bytes:
        """Return what is kept.

        A cut may fall into the middle of a character or of an escape sequence, so what is left of
        the first line is dropped.
        """
        kept = bytes(self._kept[-LIMIT:])
        if self._seen <= LIMIT:
            return kept
        return kept[kept.find(b"\n", 0, _LONGEST_LINE) + 1 :]

    def __len__(self) -> int:
        return len(self._kept)

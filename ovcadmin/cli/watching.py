"""`--watch` on a terminal: each look replaces the one before, at once and within the screen."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

CLEAR = "\x1b[H\x1b[2J"


class _Terminal(io.StringIO):
    """Collects what is for a terminal: with colours, and lines that fit."""

    def isatty(self) -> bool:
        return True


@contextmanager
def frame() -> Iterator[None]:
    """Show what is printed meanwhile as one picture; in a pipe it is just passed on.

    The old picture stays until the new one is whole: nobody looks at an empty screen while the
    console is asked.
    """
    if not sys.stdout.isatty():
        yield
        sys.stdout.flush()
        return
    with redirect_stdout(_Terminal()) as drawn:
        yield
    sys.stdout.write(CLEAR + fitted(drawn.getvalue(), shutil.get_terminal_size().lines))
    sys.stdout.flush()


def fitted(text: str, height: int) -> str:
    """Return as many lines as a screen of this height holds, and how many are left out."""
    lines = text.splitlines()
    room = max(height - 1, 1)
    if len(lines) > room:
        left = len(lines) - room + 1
        lines = [*lines[: room - 1], f"… {left} more lines"]
    return "".join(f"{line}\n" for line in lines)

"""What helps, added to what failed: a daemon's words name a cause, not a remedy."""

from __future__ import annotations

from collections.abc import Iterable


def with_hint(text: str, hints: Iterable[tuple[str, str]], *, said: str = "") -> str:
    """Return the text with the first hint whose words are in it, or in what else was `said`."""
    words = f"{said} {text}".lower()
    hint = next((hint for part, hint in hints if part in words), "")
    return f"{text} {hint}".strip()

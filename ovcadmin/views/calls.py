"""The REST call, and the command of `ovc`, that do what a form does: every form shows them."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import Any

BASE = "/api/v1"


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    """The same typed for `ovc`."""

    @property
    def text(self) -> str:
        """The request as it is sent; the token comes from one's profile."""
        head = f"{self.method} {BASE}{self.path}\nAuthorization: Bearer <token>"
        if not self.body:
            return head
        body = json.dumps(self.body, ensure_ascii=False, indent=2)
        return f"{head}\nContent-Type: application/json\n\n{body}"


def shell(command: str, *words: object, **options: object) -> str:
    """Write a command line; an option that is True is a flag, one without a value is left out."""
    parts = [command, *(shlex.quote(str(word)) for word in words)]
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            parts.append(flag)
        elif value not in (None, False, ""):
            parts.append(f"{flag} {shlex.quote(str(value))}")
    return " ".join(parts)

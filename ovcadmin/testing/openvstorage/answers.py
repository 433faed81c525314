"""Answers of the API: errors in its two shapes, and what a call is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Fault(Exception):
    """An error answer: the API's own shape, or `detail` as the REST library tells it."""

    def __init__(
        self, status: int, error: str = "", description: str = "", *, detail: str = ""
    ) -> None:
        super().__init__(description or detail)
        self.status = status
        self.body: dict[str, str] = (
            {"detail": detail} if detail else {"error": error, "error_description": description}
        )


@dataclass
class Call:
    """One request, its body read, and its parameters: path before body before query."""

    method: str
    path: str
    address: str
    headers: dict[str, str]
    body: Any = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        value = self.body[name] if name in self.body else self.query.get(name, default)
        return {"true": True, "True": True, "false": False, "False": False}.get(
            value if isinstance(value, str) else "", value
        )

    def need(self, name: str) -> Any:
        if name not in self.body and name not in self.query:
            raise Fault(406, "invalid_data", f"Invalid data passed: {name} is missing")
        return self.get(name)

"""The setting in which a service works: one transaction, one actor, one clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from ovcadmin.config import Settings
from ovcadmin.models import utcnow


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who acts, and through which door; written into every audit row and operation."""

    user_id: int | None
    name: str
    """`anna@internal`; `console` for the console itself."""
    door: str
    """`page`, `api`, `console` or `system`."""
    address: str = ""
    session_id: int | None = None
    token_id: int | None = None


SYSTEM = Actor(user_id=None, name="console", door="system")


@dataclass(frozen=True, kw_only=True)
class Work:
    db: Session
    actor: Actor
    settings: Settings
    request_id: str = ""
    clock: Callable[[], datetime] = field(default=utcnow)

    def now(self) -> datetime:
        return self.clock()

"""Turns: those who change the same thing under a condition do so one after the other.

SQLite has one writer at a time anyway.  PostgreSQL lets two look at the same version before either
writes; so who changes waits here, and looks only then.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import text

from ovcadmin.work import Work

_LOCK = text("SELECT pg_advisory_xact_lock(:number)")


def take(work: Work, name: str) -> None:
    """Wait until nobody else changes what `name` stands for; until the transaction ends."""
    if work.db.get_bind().dialect.name != "postgresql":
        return
    digest = hashlib.sha256(name.encode()).digest()
    work.db.execute(_LOCK, {"number": int.from_bytes(digest[:8], "big", signed=True)})
    # What was read before the wait may be another now.
    work.db.expire_all()

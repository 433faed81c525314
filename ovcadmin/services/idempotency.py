"""Idempotency keys: a request to make something that is sent again makes nothing twice.

The key is claimed first, in the transaction that makes the object, so of two requests at the same
moment the second waits for the first and then finds what it was answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from ovcadmin.errors import IdempotencyMismatch
from ovcadmin.models import IdempotencyKey
from ovcadmin.work import Work

KEPT = timedelta(days=1)


@dataclass(kw_only=True)
class Claim:
    """A key that is ours now."""

    row: IdempotencyKey

    @property
    def told(self) -> dict[str, Any] | None:
        """What an earlier request with it was answered; None: this one is the first."""
        return self.row.answer

    def keep(self, answer: dict[str, Any]) -> None:
        self.row.answer = answer


def claim(work: Work, key: str, *, fingerprint: str) -> Claim:
    """Claim the actor's key for a request.

    `fingerprint` tells requests apart.  Raises `IdempotencyMismatch` when the key stood for
    another request.
    """
    assert work.actor.user_id is not None
    work.db.execute(
        delete(IdempotencyKey)
        .where(
            IdempotencyKey.user_id == work.actor.user_id,
            IdempotencyKey.created_at < work.now() - KEPT,
        )
        .execution_options(synchronize_session=False)
    )
    row = _find(work, key) or _insert(work, key, fingerprint)
    if row.fingerprint != fingerprint:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used for another request. Use a new key for a new request."
        )
    return Claim(row=row)


def sweep(work: Work) -> None:
    """Forget the keys of yesterday, with what was answered."""
    work.db.execute(
        delete(IdempotencyKey)
        .where(IdempotencyKey.created_at < work.now() - KEPT)
        .execution_options(synchronize_session=False)
    )


def _find(work: Work, key: str) -> IdempotencyKey | None:
    return work.db.scalar(
        select(IdempotencyKey).where(
            IdempotencyKey.user_id == work.actor.user_id, IdempotencyKey.key == key
        )
    )


def _insert(work: Work, key: str, fingerprint: str) -> IdempotencyKey:
    """Write the key down; if another request is just doing so, wait for it and take its row."""
    row = IdempotencyKey(
        user_id=work.actor.user_id,
        key=key,
        fingerprint=fingerprint,
        created_at=work.now(),
    )
    try:
        with work.db.begin_nested():
            work.db.add(row)
    except IntegrityError:
        other = _find(work, key)
        assert other is not None, "the index that refused the key holds another with it"
        return other
    return row

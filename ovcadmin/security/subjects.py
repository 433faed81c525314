"""What notes and cases are about, and whose rights count for each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ovcadmin.models import Host, Image, Lineage, Machine, Pool, StoragePool, User
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import held, privileges_on

Privileges = frozenset[Privilege]
SUBJECTS: dict[str, Any] = {
    "machine": Machine,
    "pool": Pool,
    "host": Host,
    "storage_pool": StoragePool,
    "image": Image,
    "user": User,
}
"""Model by kind."""


def place(db: Session, kind: str, row: Any) -> int:
    """Return the pool whose rights count; people stand beside the pools: for them, the root's."""
    if kind == "user":
        return db.scalars(select(Pool.id).where(Pool.parent_id.is_(None))).one()
    return int(row.id if kind == "pool" else row.pool_id)


def privileges(db: Session, user_id: int, kind: str, row: Any) -> Privileges:
    """Return what a user may do there; without VIEW the thing does not exist for him.

    Of a person: staff is who may view the console as he sees it, and he himself is no stranger.
    """
    found = privileges_on(db, user_id, place(db, kind, row))
    if kind == "user":
        if Privilege.VIEW_AS in found:
            return found | {Privilege.VIEW, Privilege.SEE_GRANTS}
        return frozenset({Privilege.VIEW} if row.id == user_id else ())
    if kind == "image" and Privilege.VIEW not in found and is_served(db, user_id, row):
        return found | {Privilege.VIEW}
    return found


def is_served(db: Session, user_id: int, image: Image) -> bool:
    """Tell whether an image serves a pool that the user views: its own or one below."""
    served = select(Lineage.pool_id).where(
        Lineage.ancestor_id == image.pool_id,
        Lineage.pool_id.in_(held(user_id, Privilege.VIEW)),
    )
    return db.scalar(served.limit(1)) is not None

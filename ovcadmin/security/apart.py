"""Contexts of requests that talk to a directory: no transaction is open meanwhile.

The rights are read in a transaction of their own.  On SQLite the request's own one would keep
every writer waiting for a directory that may take seconds.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from ovcadmin.errors import NotFound, NotSignedIn
from ovcadmin.models import Pool, User
from ovcadmin.security.contexts import RootContext, UserContext, is_id
from ovcadmin.security.policy import Identity
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_anywhere, privileges_on


def at_root(request: Any) -> RootContext:
    """Give what the user may do on the root; who may not even see it finds nothing here."""
    with request.database.reading() as db:
        privileges = _on_root(db, _user_id(request))
    if Privilege.VIEW not in privileges:
        raise _nothing()
    return RootContext(lambda: privileges)


def beside_the_pools(request: Any) -> RootContext:
    """As the context of this name for lists of what stands beside the pools."""
    with request.database.reading() as db:
        privileges = _beside(db, _user_id(request))
    return RootContext(lambda: privileges)


def user(request: Any) -> UserContext:
    """As the context of this name, its row read apart."""
    if not is_id(request.matchdict["id"]):
        raise _nothing()
    with request.database.reading() as db:
        privileges = _beside(db, _user_id(request))
        found = db.get(User, int(request.matchdict["id"]))
    if found is None or Privilege.SEE_GRANTS not in privileges:
        raise _nothing()
    return UserContext(user=found, privileges=privileges)


def _on_root(db: Any, user_id: int) -> frozenset[Privilege]:
    root = db.scalars(select(Pool.id).where(Pool.parent_id.is_(None))).one()
    return privileges_on(db, user_id, root)


def _beside(db: Any, user_id: int) -> frozenset[Privilege]:
    sees = {Privilege.SEE_GRANTS} & privileges_anywhere(db, user_id)
    return _on_root(db, user_id) | sees


def _user_id(request: Any) -> int:
    identity: Identity | None = request.identity
    if identity is None:
        raise NotSignedIn("Sign in first.")
    return identity.user_id


def _nothing() -> NotFound:
    return NotFound("There is nothing here, or nothing that you may see.")

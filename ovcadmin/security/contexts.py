"""What a route is about: one object, its pool, and what the user may do there.

A factory looks the object up together with the user's privileges on its pool.  Who may not view
it gets the very answer that an unknown id gets; who is not signed in is asked to sign in first,
whether or not the object exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlalchemy import select

from ovcadmin.errors import NotFound, NotSignedIn
from ovcadmin.models import (
    Grant,
    Group,
    Host,
    Image,
    Machine,
    Operation,
    Pool,
    Role,
    StorageCluster,
    StoragePool,
    User,
)
from ovcadmin.security.policy import Identity
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.subjects import is_served
from ovcadmin.security.visibility import privileges_on

Privileges = frozenset[Privilege]
LARGEST_ID = 2**31 - 1


class RootContext:
    """No object: lists, one's own things, and what is open to everybody."""

    def __init__(self, find: Callable[[], Privileges] = frozenset) -> None:
        self._find = find

    @cached_property
    def privileges(self) -> Privileges:
        """What the user may do on any pool at all; looked up when first asked for."""
        return self._find()


@dataclass(frozen=True, kw_only=True)
class PoolContext:
    pool: Pool
    privileges: Privileges
    parent_privileges: Privileges
    """What the user may do one level up: the quota of a pool is set there, and it is deleted
    there.  The root stands for its own parent."""


@dataclass(frozen=True, kw_only=True)
class MachineContext:
    machine: Machine
    pool: Pool
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class HostContext:
    host: Host
    pool: Pool
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class ImageContext:
    image: Image
    pool: Pool
    privileges: Privileges
    """On the image's pool, and VIEW for all whom the image serves."""


@dataclass(frozen=True, kw_only=True)
class StoragePoolContext:
    storage_pool: StoragePool
    pool: Pool
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class ClusterContext:
    cluster: StorageCluster
    pool: Pool
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class OperationContext:
    operation: Operation
    pool: Pool
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class GrantContext:
    grant: Grant
    pool: Pool
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class RoleContext:
    role: Role
    privileges: Privileges
    """Those of `beside_the_pools`, here and for users and groups."""


@dataclass(frozen=True, kw_only=True)
class UserContext:
    user: User
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class GroupContext:
    group: Group
    privileges: Privileges


_ABOUT = (
    "machine", "host", "image", "storage_pool", "operation", "grant", "role", "user", "group",
    "logical_group", "loan", "quota_request", "realm", "pool",
)  # fmt: skip
"""Fields of contexts that hold what a request is about, the special before the general."""


def about(context: Any) -> tuple[str, Any]:
    """Return what a request is about, its kind and its row; a blank and None for a list."""
    if context is None or isinstance(context, RootContext):
        return "", None
    kind = next((name for name in _ABOUT if hasattr(context, name)), "")
    return kind, getattr(context, kind) if kind else None


def turn(context: Any, otherwise: str) -> str:
    """Name whose turn it is while somebody changes what a request is about; see services.turns."""
    kind, row = about(context)
    return f"{kind} {row.id}" if kind else otherwise


def anybody(_request: Any) -> RootContext:
    """Give the context of what needs no sign-in."""
    return RootContext()


def signed_in(request: Any) -> RootContext:
    """Give the context of lists."""
    _user_id(request)
    return RootContext(lambda: request.held_anywhere)


def pool(request: Any) -> PoolContext:
    return _pool_context(request, request.matchdict["id"])


def pool_from_above(request: Any) -> PoolContext:
    """Give the pool with the privileges held on its parent: its quota, its end."""
    context = pool(request)
    return replace(context, privileges=context.parent_privileges)


def pool_named_by(
    parameter: str, *, required: bool = True
) -> Callable[[Any], PoolContext | RootContext]:
    """Give a factory for the pool that the address names in its query.

    Where it is not `required` and none is named, the context is that of lists.
    """

    def factory(request: Any) -> PoolContext | RootContext:
        if parameter not in request.GET and not required:
            return signed_in(request)
        return _pool_context(request, request.GET.get(parameter, ""))

    factory.parameter = parameter  # type: ignore[attr-defined]
    return factory


def machine(request: Any) -> MachineContext:
    found, privileges = _found(request, Machine)
    if found.deleted_at is not None:
        raise _nothing()
    return MachineContext(machine=found, pool=found.pool, privileges=privileges)


def host(request: Any) -> HostContext:
    found, privileges = _found(request, Host)
    return HostContext(host=found, pool=found.pool, privileges=privileges)


def storage_pool(request: Any) -> StoragePoolContext:
    found, privileges = _found(request, StoragePool)
    return StoragePoolContext(storage_pool=found, pool=found.pool, privileges=privileges)


def cluster(request: Any) -> ClusterContext:
    found, privileges = _found(request, StorageCluster)
    return ClusterContext(cluster=found, pool=found.pool, privileges=privileges)


def operation(request: Any) -> OperationContext:
    found, privileges = _found(request, Operation)
    return OperationContext(operation=found, pool=found.pool, privileges=privileges)


def grant(request: Any) -> GrantContext:
    found, privileges = _found(request, Grant)
    return GrantContext(grant=found, pool=found.pool, privileges=privileges)


def role(request: Any) -> RoleContext:
    privileges = _seen_beside(request)
    return RoleContext(role=_get(request, Role, request.matchdict["id"]), privileges=privileges)


def user(request: Any) -> UserContext:
    privileges = _seen_beside(request)
    return UserContext(user=_get(request, User, request.matchdict["id"]), privileges=privileges)


def group(request: Any) -> GroupContext:
    privileges = _seen_beside(request)
    return GroupContext(group=_get(request, Group, request.matchdict["id"]), privileges=privileges)


def beside_the_pools(request: Any) -> RootContext:
    """Give the context of what stands beside the pool tree: people, groups, roles.

    It is seen by whoever sees grants on any pool; all else is allowed by what one holds on the
    root.
    """
    user_id = _user_id(request)
    return RootContext(lambda: _beside(request, user_id))


def image(request: Any) -> ImageContext:
    """Give the image: seen by whoever views a pool that it serves, its own or one below."""
    user_id = _user_id(request)
    found = _get(request, Image, request.matchdict["id"])
    if found.deleted_at is not None:
        raise _nothing()
    privileges = privileges_on(request.db, user_id, found.pool_id)
    if Privilege.VIEW not in privileges:
        if not is_served(request.db, user_id, found):
            raise _nothing()
        privileges |= {Privilege.VIEW}
    return ImageContext(image=found, pool=found.pool, privileges=privileges)


def _beside(request: Any, user_id: int) -> Privileges:
    root = request.db.scalars(select(Pool.id).where(Pool.parent_id.is_(None))).one()
    held_there = privileges_on(request.db, user_id, root)
    sees = Privilege.SEE_GRANTS in request.held_anywhere
    return held_there | {Privilege.SEE_GRANTS} if sees else held_there


def _seen_beside(request: Any) -> Privileges:
    privileges = _beside(request, _user_id(request))
    if Privilege.SEE_GRANTS not in privileges:
        raise _nothing()
    return privileges


def _pool_context(request: Any, text: str) -> PoolContext:
    user_id = _user_id(request)
    found = _get(request, Pool, text)
    privileges = _seen(privileges_on(request.db, user_id, found.id))
    above = privileges
    if found.parent_id is not None:
        above = privileges_on(request.db, user_id, found.parent_id)
    return PoolContext(pool=found, privileges=privileges, parent_privileges=above)


def _found(request: Any, model: Any) -> tuple[Any, Privileges]:
    """Return the row that the route's id names, and what the user may do on its pool."""
    user_id = _user_id(request)
    row = _get(request, model, request.matchdict["id"])
    return row, _seen(privileges_on(request.db, user_id, row.pool_id))


def _get(request: Any, model: Any, text: str) -> Any:
    if not is_id(text):
        raise _nothing()
    row = request.db.get(model, int(text))
    if row is None:
        raise _nothing()
    return row


def is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:19]) <= LARGEST_ID


def _seen(privileges: Privileges) -> Privileges:
    if Privilege.VIEW not in privileges:
        raise _nothing()
    return privileges


def _nothing() -> NotFound:
    # One text for all: it must not tell a hidden object from an unknown one.
    return NotFound("There is nothing here, or nothing that you may see.")


def _user_id(request: Any) -> int:
    if not is_id((request.matchdict or {}).get("id", "0")):
        raise _nothing()  # to everybody: signing in would not help
    identity: Identity | None = request.identity
    if identity is None:
        raise NotSignedIn("Sign in first.")
    return identity.user_id

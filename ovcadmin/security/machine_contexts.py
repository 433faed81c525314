"""What routes about parts of a machine's life are about: snapshots, profiles, recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ovcadmin.models import Lineage, Machine, Pool, Profile, Recording, Snapshot
from ovcadmin.security.contexts import Privileges, _get, _nothing, _seen, _user_id
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import held, privileges_on


@dataclass(frozen=True, kw_only=True)
class SnapshotContext:
    snapshot: Snapshot
    machine: Machine
    pool: Pool
    privileges: Privileges


@dataclass(frozen=True, kw_only=True)
class ProfileContext:
    profile: Profile
    pool: Pool
    privileges: Privileges
    """On the profile's pool; and VIEW and CREATE where they are held on a pool that it serves."""


@dataclass(frozen=True, kw_only=True)
class RecordingContext:
    recording: Recording
    pool: Pool
    privileges: Privileges


def recording(request: Any) -> RecordingContext:
    """Give the recording of a console: to whoever may look at it, see services/recordings."""
    user_id = _user_id(request)
    found = _get(request, Recording, request.matchdict["id"])
    privileges = _seen(privileges_on(request.db, user_id, found.pool_id))
    told = found.user_id == user_id or found.shared_at is not None
    if not told and Privilege.MODIFY not in privileges:
        raise _nothing()
    return RecordingContext(recording=found, pool=found.pool, privileges=privileges)


def profile(request: Any) -> ProfileContext:
    """Give the profile: seen by whoever views a pool that it serves, its own or one below."""
    user_id = _user_id(request)
    found = _get(request, Profile, request.matchdict["id"])
    privileges = privileges_on(request.db, user_id, found.pool_id)
    for privilege in {Privilege.VIEW, Privilege.CREATE} - privileges:
        served = select(Lineage.pool_id).where(
            Lineage.ancestor_id == found.pool_id, Lineage.pool_id.in_(held(user_id, privilege))
        )
        if request.db.scalar(served.limit(1)) is not None:
            privileges |= {privilege}
    return ProfileContext(profile=found, pool=found.pool, privileges=_seen(privileges))


def snapshot(request: Any) -> SnapshotContext:
    """Give the snapshot: it belongs to its machine, and is seen by whoever sees that."""
    user_id = _user_id(request)
    found = _get(request, Snapshot, request.matchdict["id"])
    machine = found.machine
    privileges = _seen(privileges_on(request.db, user_id, machine.pool_id))
    if machine.deleted_at is not None:
        raise _nothing()
    return SnapshotContext(
        snapshot=found, machine=machine, pool=machine.pool, privileges=privileges
    )

"""What people may change of a machine without touching its host: name, owner, care."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from ovcadmin.domain import names
from ovcadmin.errors import Forbidden, InvalidInput, NameTaken, Outdated
from ovcadmin.models import Machine, Reservation, User
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import audit, explanations, machines, people, pools, quotas
from ovcadmin.work import Work

LONGEST_DESCRIPTION = 2000
LONGEST_SHUTDOWN = 3600


@dataclass(frozen=True, kw_only=True)
class Edit:
    """The new values; None leaves what is there."""

    name: str | None = None
    description: str | None = None
    owner: str | None = None
    """`name@realm`; needs the privilege to modify."""
    locked: bool | None = None
    """Protected against deletion."""
    keep_running: bool | None = None
    shutdown_seconds: int | None = None
    """0 is the console's own setting."""


def edit(work: Work, machine: Machine, wanted: Edit, version: int) -> None:
    """Change the machine, if nobody else did since `version` was shown.

    Raises `Outdated`, `InvalidInput`, `NameTaken`, `Forbidden` or `QuotaExceeded`.
    """
    if version != machine.version:
        raise Outdated(
            f"{machine.name} was changed by somebody else meanwhile. Look at it again.",
            version=machine.version,
        )
    before = _told(machine)
    if wanted.owner is not None:
        _give(work, machine, wanted.owner)
    if wanted.description is not None:
        machine.description = _description(wanted.description)
    if wanted.locked is not None:
        machine.locked = wanted.locked
    if wanted.shutdown_seconds is not None:
        machine.shutdown_seconds = _seconds(wanted.shutdown_seconds)
    if wanted.keep_running is not None:
        machine.keep_running = wanted.keep_running
        machine.restarts, machine.restarted_at, machine.given_up_at = 0, None, None
    if wanted.name is not None:
        _rename(work, machine, wanted.name)
    after = _told(machine)
    changed = {key for key in after if after[key] != before[key]}
    if not changed:
        return
    machine.version += 1
    work.db.flush()
    announce(work.db, "machine", machine.id, machine.pool_id)
    audit.record(
        work, "machine.edit", "machine", machine.id, machine.name, pool_id=machine.pool_id,
        before={key: before[key] for key in changed}, after={key: after[key] for key in changed},
    )  # fmt: skip


def owner_of(machine: Machine) -> str:
    return f"{machine.owner.name}@{machine.owner.realm.name}"


def _rename(work: Work, machine: Machine, name: str) -> None:
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        told = {"name": str(error)}
        raise InvalidInput("The machine cannot have this name.", fields=told) from None
    if cleaned == machine.name:
        return
    pool_name = machine.pool.name
    if names.key(cleaned) != machine.name_key and machine.binned_at is None:
        machines.ensure_name_free(work, machine.pool, cleaned)
    machine.name, machine.name_key = cleaned, names.key(cleaned)
    try:
        work.db.flush()
    except IntegrityError:
        raise NameTaken(
            f"There is already a machine {cleaned} in {pool_name}.", field="name"
        ) from None


def _give(work: Work, machine: Machine, owner: str) -> None:
    """Make another user the owner: what it holds then counts for his share of each pool."""
    name, _, realm = owner.strip().rpartition("@")
    found = people.find(work, name, realm) if name else people.find(work, realm)
    if found is not None and found.id == machine.owner_id:
        return
    _ensure_may_give(work, machine)
    if found is None or not _may_own(work, found, machine):
        raise InvalidInput(
            "The machine has the owner that it had.",
            fields={"owner": f"Nobody of this name sees {machine.pool.name}; write name@realm."},
        )
    quotas.lock_chain(work, machine.pool, machine=machine)
    work.db.refresh(machine, ["owner_id", "pool_id"])
    held = quotas.total(work, Reservation.machine_id == machine.id)
    chain = [pool.id for pool in pools.above(work, machine.pool)]
    shares = quotas.shares(work, chain, found.id)
    explanations.refuse(work, machine.pool, shares, held, machine.name)
    machine.owner_id = found.id
    work.db.flush()
    work.db.refresh(machine, ["owner"])


def _ensure_may_give(work: Work, machine: Machine) -> None:
    user_id = work.actor.user_id
    if user_id is None:
        return
    if Privilege.MODIFY not in privileges_on(work.db, user_id, machine.pool_id):
        raise Forbidden(
            f"To give {machine.name} another owner needs the privilege “{Privilege.MODIFY}” on "
            f"{machine.pool.name}.",
            privilege=Privilege.MODIFY.value,
        )


def _may_own(work: Work, user: User, machine: Machine) -> bool:
    if user.disabled_at is not None:
        return False
    return Privilege.VIEW in privileges_on(work.db, user.id, machine.pool_id)


def _description(text: str) -> str:
    if len(text) > LONGEST_DESCRIPTION:
        told = {"description": f"Use at most {LONGEST_DESCRIPTION} characters."}
        raise InvalidInput("The description is too long.", fields=told)
    return text.strip()


def _seconds(seconds: int) -> int | None:
    if not 0 <= seconds <= LONGEST_SHUTDOWN:
        told = {"shutdown_seconds": f"Use 1 to {LONGEST_SHUTDOWN}, 0 for the console's setting."}
        raise InvalidInput("The machine is not changed.", fields=told)
    return seconds or None


def _told(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.name,
        "description": machine.description,
        "owner": owner_of(machine),
        "locked": machine.locked,
        "keep_running": machine.keep_running,
        "shutdown_seconds": machine.shutdown_seconds,
    }

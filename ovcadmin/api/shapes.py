"""How objects look in JSON, as the contract says; memory in KiB, storage in bytes, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyramid.renderers import JSON

from ovcadmin.answers import article_path
from ovcadmin.services.storage import Space


def renderer() -> Any:
    made = JSON()
    made.add_adapter(datetime, lambda at, _request: moment(at))
    return made


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def reference(row: Any) -> dict[str, Any] | None:
    return None if row is None else {"id": row.id, "name": row.name}


def pool(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "parent_id": row.parent_id,
        "frozen": row.frozen_at is not None,
        "retired": row.retired_at is not None,
        "created_at": row.created_at,
        "version": row.version,
    }


def level(found: Any) -> dict[str, Any]:
    return {
        "pool": {"id": found.pool_id, "name": found.name},
        "limits": dict(found.limits.items()),
        "used": dict(found.used.items()),
        "pending": dict(found.pending.items()),
    }


def lowering(found: Any) -> dict[str, Any]:
    return {
        "used": [_over(one) for one in found.used],
        "promised": [_over(one) for one in found.promised],
        "stuck": [reference(machine) for machine in found.stuck],
    }


def _over(one: Any) -> dict[str, Any]:
    return {
        "resource": one.resource,
        "limit": one.limit,
        "amount": one.amount,
        "person": one.person or None,
    }


def image(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "description": row.description,
        "os_type": row.os_type,
        "size": row.size,
        "checksum": row.checksum,
        "address": row.source if row.kind == "network" else "",
        "iso": reference(row.installer) if row.installer else None,
        "pool": reference(row.pool),
        "created_at": row.created_at,
    }


def image_copy(store: Any, copy: Any) -> dict[str, Any]:
    state = "none" if copy is None else "ready" if copy.key else "coming"
    return {"storage_pool": reference(store), "state": state}


def volume(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "size": row.size,
        "allocated": row.allocated,
        "address": row.address,
        "machine": reference(row.machine) if row.machine else None,
        "image": reference(row.image) if row.image else None,
        "pool": reference(row.pool) if row.pool else None,
        "found": row.found,
        "offered": row.offered,
        "missing_at": row.missing_at,
        "operation_id": row.operation_id,
        "created_at": row.created_at,
    }


def image_upload(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "pool": reference(row.pool),
        "size": row.size,
        "received": row.received,
        "operation_id": row.operation_id,
        "created_at": row.created_at,
    }


def machine(row: Any, badge: Any, actions: list[str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "uuid": row.uuid,
        "name": row.name,
        "description": row.description,
        "pool": reference(row.pool),
        "owner": f"{row.owner.name}@{row.owner.realm.name}",
        "host": reference(row.host),
        "image": reference(row.image),
        "size": row.size_name,
        "vcpus": row.vcpus,
        "memory": row.memory,
        "storage": row.storage,
        "snapshot_storage": row.snapshot_storage,
        "mac": [nic.mac for nic in row.nics],
        "state": row.state,
        "shown": badge.word,
        "since": badge.since or row.state_since,
        "power": row.power,
        "power_at": row.power_at,
        "operation_id": row.tail_id,
        "actions": actions,
        "created_at": row.created_at,
        "version": row.version,
        "locked": row.locked,
        "keep_running": row.keep_running,
        "given_up_at": row.given_up_at,
        "shutdown_seconds": row.shutdown_seconds,
        "binned_at": row.binned_at,
        "purge_at": row.purge_at,
        "run_until": row.run_until,
        "run_end": row.run_end,
        "keep_until": row.keep_until,
    }


def cloud_init(kept: Any) -> dict[str, Any] | None:
    """What a first boot is told; of what is sealed only which of it is there."""
    if kept is None:
        return None
    return {name: kept[name] for name in ("hostname", "user", "ssh_keys", "holds")}


def operation(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": row.type,
        "title": row.title,
        "state": row.state,
        "progress": row.progress,
        "step": row.step,
        "pool": reference(row.pool),
        "machine": reference(row.machine),
        "host": reference(row.host),
        "user": f"{row.user.name}@{row.user.realm.name}" if row.user else None,
        "door": row.door,
        "attempt": row.attempt,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "cancel_at": row.cancel_at,
        "error": _error(row),
    }


def _error(row: Any) -> dict[str, Any] | None:
    if not row.error_code:
        return None
    return {
        "code": row.error_code,
        "text": row.error_text,
        "type": article_path(row.error_code),
        "context": row.error_context,
    }


def operation_full(row: Any) -> dict[str, Any]:
    return {
        **operation(row),
        "steps": [
            {
                "name": step.name,
                "text": step.text,
                "state": step.state,
                "started_at": step.started_at,
                "finished_at": step.finished_at,
            }
            for step in row.steps
        ],
        "log": [{"at": line.at, "attempt": line.attempt, "text": line.text} for line in row.log],
    }


def host(row: Any, load: Any) -> dict[str, Any]:
    plain = (
        "id", "name", "enabled", "state", "state_since", "state_reason", "observed_at", "hostname",
        "arch", "cpu_model", "cpus", "memory", "libvirt_version", "qemu_version", "virt_type",
        "virt_note", "uri", "description", "cpu_ratio", "memory_ratio", "memory_reserve",
        "migration_uri", "worker_group", "maintenance", "networks", "memory_used", "measured_at",
    )  # fmt: skip
    return {
        **{name: getattr(row, name) for name in plain},
        "virt_type_setting": row.virt_type_setting,
        "retired": row.retired_at is not None,
        "busy": row.load if row.measured_at else None,
        "room": {"vcpus": row.vcpu_room, "memory": row.memory_room},
        "pool": reference(row.pool),
        "load": {"machines": load.machines, "vcpus": load.vcpus, "memory": load.memory},
    }


def domain(finding: Any) -> dict[str, Any]:
    """A domain that is no machine, with what keeps it from becoming one."""
    row, found = finding.row, finding.found
    return {
        "uuid": row.uuid,
        "name": row.name,
        "power": row.power,
        "machine_id": row.machine_id,
        "seen_at": row.seen_at,
        "looked_at": row.looked_at,
        "fits": finding.fits,
        "obstacles": list(finding.obstacles),
        "vcpus": found.vcpus if found else None,
        "memory": found.memory if found else None,
        "storage": found.storage if found else None,
        "drives": [
            {"target": one.target, "source": one.source, "format": one.format, "size": one.size}
            for one in (found.drives if found else ())
        ],
        "cards": [
            {"mac": one.mac, "kind": one.kind, "source": one.source}
            for one in (found.cards if found else ())
        ],
        "kept": list(found.kept) if found else [],
    }


def verdict(row: Any) -> dict[str, Any]:
    """One host of a dry run, rule by rule."""
    return {
        "host": {"id": row.candidate.host_id, "name": row.candidate.host},
        "fits": row.fits,
        "score": row.score,
        "checks": [
            {
                "rule": check.rule.value,
                "passed": check.passed,
                "text": check.text,
                "short": check.short,
                "remedy": "" if check.passed else check.remedy,
            }
            for check in row.checks
        ],
    }


def storage_pool(row: Any, space: Space) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "driver": row.driver,
        "pool": reference(row.pool),
        "active": row.active,
        "capacity": row.capacity,
        "available": space.free,
        "promised": space.promised,
        "observed_at": row.observed_at,
        "hosts": [reference(one) for one in row.hosts],
        "paths": list(row.paths),
        "layers": list(row.layers),
    }


def grant(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "user": account_of(row.user),
        "group": account_of(row.group),
        "role": reference(row.role),
        "pool": reference(row.pool),
        "inherited": False,
        "created_at": row.created_at,
    }


def account_of(row: Any) -> dict[str, Any] | None:
    return None if row is None else {"id": row.id, "name": f"{row.name}@{row.realm.name}"}


def user(row: Any) -> dict[str, Any]:
    return {
        **(account_of(row) or {}),
        "full_name": row.display_name,
        "mail": row.email,
        "realm": row.realm.name,
        "disabled": row.disabled_at is not None,
    }


def session(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "address": row.address,
        "created_at": row.created_at,
        "seen_at": row.seen_at,
        "expires_at": row.expires_at,
    }


def token(row: Any, scope: Any) -> dict[str, Any]:
    """`scope` is what is left of the user's rights, None for all of them."""
    return {
        "id": row.id,
        "name": row.name,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "used_at": row.used_at,
        "pool_id": scope.pool_id if scope else None,
        "privileges": sorted(scope.privileges) if scope else [],
    }


def role(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "version": row.version,
        "name": row.name,
        "description": row.description,
        "shipped": row.shipped,
        "second_factor": row.second_factor,
        "privileges": sorted(one.privilege for one in row.privileges),
    }


def group(row: Any) -> dict[str, Any]:
    return {**(account_of(row) or {}), "vanished": row.vanished_at is not None}


def used(amounts: Any) -> dict[str, float]:
    return {
        "vcpu_hours": round(amounts.vcpu_hours, 6),
        "memory_gib_hours": round(amounts.memory_gib_hours, 6),
        "storage_gb_hours": round(amounts.storage_gb_hours, 6),
    }


def account(found: Any) -> dict[str, Any]:
    return {
        "pool": reference(found.pool),
        "used": used(found.used),
        "spaces": [
            {
                "pool": reference(space.pool),
                "used": used(space.used),
                "machines": [
                    {
                        "id": row.machine.id,
                        "name": row.machine.name,
                        "created": row.created,
                        "destroyed": row.destroyed,
                        "used": used(row.used),
                    }
                    for row in space.rows
                ],
            }
            for space in found.spaces
        ],
    }

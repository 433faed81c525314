"""Realms: where users are checked, and how a company directory is reached and kept in line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import Listing
from ovcadmin.api.versions import tell_version, version
from ovcadmin.errors import InvalidInput
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import realm_ends, realm_sync, realm_tally, realms

ALLOWED = Privilege.SET_GRANTS
SETTINGS = (*realms.TEXTS, "writable", "sync_minutes")


@endpoint("realms", "GET", permission=ALLOWED)
def listing(_context: Any, request: Any) -> Listing:
    return Listing(realms.listing(request.work), _shape)


@endpoint("realms", "POST", permission=ALLOWED)
def create(_context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    made = realms.create(
        request.work,
        request.directories,
        name=body["name"],
        kind=body["kind"],
        draft=_draft(body, body["label"], {}),
    )
    request.response.status_int = 201
    request.response.headers["Location"] = path(request, "realm", id=made.id)
    return _one(request, made)


@endpoint("realm", "GET", permission=ALLOWED)
def show(_context: Any, request: Any) -> dict[str, Any]:
    return _one(request, _realm(request))


@endpoint("realm", "PATCH", permission=ALLOWED)
def edit(_context: Any, request: Any) -> dict[str, Any]:
    body, realm = request.openapi_validated.body, _realm(request)
    realms.edit(
        request.work,
        request.directories,
        realm,
        version=version(request, realm),
        draft=_draft(body, body.get("label", realm.label), realm.settings),
    )
    return _one(request, realm)


@endpoint("realm", "DELETE", permission=ALLOWED)
def delete(_context: Any, request: Any) -> dict[str, Any]:
    wanted, realm = query(request), _realm(request)
    if wanted["dry_run"]:
        return _ending(realm_ends.preview(request.work, realm), done=False)
    return _ending(realm_ends.remove(request.work, realm, typed=wanted["name"] or ""), done=True)


@endpoint("realm_state", "POST", permission=ALLOWED)
def state(_context: Any, request: Any) -> dict[str, Any]:
    realm = _realm(request)
    enabled = request.openapi_validated.body["action"] == "enable"
    realms.set_enabled(request.work, realm, enabled=enabled)
    return _one(request, realm)


@endpoint("realm_check", "POST", permission=ALLOWED)
def check(_context: Any, request: Any) -> dict[str, Any]:
    """Try every server, step by step, while no transaction is open."""
    with request.work_apart(write=False) as work:
        contact = realms.contact(work, realms.get(work, int(request.matchdict["id"])))
    found = request.directories.check(contact)
    return {
        "good": all(one.good for one in found),
        "findings": [
            {
                "step": one.step,
                "server": one.server,
                "good": one.good,
                "text": one.text,
                "seconds": one.seconds,
            }
            for one in found
        ],
    }


@endpoint("realm_sync", "POST", permission=ALLOWED)
def sync(_context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body or {}
    dry, even_many = body.get("dry_run", False), body.get("even_many", False)
    realm, mapping = _realm(request), body.get("mapping")
    if mapping is None:
        operation = realm_sync.submit(request.work, realm, dry=dry, even_many=even_many)
    elif dry:
        operation = realm_sync.try_mapping(
            request.work, request.directories, realm, mapping, even_many=even_many
        )
    else:
        raise InvalidInput("A mapping is only tried: add dry_run, or edit the realm.")
    request.response.status_int = 202
    request.response.headers["Location"] = path(request, "operation", id=operation.id)
    return {"operation": shapes.operation(operation), "machine": None}


@endpoint("realm_changes", "GET", permission=ALLOWED)
def changes(_context: Any, request: Any) -> dict[str, Any]:
    """Tell what the last synchronisation (or trial) that ended well found."""
    recent = realm_sync.recent(request.work, _realm(request))
    ended = next((row for row in recent if realm_sync.tally(row)), None)
    tally = (realm_sync.tally(ended) if ended is not None else None) or realm_tally.Tally()
    return {
        "operation": None if ended is None else shapes.operation(ended),
        "dry_run": bool(ended is not None and ended.params.get("dry")),
        "mapping": {} if ended is None else realm_sync.mapping(ended),
        "people": tally.people,
        "groups": tally.groups,
        "changes": [
            {
                "kind": kind,
                "text": realm_tally.LABELS[kind],
                "count": number,
                "names": tally.names[kind],
            }
            for kind, number in tally.counts.items()
        ],
        "rights": tally.rights,
        "machines": tally.machines,
    }


def _realm(request: Any) -> Any:
    return realms.get(request.work, int(request.matchdict["id"]))


def _draft(body: Mapping[str, Any], label: str, present: Mapping[str, Any]) -> realms.Draft:
    given = {name: body[name] for name in SETTINGS if name in body}
    return realms.Draft(
        label=label,
        settings={**present, **given},
        password=body.get("bind_password") or None,
    )


def _ending(found: realm_ends.Ending, *, done: bool) -> dict[str, Any]:
    return {"done": done, "lost": vars(found)}


def _one(request: Any, realm: Any) -> dict[str, Any]:
    tell_version(request, realm)
    return _shape(realm)


def _shape(realm: Any) -> dict[str, Any]:
    return {
        "id": realm.id,
        "name": realm.name,
        "label": realm.label,
        "kind": realm.kind,
        "enabled": realm.enabled,
        "settings": {} if realm.is_internal else {**realm.settings},
        "synced_at": realm.synced_at,
        "sync_error": realm.sync_error,
        "version": realm.version,
    }

"""Recordings of consoles, and which pools want them."""

from __future__ import annotations

import base64
from typing import Any

from pyramid.response import Response

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, query
from ovcadmin.api.lists import cursor, next_cursor
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import console_policies, recordings


@endpoint("recordings", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> dict[str, Any]:
    wanted = query(request)
    found = recordings.listing(
        request.work,
        recordings.Filter(
            machine_id=wanted["machine_id"],
            host_id=wanted["host_id"],
            pool_id=wanted["pool_id"],
            before=cursor(wanted["cursor"]),
            limit=wanted["limit"] + 1,
        ),
    )
    shown = found[: wanted["limit"]]
    return {
        "items": [_shape(row) for row in shown],
        "next": next_cursor(shown, more=len(found) > len(shown)),
    }


@endpoint("recording", "GET", permission=Privilege.VIEW)
def show(context: Any, _request: Any) -> dict[str, Any]:
    return _shape(context.recording)


@endpoint("recording", "DELETE", permission=Privilege.MODIFY)
def delete(context: Any, request: Any) -> Response:
    recordings.remove(request.work, context.recording)
    return Response(status=204)


@endpoint("recording_content", "GET", permission=Privilege.VIEW)
def content(context: Any, request: Any) -> dict[str, Any]:
    """Give the file piece by piece; the first one brings its beginning, too."""
    recording, number = context.recording, cursor(query(request)["cursor"]) or 0
    data = b""
    if number == 0:
        with request.work_apart(write=True) as work:
            data = recordings.look(work, work.db.get_one(type(recording), recording.id))
    found = recordings.following(request.work, recording.id, number)
    if found is not None:
        data += found[1]
    return {
        "data": base64.b64encode(data).decode(),
        "next": str(found[0]) if found is not None else None,
    }


@endpoint("recording_mask", "POST", permission=Privilege.MODIFY)
def mask(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    begin, end = float(body["begin"]), float(body["end"])
    recordings.mask(request.work, context.recording, begin=begin, end=end)
    return _shape(context.recording)


@endpoint("recording_share", "PUT", permission=Privilege.MODIFY)
def share(context: Any, request: Any) -> dict[str, Any]:
    shared = request.openapi_validated.body["shared"]
    recordings.share(request.work, context.recording, shared=shared)
    return _shape(context.recording)


@endpoint("pool_console_policy", "GET", permission=Privilege.VIEW)
def policy(context: Any, request: Any) -> dict[str, Any]:
    return _policy(console_policies.effective(request.work, context.pool))


@endpoint("pool_console_policy", "PUT", permission=Privilege.MODIFY)
def set_policy(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    row = console_policies.put(
        request.work,
        context.pool,
        records=body["records"],
        keys=body.get("keys", False),
        keep_days=int(body.get("keep_days", console_policies.KEEP_DAYS)),
    )
    return _policy(row)


@endpoint("pool_console_policy", "DELETE", permission=Privilege.MODIFY)
def remove_policy(context: Any, request: Any) -> Response:
    console_policies.remove(request.work, context.pool)
    return Response(status=204)


def _policy(row: Any) -> dict[str, Any]:
    """Show a policy; without one nothing is recorded."""
    if row is None:
        return {"records": False, "keys": False, "keep_days": 0, "pool": None}
    return {
        "records": row.records,
        "keys": row.keys,
        "keep_days": row.keep_days,
        "pool": shapes.reference(row.pool),
    }


def _shape(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.title,
        "kind": row.kind,
        "machine_id": row.machine_id,
        "host_id": row.host_id,
        "pool_id": row.pool_id,
        "user": f"{row.user.name}@{row.user.realm.name}",
        "began_at": row.began_at,
        "ended_at": row.ended_at,
        "expires_at": row.expires_at,
        "seconds": row.length / 1000,
        "size": row.size,
        "keys": row.keys,
        "cut": row.cut,
        "shared": row.shared_at is not None,
    }

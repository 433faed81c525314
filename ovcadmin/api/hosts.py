"""Hosts: what they said of themselves last, what is promised there, and what is done with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ovcadmin.api import shapes
from ovcadmin.api.endpoint import endpoint, path, query
from ovcadmin.api.lists import Listing
from ovcadmin.api.machines import accepted
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import adoptions, host_changes, hosts, maintenance, pools, tags
from ovcadmin.services.adoptions import Wish
from ovcadmin.services.host_changes import Details

NAMED = {"virt_type_setting": "virt_type"}
"""Fields of the contract that services call otherwise."""


@endpoint("hosts", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    loads = hosts.loads(request.work)
    return Listing(
        tags.narrowed(
            request.work, "host", hosts.listing(request.work), word=query(request)["tag"] or ""
        ),
        lambda row: shapes.host(row, loads.get(row.id, hosts.Load())),
    )


@endpoint("host", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _host(request, context.host)


@endpoint("pool_hosts", "POST", permission=Privilege.MODIFY)
def enrol(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    host, operation = host_changes.enroll(request.work, context.pool, Details(**_given(body)))
    return _accepted(request, operation, host)


@endpoint("host", "PATCH", permission=Privilege.MODIFY)
def edit(context: Any, request: Any) -> dict[str, Any]:
    host, work = context.host, request.work
    body = dict(request.openapi_validated.body)
    if "enabled" in body:
        hosts.set_enabled(work, host, enabled=body.pop("enabled"))
    if "retired" in body:
        (host_changes.retire if body.pop("retired") else host_changes.bring_back)(work, host)
    if body:
        host_changes.edit(work, host, replace(host_changes.details(host), **_given(body)))
    return _host(request, host)


@endpoint("host_check", "POST", permission=Privilege.MODIFY)
def check(context: Any, request: Any) -> dict[str, Any]:
    return _accepted(request, host_changes.check(request.work, context.host), context.host)


@endpoint("host_maintenance", "POST", permission=Privilege.MODIFY)
def maintain(context: Any, request: Any) -> dict[str, Any]:
    mode = request.openapi_validated.body["mode"]
    operation = maintenance.begin(request.work, context.host, mode)
    return _accepted(request, operation, context.host)


@endpoint("host_maintenance", "DELETE", permission=Privilege.MODIFY)
def end_maintenance(context: Any, request: Any) -> dict[str, Any]:
    maintenance.end(request.work, context.host)
    return _host(request, context.host)


@endpoint("host_domains", "GET", permission=Privilege.VIEW)
def domains(context: Any, request: Any) -> Listing:
    return Listing(adoptions.listing(request.work, context.host), shapes.domain)


@endpoint("host_domains", "POST", permission=Privilege.MODIFY)
def adopt(context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    pool = pools.get(request.work, body["pool_id"])
    wish = Wish(name=body["name"], os_type=body.get("os_type", ""))
    machine = adoptions.adopt(request.work, context.host, body["uuid"], pool, wish)
    return accepted(request, machine, machine.tail_id)


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {NAMED.get(name, name): value for name, value in body.items()}


def _accepted(request: Any, operation: Any, host: Any) -> dict[str, Any]:
    request.response.status_int = 202
    request.response.headers["Location"] = path(request, "operation", id=operation.id)
    return {"operation": shapes.operation(operation), "host": _host(request, host)}


def _host(request: Any, host: Any) -> dict[str, Any]:
    return shapes.host(host, hosts.loads(request.work).get(host.id, hosts.Load()))

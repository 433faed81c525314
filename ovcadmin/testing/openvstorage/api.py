"""The calls of the API: path, roles, parameters, and the checks in the order of the real one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ovcadmin.testing.openvstorage import rules
from ovcadmin.testing.openvstorage.answers import Call, Fault
from ovcadmin.testing.openvstorage.cluster import Cluster
from ovcadmin.testing.openvstorage.lists import Kind, listing
from ovcadmin.testing.openvstorage.objects import Disk, Snapshot
from ovcadmin.testing.openvstorage.plan import Plan
from ovcadmin.testing.openvstorage.rules import Refused
from ovcadmin.testing.openvstorage.tasks import Tasks
from ovcadmin.testing.openvstorage.tokens import Tokens
from ovcadmin.testing.openvstorage.views import Views

ACCEPT = re.compile(r"^(.*; )?version=(?P<version>[0-9]+|\*)?(;.*)?$")
READ = ("read",)
SEE = ("read", "manage")
WRITE = ("read", "write")
RULE = ("read", "write", "manage")
CLONES = Fault(406, "impossible_request", "vDisk has clones")


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    roles: tuple[str, ...]
    handle: Callable[..., Any]


class Api:
    def __init__(self, plan: Plan, cluster: Cluster, tasks: Tasks, tokens: Tokens) -> None:
        self._plan = plan
        self._cluster = cluster
        self._tasks = tasks
        self._tokens = tokens
        self._views = Views(cluster)
        self._routes = [*self._of_lists(), *self._of_vdisks()]

    def answer(self, call: Call) -> Any:
        """Return the JSON of the answer; raises `Fault`."""
        if call.path == "/api/":
            return self._root(call)
        if call.path == "/api/oauth2/token/":
            if call.method != "POST":
                raise Fault(405, detail=f"Method '{call.method}' not allowed.")
            authorization = call.headers.get("authorization", "")
            return self._tokens.give(call.address, authorization, call.body)
        version = _version(call)
        owned = self._tokens.roles(call.headers.get("authorization"))
        route, arguments = self._find(call)
        if not set(route.roles) <= set(owned):
            needed = ", ".join(route.roles)
            raise Fault(403, "invalid_roles", f"This call requires roles: {needed}")
        self._check_version(version)
        return route.handle(call, *arguments)

    # how calls are found and checked

    def _find(self, call: Call) -> tuple[Route, tuple[str, ...]]:
        known = [(r, m) for r in self._routes if (m := r.pattern.fullmatch(call.path))]
        if not known:
            raise Fault(404)
        for route, match in known:
            if route.method == call.method:
                return route, match.groups()
        raise Fault(405, detail=f"Method '{call.method}' not allowed.")

    def _check_version(self, version: str) -> None:
        versions = self._plan.versions
        if version != "*" and int(version) not in versions:
            status = 406 if self._plan.release == "2.9" else 426
            raise Fault(
                status, "invalid_version",
                f"API version requirements: {versions[0]} <= <version> <= {versions[-1]}. "
                f"Got {version}",
            )  # fmt: skip

    def _root(self, call: Call) -> dict[str, Any]:
        state = "authenticated"
        roles: tuple[str, ...] = ()
        try:
            roles = self._tokens.roles(call.headers.get("authorization"))
        except Fault as fault:
            state = fault.body.get("error", "unauthenticated")
        return {
            "release": {"name": "Simulator"},
            "authenticated": state == "authenticated",
            "authentication_state": state,
            "authentication_metadata": {},
            "username": None,
            "userguid": None,
            "roles": list(roles),
            "identification": {"cluster_id": "simulated"},
            "storagerouter_ips": [router.ip for router in self._cluster.routers.values()],
            "versions": list(self._plan.versions),
            "plugins": {},
        }

    # lists and objects

    def _of_lists(self) -> list[Route]:
        cluster, views = self._cluster, self._views
        found = [
            Route("GET", re.compile(r"/api/tasks/([^/]+)/"), READ, self._task),
            Route("GET", re.compile(r"/api/vdisks/"), SEE, self._list_vdisks),
            Route("GET", re.compile(r"/api/storagedrivers/"), READ, self._list_drivers),
            Route("GET", re.compile(r"/api/vpools/([^/]+)/devicename_exists/"), READ, self._exists),
            Route("GET", re.compile(r"/api/alba/backends/([^/]+)/"), READ, self._backend),
            Route("POST", re.compile(r"/api/vpools/([^/]+)/sync_with_reality/"), RULE, self._sync),
        ]
        kinds: tuple[tuple[str, tuple[str, ...], Kind, dict[str, Any]], ...] = (
            ("vpools", SEE, views.vpools, cluster.vpools),
            ("storagerouters", SEE, views.routers, cluster.routers),
            ("storagedrivers", READ, views.drivers, cluster.drivers),
            ("vdisks", SEE, views.vdisks, cluster.disks),
        )
        for name, roles, kind, things in kinds:
            found.append(_object_route(name, roles, kind, things))
            if name in ("vpools", "storagerouters"):
                found.append(_list_route(name, roles, kind, things, self._plan.release))
        return found

    def _task(self, _call: Call, task_id: str) -> dict[str, Any]:
        return self._tasks.show(task_id)

    def _list_vdisks(self, call: Call) -> dict[str, Any]:
        disks = list(self._cluster.disks.values())
        if vpool := call.query.get("vpoolguid"):
            _known(self._cluster.vpools, vpool, "VPool", 500)
            disks = [disk for disk in disks if disk.vpool_guid == vpool]
        elif router := call.query.get("storagerouterguid"):
            _known(self._cluster.routers, router, "StorageRouter", 500)
            disks = [disk for disk in disks if disk.router_guid == router]
        return listing(disks, self._views.vdisks, call, self._plan.release)

    def _list_drivers(self, call: Call) -> dict[str, Any]:
        drivers = list(self._cluster.drivers.values())
        if vpool := call.query.get("vpool_guid"):
            drivers = [driver for driver in drivers if driver.vpool_guid == vpool]
        return listing(drivers, self._views.drivers, call, self._plan.release)

    def _exists(self, call: Call, guid: str) -> bool:
        pool = _known(self._cluster.vpools, guid)
        return self._cluster.name_taken(pool.guid, str(call.need("name")))

    def _sync(self, _call: Call, guid: str) -> str:
        _known(self._cluster.vpools, guid)
        return self._begin(self._cluster.sync)

    def _backend(self, _call: Call, guid: str) -> dict[str, Any]:
        known = {pool.backend_guid: pool for pool in self._cluster.vpools.values()}
        if self._cluster.faults.silent_alba:
            raise Fault(404)
        pool = _known(known, guid)
        disks = [disk for disk in self._cluster.disks.values() if disk.vpool_guid == pool.guid]
        used = float(self._views.statistics(disks)["stored"])
        size = float(self._plan.capacity)
        return {"guid": guid, "usages": {"free": size - used, "size": size, "used": used}}

    # vdisks

    def _of_vdisks(self) -> list[Route]:
        actions: dict[str, tuple[tuple[str, ...], Callable[[Call, Disk], Any]]] = {
            "clone": (WRITE, self._clone),
            "create_from_template": (WRITE, self._from_template),
            "create_snapshot": (WRITE, self._create_snapshot),
            "remove_snapshot": (WRITE, self._remove_snapshot),
            "rollback": (WRITE, self._rollback),
            "set_as_template": (WRITE, self._set_as_template),
            "delete": (WRITE, self._delete),
            "delete_vtemplate": (WRITE, self._delete_template),
            "extend": (RULE, self._extend),
            "move": (WRITE, self._move),
            "is_volume_synced_up_to_snapshot": (WRITE, self._synced),
        }
        found = [Route("POST", re.compile(r"/api/vdisks/"), WRITE, self._create)]
        for name, (roles, handle) in actions.items():
            pattern = re.compile(rf"/api/vdisks/([^/]+)/{name}/")
            found.append(Route("POST", pattern, roles, self._on_disk(handle)))
        return found

    def _on_disk(self, handle: Callable[[Call, Disk], Any]) -> Callable[[Call, str], Any]:
        def on(call: Call, guid: str) -> Any:
            return handle(call, _known(self._cluster.disks, guid))

        return on

    def _begin(self, work: Callable[[], Any], *disks: Disk) -> str:
        def whole() -> Any:
            try:
                return work()
            finally:
                for disk in disks:
                    self._views.changed(disk)

        return self._tasks.submit(whole)

    def _create(self, call: Call) -> str:
        name, size = call.need("name"), call.need("size")
        vpool, router = call.need("vpool_guid"), call.need("storagerouter_guid")
        if self._plan.release != "2.9" and not rules.VDISK_NAME.fullmatch(str(name)):
            text = "Provided name did not match with the vDisk name regex"
            raise Fault(406, "invalid_data", text)
        _known(self._cluster.vpools, vpool, "VPool", 500)
        _known(self._cluster.routers, router, "StorageRouter", 500)
        if self._cluster.driver_of(vpool, router) is None:
            text = f"No storagedriver found for vPool: {vpool} and StorageRouter: {router}"
            raise Fault(406, "impossible_request", text)
        wanted = {"name": name, "size": size, "pagecache_ratio": call.get("pagecache_ratio")}
        return self._begin(lambda: self._cluster.create(vpool, router, wanted))

    def _clone(self, call: Call, disk: Disk) -> str:
        name, router = call.need("name"), call.need("storagerouter_guid")
        snapshot = call.get("snapshot_id")
        return self._begin(lambda: self._cluster.clone(disk, router, name, snapshot), disk)

    def _from_template(self, call: Call, disk: Disk) -> str:
        name, router = call.need("name"), call.need("storagerouter_guid")
        return self._begin(lambda: self._cluster.create_from_template(disk, router, name))

    def _create_snapshot(self, call: Call, disk: Disk) -> str:
        wanted = Snapshot(
            label=str(call.need("name")),
            is_consistent=bool(call.get("consistent")),
            is_automatic=bool(call.get("automatic")),
            is_sticky=bool(call.get("sticky")),
        )
        return self._begin(lambda: self._cluster.create_snapshot(disk, wanted), disk)

    def _remove_snapshot(self, call: Call, disk: Disk) -> str:
        guid = str(call.need("snapshot_id"))
        return self._begin(lambda: self._cluster.remove_snapshot(disk, guid), disk)

    def _rollback(self, call: Call, disk: Disk) -> str:
        timestamp = str(call.need("timestamp"))
        return self._begin(lambda: self._cluster.rollback(disk, timestamp), disk)

    def _set_as_template(self, _call: Call, disk: Disk) -> str:
        if self._cluster.children(disk.guid) and not disk.template:
            raise CLONES
        return self._begin(lambda: self._cluster.set_as_template(disk), disk)

    def _delete(self, _call: Call, disk: Disk) -> str:
        if self._cluster.children(disk.guid):
            raise CLONES
        return self._begin(lambda: self._cluster.delete(disk), disk)

    def _delete_template(self, call: Call, disk: Disk) -> str:
        if not disk.template:
            raise Fault(406, "impossible_request", "vDisk should be a vTemplate")
        if self._cluster.children(disk.guid):
            raise Fault(406, "impossible_request", "vTemplate has clones")
        return self._delete(call, disk)

    def _extend(self, call: Call, disk: Disk) -> str:
        try:
            size = int(call.need("new_size"))
        except ValueError as error:
            raise Fault(500, "internal_server", str(error)) from error
        return self._begin(lambda: self._cluster.extend(disk, size))

    def _move(self, call: Call, disk: Disk) -> str:
        router = str(call.need("target_storagerouter_guid"))
        return self._begin(lambda: self._cluster.move(disk, router))

    def _synced(self, call: Call, disk: Disk) -> str:
        guid = str(call.need("snapshot_id"))

        def look() -> bool:
            for snapshot in disk.snapshots:
                if snapshot.guid == guid:
                    return self._cluster.in_backend(snapshot)
            raise Refused(f"Verifying if vDisk {disk.name} is synced up to snapshot failed")

        return self._begin(look)


def _version(call: Call) -> str:
    match = ACCEPT.match(call.headers.get("accept", ""))
    if match is None:
        raise Fault(406, "missing_header", "The version in the Accept header is missing")
    if match["version"] is None:
        raise Fault(500, "internal_server", "invalid literal for int() with base 10: ''")
    return match["version"]


def _known(things: dict[str, Any], guid: str, kind: str = "", status: int = 404) -> Any:
    if guid in things:
        return things[guid]
    if status == 500:
        raise Fault(500, "internal_server", f"{kind} with guid '{guid}' could not be found")
    raise Fault(404, "object_not_found", "The requested object could not be found")


def _object_route(name: str, roles: tuple[str, ...], kind: Kind, things: dict[str, Any]) -> Route:
    def show(call: Call, guid: str) -> Any:
        return kind.show(_known(things, guid), call.query.get("contents"))

    return Route("GET", re.compile(rf"/api/{name}/([^/]+)/"), roles, show)


def _list_route(
    name: str, roles: tuple[str, ...], kind: Kind, things: dict[str, Any], release: str
) -> Route:
    def show(call: Call) -> Any:
        return listing(list(things.values()), kind, call, release)

    return Route("GET", re.compile(rf"/api/{name}/"), roles, show)

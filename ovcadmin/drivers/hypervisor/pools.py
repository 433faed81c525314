"""libvirt's storage pools: described, tried, logged in to, and taken away.

Everything here runs in a native thread of the host, on an open connection.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import libvirt
from lxml import etree
from lxml.builder import E

from ovcadmin.drivers.hypervisor import xml
from ovcadmin.drivers.hypervisor.volumes import find_pool
from ovcadmin.errors import StorageFailed

Conn = Any
DISCOVERED = ("iscsi", "iscsi-direct")
BUILT = ("dir", "netfs", "fs")
"""Types whose directory is made; nothing of ours ever formats a device."""


@dataclass(frozen=True, kw_only=True)
class PoolSpec:
    """What libvirt is told of a pool; `kind` is its own word for the type."""

    name: str
    kind: str
    path: str = ""
    """Where the host shows it: a directory."""
    host: str = ""
    port: int | None = None
    device: str = ""
    """The export, the target's IQN, the device or the volume group."""
    format: str = ""
    initiator: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    portals: tuple[str, ...] = ()
    """Further addresses of the same target, `host` or `host:port`: each is a path to its LUNs."""

    @property
    def secret(self) -> str:
        """The name under which the host keeps the password."""
        return f"openvcloud-{self.name}"


def paths(spec: PoolSpec) -> tuple[PoolSpec, ...]:
    """Return a description for each portal: libvirt knows one portal a pool, so each has a pool."""
    return (
        replace(spec, portals=()),
        *(
            replace(
                spec, name=f"{spec.name}-path-{number}", portals=(),
                host=urlsplit(f"//{portal}").hostname or portal,
                port=urlsplit(f"//{portal}").port or spec.port,
            )
            for number, portal in enumerate(spec.portals, 2)
        ),
    )  # fmt: skip


def wake(pool: Any) -> None:
    """Start a pool that libvirt stopped when its server went away."""
    if not pool.isActive():
        pool.create()


def pool_xml(spec: PoolSpec) -> str:
    pool = E.pool({"type": spec.kind}, E.name(spec.name))
    source = _source(spec)
    if len(source):
        pool.append(source)
    path = {"iscsi": "/dev/disk/by-path", "disk": "/dev", "logical": f"/dev/{spec.device}"}
    shown = path.get(spec.kind, spec.path)
    if shown and spec.kind != "iscsi-direct":
        pool.append(E.target(E.path(shown)))
    return etree.tostring(pool, encoding="unicode")


def _source(spec: PoolSpec) -> Any:
    source = E.source()
    if spec.host:
        port = {"port": str(spec.port)} if spec.port else {}
        source.append(E.host({"name": spec.host, **port}))
    if spec.kind == "netfs":
        source.append(E.dir({"path": spec.device}))
    elif spec.kind == "logical":
        source.append(E.name(spec.device))
    elif spec.device:
        source.append(E.device({"path": spec.device}))
    if spec.initiator:
        source.append(E.initiator(E.iqn({"name": spec.initiator})))
    if spec.user:
        source.append(
            E.auth({"type": "chap", "username": spec.user}, E.secret({"usage": spec.secret}))
        )
    form = {"logical": "lvm2", "netfs": spec.format or "nfs"}.get(spec.kind, spec.format)
    if form:
        source.append(E.format({"type": form}))
    return source


def supported(conn: Conn) -> dict[str, bool]:
    """Return every type that libvirt knows, and whether its backend is loaded on this host."""
    found = xml.read(conn.getStoragePoolCapabilities())
    return {str(one.get("type")): one.get("supported") == "yes" for one in found.iterfind("pool")}


def connect(conn: Conn, spec: PoolSpec) -> None:
    """Try it, define it, log in and start it; one that is there already is started.

    Raises `StorageFailed` with the reason, and leaves nothing behind then.
    """
    if not supported(conn).get(spec.kind):
        raise StorageFailed(
            f"The host's libvirt has no backend for pools of type {spec.kind}. Install it there "
            "and restart libvirtd."
        )
    pool = find_pool(conn, spec.name)
    if pool is not None:
        _ensure_same(pool, spec)
        if not pool.isActive():
            pool.create()
        pool.setAutostart(1)
        return
    if spec.kind in DISCOVERED:
        _discover(conn, spec)
    _keep_secret(conn, spec)
    pool = None
    try:
        pool = conn.storagePoolDefineXML(pool_xml(spec))
        if spec.kind in BUILT:
            pool.build()
        pool.create()
        pool.setAutostart(1)
    except libvirt.libvirtError:
        if pool is not None:
            with suppress(libvirt.libvirtError):
                pool.undefine()
        _forget_secret(conn, spec)
        raise


def disconnect(conn: Conn, spec: PoolSpec) -> None:
    """Log out and forget the pool; what is stored in it stays."""
    pool = find_pool(conn, spec.name)
    if pool is not None:
        _ensure_same(pool, spec)  # somebody else's stays
        if pool.isActive():
            pool.destroy()
        pool.undefine()
    _forget_secret(conn, spec)


def _ensure_same(pool: Any, spec: PoolSpec) -> None:
    found = xml.read(pool.XMLDesc())
    wanted = xml.read(pool_xml(spec))
    for place in ("source/host", "source/device", "source/dir", "source/name", "target/path"):
        ours, theirs = wanted.find(place), found.find(place)
        if ours is not None and (
            theirs is None
            or (ours.text or "").strip() != (theirs.text or "").strip()
            or any(theirs.get(name) != value for name, value in ours.attrib.items())
        ):
            raise StorageFailed(f"The host has a pool {spec.name} already, and it is another one.")
    if found.get("type") != spec.kind:
        raise StorageFailed(
            f"The host has a pool {spec.name} already, of type {found.get('type')}."
        )


def _discover(conn: Conn, spec: PoolSpec) -> None:
    """Ask the server which targets it has: a wrong name is told before a log-in is tried."""
    port = {"port": str(spec.port)} if spec.port else {}
    asked = E.source(E.host({"name": spec.host, **port}))
    if spec.initiator:
        asked.append(E.initiator(E.iqn({"name": spec.initiator})))
    words = etree.tostring(asked, encoding="unicode")
    found = xml.read(conn.findStoragePoolSources(spec.kind, words, 0))
    targets = [str(one.get("path")) for one in found.iterfind("source/device")]
    if spec.device not in targets:
        raise StorageFailed(
            f"{spec.host} has no target {spec.device}. It has "
            f"{', '.join(targets[:10]) or 'none that it shows to this initiator'}.",
            targets=targets[:10],
        )


def _keep_secret(conn: Conn, spec: PoolSpec) -> None:
    if not spec.user:
        return
    definition = E.secret(
        {"ephemeral": "no", "private": "yes"},
        E.description(f"OpenvCloud storage pool {spec.name}"),
        E.usage({"type": "iscsi"}, E.target(spec.secret)),
    )
    _forget_secret(conn, spec)
    secret = conn.secretDefineXML(etree.tostring(definition, encoding="unicode"))
    secret.setValue(spec.password.encode())


def _forget_secret(conn: Conn, spec: PoolSpec) -> None:
    if not spec.user:
        return
    with suppress(libvirt.libvirtError):
        conn.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_ISCSI, spec.secret).undefine()

"""Storage pools come and go; volumes that no machine has are made, grown, offered and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.layers import KINDS
from ovcadmin.domain.storage_kinds import StorageKind
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import hosts, pools, storage_changes, storage_layers, volume_changes
from ovcadmin.services.storage_changes import FIELDS, LISTED
from ovcadmin.views.calls import Call
from ovcadmin.views.forms import Done, Form, choice, count, in_turn, name, text
from ovcadmin.views.forms import amount as amount_of
from ovcadmin.views.pages import Crumb, Page
from ovcadmin.views.storage import named_volume as _volume
from ovcadmin.views.storage import store_page

ALLOWED = {"permission": Privilege.MODIFY}
BOTH = ("GET", "POST")


class NewStore(colander.Schema):
    name = name("Name")
    pool = choice("Serves", hint="This pool and all below may use it.")
    by = choice("Host", hint="It tries the storage and logs in.")
    driver = choice("Kind", hint="Kinds that no host can are left out.")
    path = text(
        "Directory",
        missing="",
        hint="Where the host shows it.",
    )
    host = text("Server", missing="", hint="Its name or address.")
    port = count("Port", missing=None, hint="Blank: the usual one.")
    portals = text(
        "Further portals",
        kind="textarea",
        missing="",
        hint="Several paths: server or server:port of the same target, one a line.",
    )
    device = text(
        "Export, target or device",
        missing="",
        hint="NFS: the export. iSCSI: the target's IQN. LVM: the volume group. Others: the device.",
    )
    format = text("Format", longest=20, missing="", hint="Of the device: ext4, gpt.")
    initiator = text("Initiator", missing="", hint="The IQN under which the host logs in.")
    user = text(
        "CHAP user", missing="", hint="Blank: the target asks for none.", autocomplete="off"
    )
    password = text(
        "CHAP password",
        kind="password",
        missing="",
        autocomplete="off",
        hint="Kept sealed, never shown.",
    )


class NewVolume(colander.Schema):
    name = name("Name")
    size = amount_of("Size", "storage")
    pool = choice("Whose it is", hint="It counts there, and only its machines may take it.")


class Layers(colander.Schema):
    layers = text(
        "Layers",
        kind="textarea",
        longest=2000,
        missing="",
        hint=f"The lowest first, one a line: {', '.join(KINDS)}, and its name: drbd r0.",
    )
    status = text(
        "Status of its server",
        kind="textarea",
        longest=storage_layers.LONGEST_STATUS,
        missing="",
        hint="What /proc/drbd or drbdadm status, and /proc/mdstat show there; blank: no states.",
    )


class Registered(colander.Schema):
    name = name("Name of the ISO")


class Grown(colander.Schema):
    size = amount_of("New size", "storage")


@dataclass(frozen=True, kw_only=True)
class NewStorePage(Page):
    form: Form
    call: Call
    lacking: Sequence[StorageKind]
    """Kinds that no host can, for want of a backend."""


def _answering_first(request: Any) -> list[Any]:
    return sorted(hosts.listing(request.work), key=lambda host: not host.answers)


@view_config(route_name="storage_new", request_method=BOTH, renderer="storage/new.pt", **ALLOWED)
def new(request: Any) -> dict[str, Any] | Response:
    lacking = storage_changes.lacking(request.work)
    choices = {
        "pool": _pools(request),
        "by": [(str(host.id), host.name) for host in _answering_first(request)],
        "driver": [(kind.driver, kind.label) for kind in LISTED if kind not in lacking],
    }
    form = Form(NewStore(), {"driver": LISTED[0].driver}, choices=choices)
    for one in (*FIELDS, "path", "password"):
        form[one].only("driver", [kind.driver for kind in LISTED if kind.asks_for(one)])

    def save(values: dict[str, Any]) -> Done:
        draft = storage_changes.Draft(
            name=values["name"],
            driver=values["driver"],
            path=values["path"].strip(),
            source={**{key: values[key] for key in FIELDS}, "portals": values["portals"].split()},
            password=values["password"],
        )
        host = storage_changes.host_to_modify(request.work, int(values["by"]))
        pool = pools.to_modify(request.work, int(values["pool"]))
        store, operation = storage_changes.add(request.work, pool, host, draft)
        return Done(
            text=f"{store.name} is being tried by {host.name}.",
            path=request.route_path("operation", id=operation.id),
        )

    call = Call(
        "POST",
        "/pools/{pool}/storage-pools",
        {"name": "isos", "host_id": 1, "driver": "libvirt-dir", "path": "/srv/isos"},
    )
    page = NewStorePage(
        title="Add a storage pool",
        section="storage",
        crumbs=[Crumb(label="Storage", url=request.route_path("storage"))],
        form=form,
        call=call,
        lacking=lacking,
    )
    return form.submit(request, save) or {"page": page}


@view_config(route_name="storage_refresh", request_method="POST", **ALLOWED)
def refresh(context: Any, request: Any) -> Response:
    store = context.storage_pool
    operation = storage_changes.refresh(request.work, store)
    request.flash(
        f"{store.name} is looked at again.", href=request.route_path("operation", id=operation.id)
    )
    return HTTPSeeOther(request.route_path("storage_pool", id=store.id))


@view_config(
    route_name="storage_remove", request_method=BOTH, renderer="storage/sure.pt", **ALLOWED
)
def remove(context: Any, request: Any) -> dict[str, Any] | Response:
    store, form = context.storage_pool, Form(colander.Schema())

    def save(_values: dict[str, Any]) -> Done:
        operation = storage_changes.remove(request.work, store)
        return Done(
            text=f"{store.name} is being removed.",
            path=request.route_path("storage"),
            href=request.route_path("operation", id=operation.id),
        )

    page = store_page(context, request, f"Remove {store.name}", form=form)
    return form.submit(request, save) or {"page": page}


@view_config(
    route_name="storage_layers", request_method=BOTH, renderer="storage/layers.pt", **ALLOWED
)
def layers(context: Any, request: Any) -> dict[str, Any] | Response:
    in_turn(request)
    store = context.storage_pool
    now = {"layers": "\n".join(storage_layers.lines(store))}
    form = Form(Layers(), now, as_seen=True)

    def save(values: dict[str, Any]) -> Done:
        lines = values["layers"].splitlines()
        storage_layers.describe(request.work, store, lines, values["status"])
        return Done(
            text=f"The layers of {store.name} are written down.",
            path=request.route_path("storage_pool", id=store.id),
        )

    body = {"layers": ["raid md0", "drbd r0", "lvm vg0"], "status": "…"}
    call = Call("PUT", f"/storage-pools/{store.id}/layers", body)
    page = store_page(context, request, f"Layers of {store.name}", form=form, call=call)
    return form.submit(request, save) or {"page": page}


@view_config(route_name="volume_new", request_method=BOTH, renderer="storage/volume.pt", **ALLOWED)
def new_volume(context: Any, request: Any) -> dict[str, Any] | Response:
    store = context.storage_pool
    form = Form(NewVolume(), {"pool": str(store.pool_id)}, choices={"pool": _pools(request)})

    def save(values: dict[str, Any]) -> Done:
        pool = pools.to_modify(request.work, int(values["pool"]))
        operation = volume_changes.create(
            request.work, store, pool, name=values["name"], size=values["size"]
        )
        return _done(request, store, f"{values['name']} is being made.", operation)

    call = Call(
        "POST", f"/storage-pools/{store.id}/volumes", {"name": "data", "size": 10**10, "pool_id": 1}
    )
    page = store_page(context, request, "New volume", form=form, call=call)
    return form.submit(request, save) or {"page": page}


@view_config(
    route_name="volume_register", request_method=BOTH, renderer="storage/volume.pt", **ALLOWED
)
def register(context: Any, request: Any) -> dict[str, Any] | Response:
    store, volume = context.storage_pool, _volume(context, request)
    form = Form(Registered(), {"name": volume.name.removesuffix(".iso")})

    def save(values: dict[str, Any]) -> Done:
        operation = volume_changes.register(request.work, volume, values["name"])
        return _done(request, store, f"{volume.name} is being checked.", operation)

    path = f"/storage-pools/{store.id}/volumes/{volume.id}/image"
    call = Call("POST", path, {"name": volume.name.removesuffix(".iso")})
    page = store_page(
        context, request, f"Register {volume.name}", form=form, call=call, volume=volume,
        word="register",
    )  # fmt: skip
    return form.submit(request, save) or {"page": page}


@view_config(route_name="volume_grow", request_method=BOTH, renderer="storage/volume.pt", **ALLOWED)
def grow(context: Any, request: Any) -> dict[str, Any] | Response:
    store, volume = context.storage_pool, _volume(context, request)
    form = Form(Grown(), {"size": f"{volume.size} B"})

    def save(values: dict[str, Any]) -> Done:
        operation = volume_changes.grow(request.work, volume, values["size"])
        return _done(request, store, f"{volume.name} is being grown.", operation)

    path = f"/storage-pools/{store.id}/volumes/{volume.id}/grow"
    call = Call("POST", path, {"size": 2 * volume.size})
    page = store_page(
        context, request, f"Grow {volume.name}", form=form, call=call, volume=volume, word="grow"
    )
    return form.submit(request, save) or {"page": page}


@view_config(route_name="volume_delete", request_method=BOTH, renderer="storage/sure.pt", **ALLOWED)
def delete(context: Any, request: Any) -> dict[str, Any] | Response:
    store, volume = context.storage_pool, _volume(context, request)
    form = Form(colander.Schema())

    def save(_values: dict[str, Any]) -> Done:
        operation = volume_changes.delete(request.work, volume)
        return _done(request, store, f"{volume.name} is being deleted.", operation)

    page = store_page(context, request, f"Delete {volume.name}", form=form, volume=volume)
    return form.submit(request, save) or {"page": page}


@view_config(route_name="volume_offer", request_method="POST", **ALLOWED)
def offer(context: Any, request: Any) -> Response:
    volume, offered = _volume(context, request), request.POST.get("offered") == "yes"
    storage_changes.set_offered(request.work, volume, offered=offered)
    request.flash(f"Machines {'may' if offered else 'may not'} take {volume.name}.")
    return HTTPSeeOther(request.route_path("storage_pool", id=context.storage_pool.id))


def _done(request: Any, store: Any, said: str, operation: Any) -> Done:
    return Done(
        text=said,
        path=request.route_path("storage_pool", id=store.id),
        href=request.route_path("operation", id=operation.id),
    )


def _pools(request: Any) -> list[tuple[str, str]]:
    nodes = pools.tree(request.work, Privilege.MODIFY)
    return [(str(node.pool.id), f"{'· ' * node.depth}{node.pool.name}") for node in nodes]

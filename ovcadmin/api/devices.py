"""What a machine consists of: size, boot order, drives, cards, CD-ROM, limits."""

from __future__ import annotations

from typing import Any

from ovcadmin.api.endpoint import endpoint, query
from ovcadmin.api.machines import accepted
from ovcadmin.api.pool_rates import given
from ovcadmin.api.shapes import reference
from ovcadmin.domain.devices import cdrom_targets
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import devices, drives, rates


@endpoint("machine_devices", "GET", permission=Privilege.VIEW)
def show(context: Any, request: Any) -> dict[str, Any]:
    machine = context.machine
    shared = rates.of_machine(request.work, machine)
    media = {medium.target: medium.image for medium in machine.media}
    return {
        "vcpus": machine.vcpus,
        "memory": machine.memory,
        "os_type": machine.os_type,
        "boot": machine.boot,
        "cpu_limit": machine.cpu_limit,
        "drives": [_drive(volume) for volume in machine.volumes],
        "cards": [_card(nic) for nic in machine.nics],
        "cdroms": [
            {"drive": target, "image": reference(media.get(target))}
            for target in cdrom_targets(machine.os_type)
        ],
        "pending": [
            {"name": mark.name, "now": mark.now, "coming": mark.coming}
            for mark in devices.pending(machine)
        ],
        "shared": [given(one) for one in shared.given.values()] if shared else [],
        "trouble": shared.trouble if shared else "",
    }


def _drive(volume: Any) -> dict[str, Any]:
    return {
        "target": volume.target,
        "size": volume.size,
        "volume": volume.name,
        "storage_pool": volume.storage_pool.name,
        "swap": volume.swap,
        "bytes_limit": volume.bytes_limit,
        "iops_limit": volume.iops_limit,
    }


def _card(nic: Any) -> dict[str, Any]:
    names = ("mac", "network", "address", "receive_limit", "send_limit")
    return {name: getattr(nic, name) for name in names}


def _body(request: Any) -> Any:
    return request.openapi_validated.body


def _answer(context: Any, request: Any, operation: Any) -> dict[str, Any]:
    return accepted(request, context.machine, operation.id)


@endpoint("machine_resize", "POST", permission=Privilege.CREATE)
def resize(context: Any, request: Any) -> dict[str, Any]:
    asked = devices.resize(request.work, context.machine, **_body(request))
    return _answer(context, request, asked)


@endpoint("machine_boot", "PUT", permission=Privilege.CONTROL)
def boot(context: Any, request: Any) -> dict[str, Any]:
    body = _body(request)
    asked = devices.configure(
        request.work, context.machine, boot=body.get("order"), os_type=body.get("os_type")
    )
    return _answer(context, request, asked)


@endpoint("machine_cpu_limit", "PUT", permission=Privilege.MODIFY)
def limit_cpu(context: Any, request: Any) -> dict[str, Any]:
    asked = devices.limit_cpu(request.work, context.machine, _body(request)["percent"])
    return _answer(context, request, asked)


@endpoint("machine_cdrom", "PUT", permission=Privilege.CONTROL)
def cdrom(context: Any, request: Any) -> dict[str, Any]:
    body = _body(request)
    image = devices.iso(request.work, context.machine, body["image_id"])
    asked = devices.insert(request.work, context.machine, image, body.get("drive", "hda"))
    return _answer(context, request, asked)


@endpoint("machine_complete", "POST", permission=Privilege.CONTROL)
def complete(context: Any, request: Any) -> dict[str, Any]:
    return _answer(context, request, devices.complete(request.work, context.machine))


@endpoint("machine_drives", "POST", permission=Privilege.CREATE)
def add_drive(context: Any, request: Any) -> dict[str, Any]:
    body = _body(request)
    asked = drives.add(request.work, context.machine, body["size"], swap=body.get("swap", False))
    return _answer(context, request, asked)


def _volume(context: Any, request: Any) -> Any:
    return devices.drive(request.work, context.machine, request.matchdict["target"])


@endpoint("machine_drive", "PATCH", permission=Privilege.CREATE)
def grow_drive(context: Any, request: Any) -> dict[str, Any]:
    volume = _volume(context, request)
    asked = drives.grow(request.work, context.machine, volume, _body(request)["size"])
    return _answer(context, request, asked)


@endpoint("machine_drive", "DELETE", permission=Privilege.CREATE)
def remove_drive(context: Any, request: Any) -> dict[str, Any]:
    volume = _volume(context, request)
    keep = bool(query(request)["keep"])
    return _answer(
        context, request, drives.remove(request.work, context.machine, volume, keep=keep)
    )


@endpoint("machine_drive_limits", "PUT", permission=Privilege.MODIFY)
def limit_drive(context: Any, request: Any) -> dict[str, Any]:
    body, volume = _body(request), _volume(context, request)
    asked = devices.limit_drive(
        request.work, context.machine, volume, byte_rate=body["bytes"], iops=body["operations"]
    )
    return _answer(context, request, asked)


@endpoint("machine_cards", "POST", permission=Privilege.CREATE)
def add_card(context: Any, request: Any) -> dict[str, Any]:
    body = _body(request)
    asked = drives.add_card(
        request.work, context.machine, network=body.get("network"), mac=body.get("mac")
    )
    return _answer(context, request, asked)


def _nic(context: Any, request: Any) -> Any:
    return devices.card(request.work, context.machine, request.matchdict["mac"])


@endpoint("machine_card", "DELETE", permission=Privilege.CREATE)
def remove_card(context: Any, request: Any) -> dict[str, Any]:
    nic = _nic(context, request)
    return _answer(context, request, drives.remove_card(request.work, context.machine, nic))


@endpoint("machine_card_limits", "PUT", permission=Privilege.MODIFY)
def limit_card(context: Any, request: Any) -> dict[str, Any]:
    body, nic = _body(request), _nic(context, request)
    asked = devices.limit_card(
        request.work, context.machine, nic, receive=body["receive"], send=body["send"]
    )
    return _answer(context, request, asked)


@endpoint("machine_card_address", "PUT", permission=Privilege.MODIFY)
def assign_address(context: Any, request: Any) -> dict[str, Any]:
    body, nic = _body(request), _nic(context, request)
    asked = devices.assign_address(request.work, context.machine, nic, body["address"])
    return _answer(context, request, asked)

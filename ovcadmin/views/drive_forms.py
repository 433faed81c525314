"""Forms on drives and network cards of a machine: add, grow, limit, remove."""

from __future__ import annotations

from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.amounts import show_storage, write
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import devices, drives
from ovcadmin.views.calls import Call
from ovcadmin.views.device_forms import Words, form_page
from ovcadmin.views.forms import Form, amount, choice, count, flag, text

METHODS = ("GET", "POST")
RATE_HINT = "A second, such as 10 MB. Blank: no limit."


class NewDrive(colander.Schema):
    size = amount("Size", "storage", hint="A bare number is GB.")
    swap = flag(
        "For swap", hint="On the host's own storage; in no snapshot and no template, and empty "
        "after a move to another host."
    )  # fmt: skip


@view_config(
    route_name="machine_drive_new",
    request_method=METHODS,
    renderer="devices/form.pt",
    permission=Privilege.CREATE,
)
def add(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    words = Words(
        title=f"New drive of {machine.name}",
        button="Add the drive",
        call=Call("POST", f"/machines/{machine.id}/drives", {"size": 10**10, "swap": False}),
        command=f"ovc machines add-drive {machine.id} 10GB",
        hints=[
            (
                "A free volume of exactly this size in the storage pools that serve its pool is "
                "attached; else one is made in the first of them that has room."
            ),
            "A running guest sees it at once.",
        ],
    )
    return form_page(
        context,
        request,
        Form(NewDrive()),
        lambda v: drives.add(request.work, machine, v["size"], swap=v["swap"]),
        words,
    )


class Grow(colander.Schema):
    size = amount("Size", "storage", hint="A bare number is GB; a drive can only grow.")


@view_config(
    route_name="machine_drive",
    request_method=METHODS,
    renderer="devices/form.pt",
    permission=Privilege.CREATE,
)
def grow(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    volume = _volume(context, request)
    words = Words(
        title=f"Grow {volume.target} of {machine.name}",
        button="Grow",
        call=Call(
            "PATCH", f"/machines/{machine.id}/drives/{volume.target}", {"size": 2 * volume.size}
        ),
        command=f"ovc machines grow-drive {machine.id} {volume.target} {2 * volume.size}B",
        hints=["Afterwards grow the partition and the file system in the guest."],
    )
    return form_page(
        context,
        request,
        Form(Grow(), {"size": write("storage", volume.size)}),
        lambda v: drives.grow(request.work, machine, volume, v["size"]),
        words,
    )


class DriveLimits(colander.Schema):
    bytes_limit = amount("Bytes", "storage", missing=None, hint=RATE_HINT)
    iops_limit = count("Operations", missing=None, hint="A second. Blank: no limit.")


@view_config(
    route_name="machine_drive_limits",
    request_method=METHODS,
    renderer="devices/form.pt",
    permission=Privilege.MODIFY,
)
def limit_drive(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    volume = _volume(context, request)
    held = {"bytes": volume.bytes_limit, "operations": volume.iops_limit}
    words = Words(
        title=f"Limits of {volume.target} of {machine.name}",
        button="Limit",
        call=Call("PUT", f"/machines/{machine.id}/drives/{volume.target}/limits", held),
        command=f"ovc machines limit-drive {machine.id} {volume.target} --bytes 10MB",
        hints=["Reading and writing together, also while it runs."],
    )
    initial = {"bytes_limit": _written(volume.bytes_limit), "iops_limit": volume.iops_limit}
    return form_page(
        context,
        request,
        Form(DriveLimits(), initial),
        lambda v: devices.limit_drive(
            request.work, machine, volume, byte_rate=v["bytes_limit"], iops=v["iops_limit"]
        ),
        words,
    )


class RemoveDrive(colander.Schema):
    keep = flag("Keep its volume", hint="For the machines of this pool; it still takes storage.")


@view_config(
    route_name="machine_drive_remove",
    request_method=METHODS,
    renderer="devices/form.pt",
    permission=Privilege.CREATE,
)
def remove(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    volume = _volume(context, request)
    words = Words(
        title=f"Remove {volume.target} of {machine.name}",
        button=f"Remove {volume.target}",
        call=Call("DELETE", f"/machines/{machine.id}/drives/{volume.target}?keep=false"),
        command=f"ovc machines remove-drive {machine.id} {volume.target}",
        hints=[
            (
                f"What is on it is lost unless it is kept: {show_storage(volume.size)} in "
                f"{volume.storage_pool.name}."
            ),
            "Unmount it in the guest first; a guest that uses it does not let it go.",
        ],
        danger=True,
    )
    return form_page(
        context,
        request,
        Form(RemoveDrive()),
        lambda v: drives.remove(request.work, machine, volume, keep=v["keep"]),
        words,
    )


class NewCard(colander.Schema):
    network = choice("Network", missing="")
    mac = text("MAC", missing="", longest=17, hint="Blank: a random one.")


@view_config(
    route_name="machine_card_new",
    request_method=METHODS,
    renderer="devices/form.pt",
    permission=Privilege.CREATE,
)
def add_card(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    there = sorted(machine.host.networks) if machine.host is not None else []
    networks = [("", "user-mode network"), *[(name, name) for name in there]]
    words = Words(
        title=f"New network card of {machine.name}",
        button="Add the card",
        call=Call("POST", f"/machines/{machine.id}/cards", {"network": None, "mac": None}),
        command=f"ovc machines add-card {machine.id}",
        hints=["A running guest sees it at once. While it runs, each card counts for the quota."],
    )
    return form_page(
        context,
        request,
        Form(NewCard(), {}, choices={"network": networks}),
        lambda v: drives.add_card(
            request.work, machine, network=v["network"] or None, mac=v["mac"] or None
        ),
        words,
    )


class CardLimits(colander.Schema):
    receive_limit = amount("Receives at most", "storage", missing=None, hint=RATE_HINT)
    send_limit = amount("Sends at most", "storage", missing=None, hint=RATE_HINT)


@view_config(
    route_name="machine_card_limits",
    request_method=METHODS,
    renderer="devices/form.pt",
    permission=Privilege.MODIFY,
)
def limit_card(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    nic = _nic(context, request)
    held = {"receive": nic.receive_limit, "send": nic.send_limit}
    words = Words(
        title=f"Limits of the card {nic.mac} of {machine.name}",
        button="Limit",
        call=Call("PUT", f"/machines/{machine.id}/cards/{nic.mac}/limits", held),
        command=f"ovc machines limit-card {machine.id} {nic.mac} --receive 1MB",
    )
    initial = {
        "receive_limit": _written(nic.receive_limit), "send_limit": _written(nic.send_limit),
    }  # fmt: skip
    return form_page(
        context,
        request,
        Form(CardLimits(), initial),
        lambda v: devices.limit_card(
            request.work, machine, nic, receive=v["receive_limit"], send=v["send_limit"]
        ),
        words,
    )


class CardAddress(colander.Schema):
    address = text("IPv4 address", missing="", longest=40, hint="Blank: any address passes.")


@view_config(
    route_name="machine_card_address",
    request_method=METHODS,
    renderer="devices/form.pt",
    permission=Privilege.MODIFY,
)
def assign_address(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    nic = _nic(context, request)
    words = Words(
        title=f"Address of the card {nic.mac} of {machine.name}",
        button="Assign",
        call=Call(
            "PUT", f"/machines/{machine.id}/cards/{nic.mac}/address", {"address": nic.address}
        ),
        command=f"ovc machines assign-address {machine.id} {nic.mac} 10.0.0.5",
        hints=[
            "Its host lets the guest send from this address and MAC only, also while it runs.",
            "The guest itself must be told the address, by hand or by the DHCP server there.",
        ],
    )
    return form_page(
        context,
        request,
        Form(CardAddress(), {"address": nic.address or ""}),
        lambda v: devices.assign_address(request.work, machine, nic, v["address"] or None),
        words,
    )


class RemoveCard(colander.Schema):
    """Nothing to fill in: the button is all."""


@view_config(
    route_name="machine_card_remove",
    request_method=METHODS,
    renderer="devices/form.pt",
    permission=Privilege.CREATE,
)
def remove_card(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    nic = _nic(context, request)
    words = Words(
        title=f"Remove the card {nic.mac} of {machine.name}",
        button="Remove the card",
        call=Call("DELETE", f"/machines/{machine.id}/cards/{nic.mac}"),
        command=f"ovc machines remove-card {machine.id} {nic.mac}",
        hints=["Connections over this card end."],
        danger=True,
    )
    return form_page(
        context,
        request,
        Form(RemoveCard()),
        lambda _: drives.remove_card(request.work, machine, nic),
        words,
    )


def _written(rate: int | None) -> str:
    return "" if rate is None else write("storage", rate)


def _volume(context: Any, request: Any) -> Any:
    return devices.drive(request.work, context.machine, request.matchdict["target"])


def _nic(context: Any, request: Any) -> Any:
    return devices.card(request.work, context.machine, request.matchdict["mac"])

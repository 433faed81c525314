"""The tab Devices of a machine: what it consists of, its limits, and what is pending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import view_config

from ovcadmin.domain.amounts import show_storage
from ovcadmin.domain.devices import BOOT, OS_TYPES, cdrom_targets
from ovcadmin.domain.rates import LABELS
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import devices, rates
from ovcadmin.services.devices import Pending
from ovcadmin.services.rates import Sharer
from ovcadmin.views.machines import MachinePage


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the tab shows beside the machine itself."""

    pending: Sequence[Pending]
    cdroms: Sequence[tuple[str, Any]]
    """Each drive with the ISO image in it, or None."""
    boot: str
    os_type: str
    shared: Sharer | None
    """What it gets of limits that it shares with others."""

    @classmethod
    def of(cls, machine: Any, shared: Sharer | None) -> Shown:
        media = {medium.target: medium.image for medium in machine.media}
        return cls(
            pending=devices.pending(machine),
            cdroms=[(target, media.get(target)) for target in cdrom_targets(machine.os_type)],
            boot=", then ".join(BOOT[word] for word in machine.boot.split(",")),
            os_type=OS_TYPES[machine.os_type],
            shared=shared,
        )

    labels = LABELS

    @staticmethod
    def drive_limit(volume: Any) -> str:
        parts = [f"{show_storage(volume.bytes_limit)} a second"] if volume.bytes_limit else []
        parts += [f"{volume.iops_limit} operations a second"] if volume.iops_limit else []
        return ", ".join(parts) or "no limit"

    @staticmethod
    def card_limit(nic: Any) -> str:
        ways = (("receives", nic.receive_limit), ("sends", nic.send_limit))
        parts = [f"{word} {show_storage(rate)} a second" for word, rate in ways if rate]
        return ", ".join(parts) or "no limit"


@view_config(
    route_name="machine_devices",
    request_method="GET",
    renderer="devices/devices.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="machine_fragment",
    request_method="GET",
    match_param="part=devices",
    renderer="devices/parts.pt",
    permission=Privilege.VIEW,
)
def show(context: Any, request: Any) -> dict[str, Any]:
    page = MachinePage.of(context, request, "devices")
    return {
        "page": page,
        "shown": Shown.of(context.machine, rates.of_machine(request.work, context.machine)),
    }


@view_config(route_name="machine_complete", request_method="POST", permission=Privilege.CONTROL)
def complete(context: Any, request: Any) -> HTTPSeeOther:
    operation = devices.complete(request.work, context.machine)
    request.flash(
        f"Adding what {context.machine.name} lacks: accepted.",
        href=request.route_path("operation", id=operation.id),
    )
    return HTTPSeeOther(request.route_path("machine_devices", id=context.machine.id))

"""Forms on a machine's size, boot order, CD-ROM and CPU limit, and what all device forms share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.amounts import write
from ovcadmin.domain.devices import OS_TYPES, cdrom_targets
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import devices
from ovcadmin.views.calls import Call
from ovcadmin.views.forms import Done, Form, amount, choice, count
from ovcadmin.views.pages import Page, crumbs

ORDERS = (
    ("disk,cdrom", "disk, then CD-ROM"),
    ("disk", "disk only"),
    ("cdrom,disk", "CD-ROM, then disk"),
    ("network,disk", "network, then disk"),
    ("disk,cdrom,network", "disk, then CD-ROM, then network"),
    ("network", "network only"),
)


@dataclass(frozen=True, kw_only=True)
class DevicePage(Page):
    machine: Any
    form: Form
    call: Call
    command: str
    """The same by `ovc`."""
    button: str
    hints: Sequence[str] = ()
    danger: bool = False


@dataclass(frozen=True, kw_only=True)
class Words:
    """What one device form says of itself."""

    title: str
    button: str
    call: Call
    command: str
    hints: Sequence[str] = ()
    danger: bool = False


def form_page(
    context: Any, request: Any, form: Form, save: Callable[[dict[str, Any]], Any], words: Words
) -> dict[str, Any] | Response:
    """Submit a form whose `save` queues an operation, or show it."""
    machine = context.machine

    def done(values: dict[str, Any]) -> Done:
        operation = save(values)
        return Done(
            text=f"{operation.title}: accepted.",
            path=request.route_path("machine_devices", id=machine.id),
            href=request.route_path("operation", id=operation.id),
        )

    answer = form.submit(request, done)
    if answer is not None:
        return answer
    page = DevicePage(
        title=words.title,
        section="machines",
        crumbs=crumbs(request, context.pool),
        pool_id=machine.pool_id,
        machine=machine,
        form=form,
        call=words.call,
        command=words.command,
        button=words.button,
        hints=words.hints,
        danger=words.danger,
    )
    return {"page": page}


class Resize(colander.Schema):
    vcpus = count("vCPUs")
    memory = amount("Memory", "memory", hint="A bare number is MiB.")


@view_config(
    route_name="machine_resize",
    request_method=("GET", "POST"),
    renderer="devices/form.pt",
    permission=Privilege.CREATE,
)
def resize(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    form = Form(Resize(), {"vcpus": machine.vcpus, "memory": write("memory", machine.memory)})
    hints = ["What it takes more counts for the quota of its pool and of every one above."]
    if machine.state == "running":
        hints.append(
            "It runs: more vCPUs, and more memory in steps of 128 MiB, are plugged in at once. "
            "The rest needs a restart and is marked until then."
        )
    words = Words(
        title=f"Resize {machine.name}",
        button="Resize",
        call=Call(
            "POST",
            f"/machines/{machine.id}/resize",
            {"vcpus": machine.vcpus, "memory": machine.memory},
        ),
        command=f"ovc machines resize {machine.id} --vcpus {machine.vcpus} "
        f"--memory {machine.memory}KiB",
        hints=hints,
    )
    return form_page(
        context,
        request,
        form,
        lambda v: devices.resize(request.work, machine, vcpus=v["vcpus"], memory=v["memory"]),
        words,
    )


class Boot(colander.Schema):
    order = choice("Boot order")
    os_type = choice("OS type", hint="Windows gets a clock in local time and a second CD-ROM.")


@view_config(
    route_name="machine_boot",
    request_method=("GET", "POST"),
    renderer="devices/form.pt",
    permission=Privilege.CONTROL,
)
def boot(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    orders = list(ORDERS)
    if machine.boot not in dict(orders):
        orders.insert(0, (machine.boot, machine.boot.replace(",", ", then ")))
    form = Form(
        Boot(),
        {"order": machine.boot, "os_type": machine.os_type},
        choices={"order": orders, "os_type": list(OS_TYPES.items())},
    )
    words = Words(
        title=f"How {machine.name} starts",
        button="Change",
        call=Call(
            "PUT",
            f"/machines/{machine.id}/boot",
            {"order": machine.boot, "os_type": machine.os_type},
        ),
        command=f"ovc machines boot {machine.id} --order {machine.boot}",
        hints=["It counts from the next start; until then a running machine shows it as pending."],
    )
    return form_page(
        context,
        request,
        form,
        lambda v: devices.configure(request.work, machine, boot=v["order"], os_type=v["os_type"]),
        words,
    )


class CpuLimit(colander.Schema):
    cpu_limit = count(
        "At most, percent of one CPU", missing=None, hint="150 is one and a half. Blank: no limit."
    )


@view_config(
    route_name="machine_cpu_limit",
    request_method=("GET", "POST"),
    renderer="devices/form.pt",
    permission=Privilege.MODIFY,
)
def cpu_limit(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    words = Words(
        title=f"CPU limit of {machine.name}",
        button="Limit",
        call=Call("PUT", f"/machines/{machine.id}/cpu-limit", {"percent": machine.cpu_limit}),
        command=f"ovc machines limit-cpu {machine.id} {machine.cpu_limit or 'none'}",
        hints=["Of all its vCPUs together, also while it runs."],
    )
    return form_page(
        context,
        request,
        Form(CpuLimit(), {"cpu_limit": machine.cpu_limit}),
        lambda v: devices.limit_cpu(request.work, machine, v["cpu_limit"]),
        words,
    )


class Cdrom(colander.Schema):
    image = choice("ISO image", missing="", hint="Blank: an empty drive.")
    drive = choice("Drive")


@view_config(
    route_name="machine_cdrom",
    request_method=("GET", "POST"),
    renderer="devices/form.pt",
    permission=Privilege.CONTROL,
)
def cdrom(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    offered = devices.isos(request.work, machine)
    held = {medium.target: medium.image_id for medium in machine.media}
    targets = cdrom_targets(machine.os_type)
    form = Form(
        Cdrom(),
        {"image": held.get("hda", ""), "drive": "hda"},
        choices={
            "image": [("", "(empty)"), *[(str(image.id), image.name) for image in offered]],
            "drive": [(target, target) for target in targets],
        },
    )
    words = Words(
        title=f"CD-ROM of {machine.name}",
        button="Change the CD-ROM",
        call=Call(
            "PUT", f"/machines/{machine.id}/cdrom", {"image_id": held.get("hda"), "drive": "hda"}
        ),
        command=f"ovc machines cdrom {machine.id} --iso NAME",
        hints=[] if offered else ["No ISO image serves its pool yet."],
    )

    def save(values: dict[str, Any]) -> Any:
        image_id = int(values["image"]) if values["image"] else None
        image = devices.iso(request.work, machine, image_id)
        return devices.insert(request.work, machine, image, values["drive"])

    return form_page(context, request, form, save, words)

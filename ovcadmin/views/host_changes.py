"""Enrolling, editing, trying out, clearing and retiring hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.amounts import show_memory
from ovcadmin.errors import InvalidInput
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import host_changes, maintenance
from ovcadmin.services.host_changes import VIRT_TYPES, Details
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, amount, choice, name, text, version
from ovcadmin.views.pages import Page, crumbs

EXAMPLE = "qemu+ssh://root@kvm-a/system"


class NewHost(colander.Schema):
    name = name(hint="As people call it.")
    uri = text(
        "libvirt address",
        hint="qemu+ssh://root@kvm-a/system, qemu+tls://kvm-a/system, qemu+tcp://kvm-a/system, or "
        "qemu:///system for this machine itself.",
    )
    virt_type = choice("Virtualisation", hint="auto tries out whether hardware really works.")
    cpu_ratio = text("vCPUs for each CPU", missing="16", hint="So many may be promised.")
    memory_ratio = text("Memory ratio", missing="1", hint="1 promises no more than there is.")
    memory_reserve = amount(
        "Memory reserve", "memory", missing=0, hint="Kept for the host itself, such as 2 GiB."
    )
    migration_uri = text(
        "Migration address", missing="",
        hint="Where other hosts send running guests, such as tcp://10.0.0.5. Blank: the name in "
        "the libvirt address.",
    )  # fmt: skip
    worker_group = text(
        "Host group", missing="main",
        hint="Workers that serve this group look after the host (ovc.worker_groups).",
    )  # fmt: skip
    description = text("Description", kind="textarea", longest=2000, missing="")


class EditedHost(NewHost):
    version = version()


class Maintenance(colander.Schema):
    mode = choice("What becomes of its machines")


MODES = [
    ("evacuate", "Evacuate: running machines migrate to other hosts"),
    ("stop", "Stop: running machines are shut down"),
]


@dataclass(frozen=True, kw_only=True)
class HostFormPage(Page):
    form: Form
    call: Call
    button: str
    back: str
    back_name: str
    facts: Sequence[str] = ()
    host: Any = None
    running: Sequence[Any] = ()


def read_details(values: dict[str, Any]) -> Details:
    """Return what a form says; raises `InvalidInput` for ratios that are no numbers."""
    given = dict(values)
    given.pop("version", None)
    wrong: dict[str, str] = {}
    for field in ("cpu_ratio", "memory_ratio"):
        try:
            given[field] = float(values[field])
        except ValueError:
            wrong[field] = "Write a number from 0.1 to 100."
    if wrong:
        raise InvalidInput("The host cannot be written down like this.", fields=wrong)
    return Details(**given)


def _form(schema: Any, given: Details, **more: Any) -> Form:
    shown = asdict(given)
    for ratio in ("cpu_ratio", "memory_ratio"):
        shown[ratio] = f"{shown[ratio]:g}"
    shown["memory_reserve"] = show_memory(given.memory_reserve) if given.memory_reserve else ""
    return Form(schema, {**shown, **more}, choices={"virt_type": [(v, v) for v in VIRT_TYPES]})


@view_config(
    route_name="host_new",
    request_method=("GET", "POST"),
    renderer="hosts/form.pt",
    permission=Privilege.MODIFY,
)
def new(context: Any, request: Any) -> dict[str, Any] | Response:
    pool = context.pool
    form = _form(NewHost(), Details(name="", uri=""))

    def save(values: dict[str, Any]) -> Done:
        host, operation = host_changes.enroll(request.work, pool, read_details(values))
        return Done(
            text=f"{host.name} is enrolled; the way to it is tried out.",
            path=request.route_path("host", id=host.id),
            href=request.route_path("operation", id=operation.id),
        )

    return form.submit(request, save) or {
        "page": HostFormPage(
            title="Enrol a host",
            section="hosts",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            form=form,
            button="Enrol it",
            back=request.route_path("hosts"),
            back_name="the hosts",
            facts=[f"It serves {pool.name} and all below it."],
            call=Call(
                "POST",
                f"/pools/{pool.id}/hosts",
                {"name": "kvm-a", "uri": EXAMPLE},
                shell("ovc hosts enrol", "kvm-a", uri=EXAMPLE, pool=pool.name, wait=True),
            ),
        )
    }


@view_config(
    route_name="host_edit",
    request_method=("GET", "POST"),
    renderer="hosts/form.pt",
    permission=Privilege.MODIFY,
)
def edit(context: Any, request: Any) -> dict[str, Any] | Response:
    host = context.host
    form = _form(EditedHost(), host_changes.details(host), version=host.version)

    def save(values: dict[str, Any]) -> Done:
        host_changes.edit(request.work, host, read_details(values), values["version"])
        return Done(text=f"{host.name} is saved.", path=request.route_path("host", id=host.id))

    return form.submit(request, save) or {
        "page": _page(
            request, host, form, title=f"Edit {host.name}", button="Save",
            call=Call(
                "PATCH", f"/hosts/{host.id}", {"memory_reserve": 2 * 2**20},
                shell("ovc hosts edit", host.name, memory_reserve=2 * 2**20),
            ),
        )
    }  # fmt: skip


@view_config(route_name="host_check", request_method="POST", permission=Privilege.MODIFY)
def check(context: Any, request: Any) -> Response:
    operation = host_changes.check(request.work, context.host)
    request.flash(
        f"The way to {context.host.name} is tried out.",
        href=request.route_path("operation", id=operation.id),
    )
    return HTTPSeeOther(request.route_path("operation", id=operation.id))


@view_config(route_name="host_retired", request_method="POST", permission=Privilege.MODIFY)
def retired(context: Any, request: Any) -> Response:
    host = context.host
    if request.POST.get("retired") == "yes":
        host_changes.retire(request.work, host)
        request.flash(f"{host.name} is retired; its history stays.")
    else:
        host_changes.bring_back(request.work, host)
        request.flash(f"{host.name} is in use again.")
    return HTTPSeeOther(request.route_path("host", id=host.id))


@view_config(
    route_name="host_maintenance",
    request_method=("GET", "POST"),
    renderer="hosts/maintenance.pt",
    permission=Privilege.MODIFY,
)
def maintain(context: Any, request: Any) -> dict[str, Any] | Response:
    host = context.host
    if request.POST.get("end") == "yes":
        maintenance.end(request.work, host)
        request.flash(f"The maintenance of {host.name} is over.")
        return HTTPSeeOther(request.route_path("host", id=host.id))
    form = Form(Maintenance(), {"mode": "evacuate"}, choices={"mode": MODES})

    def save(values: dict[str, Any]) -> Done:
        operation = maintenance.begin(request.work, host, values["mode"])
        return Done(
            text=f"{host.name} takes no new machines; those that run there leave.",
            path=request.route_path("operation", id=operation.id),
        )

    return form.submit(request, save) or {
        "page": _page(
            request, host, form, title=f"Maintenance of {host.name}", button="Begin",
            call=Call(
                "POST", f"/hosts/{host.id}/maintenance", {"mode": "evacuate"},
                shell("ovc hosts maintain", host.name, mode="evacuate", wait=True),
            ),
            running=maintenance.active(request.work, host.id),
        )
    }  # fmt: skip


def _page(request: Any, host: Any, form: Form, **more: Any) -> HostFormPage:
    return HostFormPage(
        section="hosts",
        crumbs=crumbs(request, host.pool),
        pool_id=host.pool_id,
        form=form,
        host=host,
        back=request.route_path("host", id=host.id),
        back_name=host.name,
        **more,
    )

"""Copies of a stopped machine: another machine, or a template."""

from __future__ import annotations

from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.amounts import show_storage
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import clones, pools
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, choice, name
from ovcadmin.views.pages import crumbs
from ovcadmin.views.snapshots import FormPage


class Clone(colander.Schema):
    name = name("Name of the clone", hint="Unique in its pool.")
    pool = choice("Pool", hint="It counts for the storage quota there and above.")


class Template(colander.Schema):
    name = name("Name of the template", hint="As it is offered for new machines.")
    pool = choice("Pool", hint="It is offered there and in all pools below.")


@view_config(
    route_name="machine_clone",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.CREATE,
)
def clone(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    form = _form(context, request, Clone(), Privilege.CREATE, f"{machine.name} copy")

    def save(values: dict[str, str]) -> Done:
        pool = pools.get(request.work, int(values["pool"]))
        made = clones.clone(request.work, machine, pool, values["name"])
        return Done(
            text=f"{made.name} is being made from {machine.name}.",
            path=request.route_path("machine", id=made.id),
            href=request.route_path("operation", id=made.tail_id),
        )

    return form.submit(request, save) or {
        "page": _page(
            context, request, form,
            title=f"Clone {machine.name}",
            button="Make the clone",
            call=Call("POST", f"/machines/{machine.id}/clones", _body(form),
                      shell("ovc machines clone", machine.name, form["name"].value)),
            hint=f"A machine of the same size with a copy of its disks, "
            f"{show_storage(machine.storage)}, and network cards of its own. What the guest keeps "
            "on its disks is the same in both: its host name, keys and fixed addresses. The "
            "machine must be off; it stays as it is while the copy is made.",
        )
    }  # fmt: skip


@view_config(
    route_name="machine_template",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.MODIFY,
)
def template(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    form = _form(context, request, Template(), Privilege.MODIFY, machine.name)

    def save(values: dict[str, str]) -> Done:
        pool = pools.get(request.work, int(values["pool"]))
        operation = clones.template(request.work, machine, pool, values["name"])
        return Done(
            text=f"{operation.title}: accepted.",
            path=request.route_path("image", id=operation.params["image_id"]),
            href=request.route_path("operation", id=operation.id),
        )

    return form.submit(request, save) or {
        "page": _page(
            context, request, form,
            title=f"Make a template of {machine.name}",
            button="Make the template",
            call=Call("POST", f"/machines/{machine.id}/templates", _body(form),
                      shell("ovc machines template", machine.name, form["name"].value)),
            hint="An image of its first disk, in the storage where that disk lies. It does not "
            "need the machine afterwards: that may be changed and deleted. Take keys and host "
            "names out of the guest first, or every machine made from it has them.",
        )
    }  # fmt: skip


def _form(context: Any, request: Any, schema: Any, privilege: Privilege, name: str) -> Form:
    found = [node.pool for node in pools.tree(request.work, privilege)]
    choices = {"pool": [(str(pool.id), pool.name) for pool in found]}
    return Form(schema, {"name": name, "pool": context.pool.id}, choices=choices)


def _body(form: Form) -> dict[str, Any]:
    number = form["pool"].value
    return {"name": form["name"].value, "pool_id": int(number) if number.isdigit() else 0}


def _page(context: Any, request: Any, form: Form, **more: Any) -> FormPage:
    return FormPage(
        section="machines",
        crumbs=crumbs(request, context.pool),
        pool_id=context.pool.id,
        form=form,
        back=request.route_path("machine", id=context.machine.id),
        back_label=context.machine.name,
        **more,
    )

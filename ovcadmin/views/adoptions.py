"""Adopting a domain that somebody made on a host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.devices import OS_TYPES
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import adoptions, pools
from ovcadmin.services.adoptions import Finding, Wish
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, choice, name
from ovcadmin.views.pages import Crumb, crumbs
from ovcadmin.views.snapshots import FormPage


class Adoption(colander.Schema):
    domain = choice("Domain", hint="As it is called on the host.")
    name = name("Name of the machine", hint="Unique in its pool; the domain keeps its own name.")
    pool = choice("Pool", hint="It counts for the quota there and above, from now on.")
    os_type = choice("OS type", missing="", hint="Guessed from the definition.")


@dataclass(frozen=True, kw_only=True)
class AdoptionPage(FormPage):
    finding: Finding | None
    """What was chosen, None before anything was."""


@view_config(
    route_name="host_adopt",
    request_method=("GET", "POST"),
    renderer="hosts/adopt.pt",
    permission=Privilege.MODIFY,
)
def adopt(context: Any, request: Any) -> dict[str, Any] | Response:
    host, work = context.host, request.work
    found = {finding.row.uuid: finding for finding in adoptions.listing(work, host)}
    chosen = found.get(request.params.get("domain", ""))
    form = _form(context, request, found, chosen)

    def save(values: dict[str, str]) -> Done:
        pool = pools.get(work, int(values["pool"]))
        wish = Wish(name=values["name"], os_type=values["os_type"])
        machine = adoptions.adopt(work, host, values["domain"], pool, wish)
        return Done(
            text=f"{machine.name} is being adopted; its guest goes on as it is.",
            path=request.route_path("machine", id=machine.id),
            href=request.route_path("operation", id=machine.tail_id),
        )

    return form.submit(request, save) or {
        "page": AdoptionPage(
            title=f"Adopt a domain of {host.name}",
            section="hosts",
            crumbs=[
                Crumb(label="Hosts", url=request.route_path("hosts")),
                *crumbs(request, context.pool),
            ],
            pool_id=host.pool_id,
            form=form,
            button="Adopt it",
            back=request.route_path("host", id=host.id),
            back_label=host.name,
            call=_call(host, form),
            finding=chosen,
        )
    }


def _form(context: Any, request: Any, found: dict[str, Finding], chosen: Finding | None) -> Form:
    own = [node.pool for node in pools.tree(request.work, Privilege.CREATE)]
    choices = {
        "domain": [(uuid, finding.row.name) for uuid, finding in found.items()],
        "pool": [(str(pool.id), pool.name) for pool in own],
        "os_type": list(OS_TYPES.items()),
    }
    initial = {"pool": context.pool.id}
    if chosen is not None:
        initial |= {"domain": chosen.row.uuid, "name": chosen.row.name}
        initial |= {"os_type": chosen.found.os_type} if chosen.found else {}
    return Form(Adoption(), initial, choices=choices)


def _call(host: Any, form: Form) -> Call:
    values = {field: form[field].value for field in ("domain", "name", "pool", "os_type")}
    number = values["pool"]
    body = {
        "uuid": values["domain"],
        "name": values["name"],
        "pool_id": int(number) if number.isdigit() else 0,
        **({"os_type": values["os_type"]} if values["os_type"] else {}),
    }
    pool = next((label for value, label in form["pool"].choices if value == number), "")
    command = shell(
        "ovc hosts adopt", host.name, values["domain"], pool=pool, name=values["name"],
        os_type=values["os_type"],
    )  # fmt: skip
    return Call("POST", f"/hosts/{host.id}/domains", body, command)

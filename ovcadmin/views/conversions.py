"""Converting machine templates to base images on a vPool."""

from __future__ import annotations

from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.services import conversions
from ovcadmin.views.calls import Call
from ovcadmin.views.clusters import ClusterForm
from ovcadmin.views.forms import Done, Form, choice, name, text
from ovcadmin.views.pages import Crumb

SYSTEMS = [("linux", "Linux"), ("windows", "Windows"), ("freebsd", "FreeBSD")]


class Conversion(colander.Schema):
    file = text("File", hint="Its name in the directory of machine templates, debian12.qcow2.")
    name = name("Image", hint="What people choose.")
    os_type = choice("System", missing="linux")
    description = text("Description", longest=2000, missing="")


@view_config(
    route_name="storage_pool_convert",
    request_method=("GET", "POST"),
    renderer="clusters/form.pt",
    permission=Privilege.MODIFY,
)
def convert(context: Any, request: Any) -> dict[str, Any] | Response:
    store = context.storage_pool
    form = Form(Conversion(), {"os_type": "linux"}, choices={"os_type": SYSTEMS})

    def begin(values: dict[str, Any]) -> Done:
        operation = conversions.submit(request.work, store, conversions.Wanted(**values))
        return Done(
            text=f"{operation.title} is queued.",
            path=request.route_path("operation", id=operation.id),
        )

    page = ClusterForm(
        title=f"Convert a machine template for {store.name}",
        section="storage",
        crumbs=[Crumb(label="Storage", url=request.route_path("storage"))],
        pool_id=store.pool_id,
        form=form,
        button="Convert",
        back=request.route_path("storage_pool", id=store.id),
        call=Call(
            "POST",
            f"/storage-pools/{store.id}/conversions",
            {"file": "debian12.qcow2", "name": "Debian 12"},
        ),
        command=f"ovc images convert debian12.qcow2 'Debian 12' --storage '{store.name}' --wait",
        text="The file lies in the directory of machine templates on the worker's machine.",
    )
    return form.submit(request, begin) or {"page": page}

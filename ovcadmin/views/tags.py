"""The tags of one thing: one page for machines, pools, hosts and storage pools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.services import tags
from ovcadmin.views.forms import Done, Form, in_turn, text
from ovcadmin.views.pages import Page, crumbs

SECTIONS = {"machine": "machines", "pool": "pools", "host": "hosts", "storage_pool": "storage"}


class Words(colander.Schema):
    tags = text("Tags", longest=700, missing="", hint="Words with spaces between them.")


@dataclass(frozen=True, kw_only=True)
class TagsPage(Page):
    name: str
    back: str
    form: Form


@view_config(
    route_name="machine_tags", request_method=("GET", "POST"), renderer="logical_groups/tags.pt",
    permission=Privilege.CONTROL,
)  # fmt: skip
def of_machine(context: Any, request: Any) -> dict[str, Any] | Response:
    return _edit(context, request, "machine", context.machine)


@view_config(
    route_name="pool_tags", request_method=("GET", "POST"), renderer="logical_groups/tags.pt",
    permission=Privilege.MODIFY,
)  # fmt: skip
def of_pool(context: Any, request: Any) -> dict[str, Any] | Response:
    return _edit(context, request, "pool", context.pool)


@view_config(
    route_name="host_tags", request_method=("GET", "POST"), renderer="logical_groups/tags.pt",
    permission=Privilege.MODIFY,
)  # fmt: skip
def of_host(context: Any, request: Any) -> dict[str, Any] | Response:
    return _edit(context, request, "host", context.host)


@view_config(
    route_name="storage_pool_tags", request_method=("GET", "POST"),
    renderer="logical_groups/tags.pt", permission=Privilege.MODIFY,
)  # fmt: skip
def of_storage_pool(context: Any, request: Any) -> dict[str, Any] | Response:
    return _edit(context, request, "storage_pool", context.storage_pool)


def _edit(context: Any, request: Any, kind: str, row: Any) -> dict[str, Any] | Response:
    back = request.route_path(kind, id=row.id)
    in_turn(request)
    now = {"tags": " ".join(tags.of(request.work, kind, row.id))}
    form = Form(Words(), now, as_seen=True)

    def save(values: dict[str, str]) -> Done:
        tags.put(request.work, kind, row, values["tags"])
        return Done(text=f"The tags of {row.name} are set.", path=back)

    return form.submit(request, save) or {
        "page": TagsPage(
            title=f"Tags of {row.name}",
            section=SECTIONS[kind],
            crumbs=crumbs(request, context.pool),
            pool_id=context.pool.id,
            name=row.name,
            back=back,
            form=form,
        )
    }

"""Where a machine could go, and why not elsewhere: every host, rule by rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.placement import Rule, Verdict, Wanted, smallest_change
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import images, migrations, placement, sizes
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, choice
from ovcadmin.views.pages import Page, crumbs

RULES = {
    Rule.SERVES: "Pool",
    Rule.RETIRED: "In use",
    Rule.ENABLED: "Takes machines",
    Rule.MAINTENANCE: "Maintenance",
    Rule.ANSWERS: "Answers",
    Rule.CPUS: "CPUs",
    Rule.VCPUS: "vCPUs to promise",
    Rule.MEMORY: "Memory",
    Rule.CPU_MODEL: "CPU model",
    Rule.STORAGE_POOL: "Storage pool",
    Rule.IMAGE: "Image",
    Rule.STORAGE: "Storage",
    Rule.NETWORK: "Networks",
    Rule.APART: "Kept apart",
    Rule.TOGETHER: "Kept together",
}
"""The hard rules as the page names them."""


class Target(colander.Schema):
    host = choice("To host", hint="The best one is chosen already.")


class Trial(colander.Schema):
    image = choice("Image")
    size = choice("Size")


@dataclass(frozen=True, kw_only=True)
class PlacementPage(Page):
    form: Form
    verdicts: Sequence[Verdict]
    rules: dict[Rule, str]
    change: Sequence[str]
    """The smallest change that would make one fit."""
    call: Call
    back: str
    name: str
    live: bool = False


@view_config(
    route_name="machine_migrate",
    request_method=("GET", "POST"),
    renderer="hosts/migrate.pt",
    permission=Privilege.MODIFY,
)
def migrate(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    outlook = migrations.outlook(request.work, machine)
    form = Form(
        Target(),
        {"host": outlook.best.host_id if outlook.best else ""},
        choices={
            "host": [(str(v.candidate.host_id), v.candidate.host) for v in outlook.able],
        },
    )

    def save(values: dict[str, str]) -> Done:
        operation = migrations.migrate(request.work, machine, int(values["host"]))
        return Done(
            text=f"{operation.title}: accepted.",
            path=request.route_path("machine", id=machine.id),
            href=request.route_path("operation", id=operation.id),
        )

    return form.submit(request, save) or {
        "page": PlacementPage(
            title=f"Migrate {machine.name}",
            section="machines",
            crumbs=crumbs(request, context.pool),
            pool_id=machine.pool_id,
            form=form,
            verdicts=outlook.verdicts,
            rules=RULES,
            change=smallest_change(outlook.verdicts),
            call=Call(
                "POST",
                f"/machines/{machine.id}/migrate",
                {"host_id": outlook.best.host_id} if outlook.best else {},
                shell(
                    "ovc machines migrate", machine.name,
                    host=outlook.best.host if outlook.best else None, wait=True,
                ),
            ),
            back=request.route_path("machine", id=machine.id),
            name=machine.name,
            live=outlook.live,
        )
    }  # fmt: skip


@view_config(
    route_name="placement",
    request_method="GET",
    renderer="hosts/placement.pt",
    permission=Privilege.CREATE,
)
def explain(context: Any, request: Any) -> dict[str, Any]:
    pool, work = context.pool, request.work
    offered = {str(image.id): image for image in images.offered(work, pool)}
    known = {size.name: size for size in sizes.listing(request.settings)}
    chosen = {
        "image": request.GET.get("image", next(iter(offered), "")),
        "size": request.GET.get("size", next(iter(known), "")),
    }
    form = Form(
        Trial(),
        chosen,
        choices={
            "image": [(number, image.name) for number, image in offered.items()],
            "size": [(name, name) for name in known],
        },
    )
    image, size = offered.get(chosen["image"]), known.get(chosen["size"])
    verdicts = placement.verdicts(work, pool, wanted(image, size)) if image and size else []
    return {
        "page": PlacementPage(
            title=f"Placement in {pool.name}",
            section="hosts",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            form=form,
            verdicts=sorted(verdicts, key=lambda v: (not v.fits, -v.score, v.candidate.host_id)),
            rules=RULES,
            change=smallest_change(verdicts),
            call=Call(
                "GET",
                f"/pools/{pool.id}/placement?image_id={chosen['image']}&size={chosen['size']}",
                command=shell(
                    "ovc pools placement", pool.name,
                    image=image.name if image else None, size=chosen["size"],
                ),
            ),
            back=request.route_path("pool", id=pool.id),
            name=pool.name,
        )
    }  # fmt: skip


def wanted(image: Any, size: Any) -> Wanted:
    return Wanted(
        vcpus=size.vcpus,
        memory=size.memory,
        storage=max(size.storage, image.size),
        image_id=image.id,
        image=image.name,
    )

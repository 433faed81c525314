"""Editing a machine, its lease, and the bin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.errors import InvalidInput
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import care, machine_edits, machine_lists
from ovcadmin.services.machine_edits import Edit
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, choice, count, flag, in_turn, name, text, version
from ovcadmin.views.leases import ENDS
from ovcadmin.views.machine_tables import verbs
from ovcadmin.views.pages import Empty, Page, crumbs
from ovcadmin.views.snapshots import FormPage
from ovcadmin.views.tables import whole_number

MOMENT = "%Y-%m-%d %H:%M"


class EditedMachine(colander.Schema):
    name = name(hint="Unique in its pool.")
    description = text("Description", kind="textarea", longest=2000, missing="")
    owner = text("Owner", longest=300, hint="As name@realm; another one needs “modify”.")
    locked = flag(
        "Protect it", hint="Nobody deletes it, no lease ends it, until this is taken away."
    )
    keep_running = flag(
        "Keep it running",
        hint="It is started again when it stopped without having been asked to here; after five "
        "times within ten minutes it is left alone.",
    )
    shutdown_seconds = count(
        "Seconds to shut down", missing=0, hint="0 for the console's own setting."
    )
    version = version()


class Lease(colander.Schema):
    run_until = text(
        "May run until",
        longest=20,
        missing="",
        hint="In UTC, such as 2027-01-31 18:00; empty for no end.",
    )
    run_end = choice("And then")
    keep_until = text(
        "Is kept until",
        longest=20,
        missing="",
        hint="Then it is powered off and goes into the bin; empty for no end.",
    )


@dataclass(frozen=True, kw_only=True)
class BinPage(Page):
    rows: Any
    total: int
    days: int
    verbs: Any
    empty: Empty


@view_config(
    route_name="machine_edit",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.CREATE,
)
def edit(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    form = Form(
        EditedMachine(),
        {
            "name": machine.name,
            "description": machine.description,
            "owner": machine_edits.owner_of(machine),
            "locked": "yes" if machine.locked else "",
            "keep_running": "yes" if machine.keep_running else "",
            "shutdown_seconds": machine.shutdown_seconds or 0,
            "version": machine.version,
        },
    )

    def save(values: dict[str, Any]) -> Done:
        seen = values.pop("version")
        machine_edits.edit(request.work, machine, Edit(**values), seen)
        return Done(
            text=f"{machine.name} is saved.", path=request.route_path("machine", id=machine.id)
        )

    return form.submit(request, save) or {
        "page": _page(
            request, context, form, f"Edit {machine.name}", "Save",
            Call("PATCH", f"/machines/{machine.id}",
                 {"name": form["name"].value, "locked": bool(form["locked"].value)},
                 shell("ovc machines edit", machine.name, rename=form["name"].value)),
        )
    }  # fmt: skip


@view_config(
    route_name="machine_lease",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.CREATE,
)
def lease(context: Any, request: Any) -> dict[str, Any] | Response:
    in_turn(request)
    machine = context.machine
    form = Form(
        Lease(),
        {
            "run_until": _written(machine.run_until),
            "run_end": machine.run_end,
            "keep_until": _written(machine.keep_until),
        },
        choices={"run_end": ENDS},
        as_seen=True,
    )

    def save(values: dict[str, Any]) -> Done:
        care.lease(
            request.work,
            machine,
            run_until=_read("run_until", values["run_until"]),
            run_end=values["run_end"],
            keep_until=_read("keep_until", values["keep_until"]),
        )
        return Done(
            text=f"The lease of {machine.name} is set.",
            path=request.route_path("machine", id=machine.id),
        )

    body = {"run_until": form["run_until"].value or None, "keep_until": None}
    return form.submit(request, save) or {
        "page": _page(
            request, context, form, f"Lease of {machine.name}", "Set the lease",
            Call("PUT", f"/machines/{machine.id}/lease", body,
                 shell("ovc machines lease", machine.name, run_until=body["run_until"] or "never")),
        )
    }  # fmt: skip


@view_config(
    route_name="machines_bin",
    request_method="GET",
    renderer="machines/bin.pt",
    permission=SIGNED_IN,
)
def bin_(request: Any) -> dict[str, Any]:
    found = machine_lists.listing(
        request.work,
        machine_lists.Filter(binned=True, page=whole_number(request.GET.get("page", ""), 1)),
    )
    page = BinPage(
        title="Bin",
        section="machines",
        rows=found.rows,
        total=found.total,
        days=request.settings.bin_days,
        verbs=verbs(request.context.privileges, binned=True),
        empty=Empty(
            why="The bin is empty.",
            step="Machines",
            url=request.route_path("machines"),
        ),
    )
    return {"page": page}


def _page(request: Any, context: Any, form: Form, title: str, button: str, call: Call) -> FormPage:
    return FormPage(
        title=title,
        section="machines",
        crumbs=crumbs(request, context.pool),
        pool_id=context.pool.id,
        form=form,
        button=button,
        back=request.route_path("machine", id=context.machine.id),
        back_label=context.machine.name,
        call=call,
    )


def _written(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime(MOMENT)


def _read(name: str, text: str) -> datetime | None:
    """Read a moment; a day alone means its end."""
    if not text.strip():
        return None
    for shape in (MOMENT, "%Y-%m-%d"):
        try:
            found = datetime.strptime(text.strip(), shape).replace(tzinfo=UTC)
        except ValueError:
            continue
        return found if shape == MOMENT else found.replace(hour=23, minute=59)
    told = {name: "Write it as 2027-01-31 18:00, in UTC."}
    raise InvalidInput("The lease is not set.", fields=told)

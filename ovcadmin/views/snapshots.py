"""Snapshots of a machine: the list, taking one, going back to one, deleting one, the schedule."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.amounts import show_storage
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import snapshot_schedules, snapshots
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, count, text
from ovcadmin.views.machines import MachinePage
from ovcadmin.views.pages import Page, crumbs
from ovcadmin.work import Work


class NewSnapshot(colander.Schema):
    name = text("Name", longest=100, hint="Such as “before the update”; names may repeat.")


class Nothing(colander.Schema):
    """The button is all."""


class Schedule(colander.Schema):
    times = text(
        "When",
        longest=100,
        hint="hourly, daily, weekly, monthly, or five fields as in cron: "
        "minute, hour, day, month, weekday, in UTC. 0 2 * * 1-5 is every working day at 02:00.",
    )
    keep = count("Keep", hint="So many of them stay, the oldest go first; 0 makes none here.")


@dataclass(frozen=True, kw_only=True)
class FormPage(Page):
    """A form about a machine or pool: what is asked, what will be lost, the way back."""

    form: Form
    button: str
    back: str
    back_label: str
    call: Call
    hint: str = ""
    lost: Sequence[str] = ()
    danger: bool = False
    remove: str = ""
    """Where a button posts that takes away what is set."""


@view_config(
    route_name="machine_snapshots",
    request_method="GET",
    renderer="machines/snapshots.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="machine_fragment",
    request_method="GET",
    match_param="part=snapshots",
    renderer="machines/snapshot_rows.pt",
    permission=Privilege.VIEW,
)
def listing(context: Any, request: Any) -> dict[str, Any]:
    return _shown(context, request, Form(NewSnapshot()))


@view_config(
    route_name="machine_snapshots",
    request_method="POST",
    renderer="machines/snapshots.pt",
    permission=Privilege.CONTROL,
)
def take(context: Any, request: Any) -> dict[str, Any] | Response:
    form = Form(NewSnapshot())

    def save(values: dict[str, str]) -> Done:
        operation = snapshots.take(request.work, context.machine, values["name"])
        return Done(
            text=f"{operation.title}: accepted.",
            path=request.route_path("machine_snapshots", id=context.machine.id),
            href=request.route_path("operation", id=operation.id),
        )

    return form.submit(request, save) or _shown(context, request, form)


@view_config(
    route_name="snapshot_roll_back",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.CONTROL,
)
def roll_back(context: Any, request: Any) -> dict[str, Any] | Response:
    snapshot, machine = context.snapshot, context.machine
    form = Form(Nothing())
    return _asked(request, form, snapshots.roll_back, snapshot) or {
        "page": _form_page(
            request, context, form,
            title=f"Roll {machine.name} back to {snapshot.name}",
            button="Roll back",
            danger=True,
            hint="The machine must be off. The snapshot itself stays.",
            lost=_lost_by_rolling_back(request.work, snapshot),
            call=Call("POST", f"/snapshots/{snapshot.id}/roll-back", {},
                      shell("ovc snapshots rollback", snapshot.id)),
        )
    }  # fmt: skip


@view_config(
    route_name="snapshot_delete",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.CONTROL,
)
def delete(context: Any, request: Any) -> dict[str, Any] | Response:
    snapshot = context.snapshot
    form = Form(Nothing())
    return _asked(request, form, snapshots.delete, snapshot) or {
        "page": _form_page(
            request, context, form,
            title=f"Delete the snapshot {snapshot.name}",
            button="Delete the snapshot",
            danger=True,
            lost=[_lost_by_deleting(snapshot)],
            call=Call("DELETE", f"/snapshots/{snapshot.id}", {},
                      shell("ovc snapshots delete", snapshot.id)),
        )
    }  # fmt: skip


@view_config(
    route_name="machine_snapshot_schedule",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.CONTROL,
)
def machine_schedule(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    back = request.route_path("machine_snapshots", id=machine.id)
    return _schedule(context, request, machine, back, f"/machines/{machine.id}")


@view_config(
    route_name="pool_snapshot_schedule",
    request_method=("GET", "POST"),
    renderer="machines/form.pt",
    permission=Privilege.MODIFY,
)
def pool_schedule(context: Any, request: Any) -> dict[str, Any] | Response:
    pool = context.pool
    back = request.route_path("pool", id=pool.id)
    return _schedule(context, request, pool, back, f"/pools/{pool.id}")


def _schedule(
    context: Any, request: Any, thing: Any, back: str, path: str
) -> dict[str, Any] | Response:
    if request.method == "POST" and "remove" in request.POST:
        snapshot_schedules.remove(request.work, thing)
        request.flash(f"{thing.name} has no schedule of its own any more.")
        return HTTPSeeOther(back)
    own = snapshot_schedules.of(request.work, thing)
    form = Form(
        Schedule(), {"times": own.times if own else "daily", "keep": own.keep if own else 7}
    )

    def save(values: dict[str, Any]) -> Done:
        row = snapshot_schedules.put(request.work, thing, **values)
        next_at = row.next_at.strftime("%Y-%m-%d %H:%M UTC")
        return Done(text=f"The next snapshot is made at {next_at}.", path=back)

    keep = form["keep"].value
    body = {"times": form["times"].value, "keep": int(keep) if keep.isdigit() else 7}
    return form.submit(request, save) or {
        "page": FormPage(
            title=f"Scheduled snapshots of {thing.name}",
            section=f"{_word(context)}s",
            crumbs=crumbs(request, context.pool),
            pool_id=context.pool.id,
            form=form,
            button="Set the schedule",
            back=back,
            back_label=thing.name,
            call=Call(
                "PUT",
                f"{path}/snapshot-schedule",
                body,
                shell("ovc snapshots schedule", **{_word(context): thing.name}, **body),
            ),
            hint="The nearest schedule counts: the machine's own, else its pool's, else that of "
            "the pool above. Only snapshots that a schedule made are deleted by it.",
            remove=request.path if own is not None else "",
        )
    }


def _word(context: Any) -> str:
    return "machine" if hasattr(context, "machine") else "pool"


def _asked(request: Any, form: Form, ask: Any, snapshot: Any) -> Response | None:
    def save(_values: dict[str, str]) -> Done:
        operation = ask(request.work, snapshot)
        return Done(
            text=f"{operation.title}: accepted.",
            path=request.route_path("machine_snapshots", id=snapshot.machine_id),
            href=request.route_path("operation", id=operation.id),
        )

    return form.submit(request, save)


def _form_page(request: Any, context: Any, form: Form, **more: Any) -> FormPage:
    return FormPage(
        section="machines",
        crumbs=crumbs(request, context.pool),
        pool_id=context.pool.id,
        form=form,
        back=request.route_path("machine_snapshots", id=context.machine.id),
        back_label="the snapshots",
        **more,
    )


def _shown(context: Any, request: Any, form: Form) -> dict[str, Any]:
    machine, work = context.machine, request.work
    name = form["name"].value or "before the update"
    return {
        "page": MachinePage.of(context, request, "snapshots"),
        "rows": snapshots.listing(work, machine),
        "schedule": snapshot_schedules.effective(work, machine),
        "form": form,
        "call": Call(
            "POST",
            f"/machines/{machine.id}/snapshots",
            {"name": name},
            f"{shell('ovc snapshots take', machine.name)} --as {shlex.quote(name)}",
        ),
    }


def _lost_by_deleting(snapshot: Any) -> str:
    return (
        f"The snapshot {snapshot.name} of {_moment(snapshot)}: "
        f"{show_storage(snapshot.size)} of disks as they were"
    )


def _lost_by_rolling_back(work: Work, snapshot: Any) -> list[str]:
    moment = _moment(snapshot)
    lost = [
        f"All that was written to disk {part.volume.target} since {moment}"
        for part in snapshot.parts
    ]
    lost += [
        f"The snapshot {row.name} of {_moment(row)}: the storage keeps none that is later"
        for row in snapshots.removed_by(work, snapshot)
    ]
    lost += [
        f"Nothing on disk {volume.target}: it came later and stays as it is"
        for volume in snapshots.not_in(snapshot)
    ]
    return lost


def _moment(snapshot: Any) -> str:
    at = snapshot.taken_at or snapshot.created_at
    return str(at.strftime("%Y-%m-%d %H:%M:%S UTC"))

"""Recordings of consoles: the list, the player, masks, sharing, deletion; the policy of a pool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.errors import InvalidInput
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import console_policies, recordings
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, count, flag, text
from ovcadmin.views.pages import Crumb, Empty, Page, crumbs
from ovcadmin.views.snapshots import FormPage
from ovcadmin.views.tables import address, whole_number

PAGE = 50


class Policy(colander.Schema):
    records = flag(
        "Record consoles",
        hint="What serial consoles, screens and shells of hosts show, from their next opening on. "
        "Whoever opens one is told.",
    )
    keys = flag("Keep what is typed, too", hint="Passwords are typed: leave it off if you can.")
    keep_days = count("Days to keep a recording")


class Range(colander.Schema):
    begin = text("From second", longest=12)
    end = text("To second", longest=12)


@dataclass(frozen=True, kw_only=True)
class RecordingsPage(Page):
    rows: Sequence[Any]
    older: str
    """Address of the next, older page."""
    empty: Empty


@dataclass(frozen=True, kw_only=True)
class RecordingPage(Page):
    recording: Any
    is_text: bool
    may_change: bool
    form: Form
    call: Call


@view_config(
    route_name="recordings", request_method="GET", renderer="recordings/list.pt",
    permission=SIGNED_IN,
)  # fmt: skip
def listing(request: Any) -> dict[str, Any]:
    number = {
        name: whole_number(request.GET.get(name, ""), 0) or None
        for name in ("machine", "host", "pool", "before")
    }
    wanted = recordings.Filter(
        machine_id=number["machine"],
        host_id=number["host"],
        pool_id=number["pool"],
        before=number["before"],
        limit=PAGE + 1,
    )
    found = recordings.listing(request.work, wanted)
    path = request.route_path("recordings")
    return {
        "page": RecordingsPage(
            title="Recordings",
            section="machines",
            rows=found[:PAGE],
            older=address(request, path, before=found[PAGE - 1].id) if len(found) > PAGE else "",
            empty=Empty(
                why="There is no recording here that you may look at.",
                more="Consoles are recorded where the policy of their pool says so.",
            ),
        )
    }


@view_config(
    route_name="recording", request_method="GET", renderer="recordings/recording.pt",
    permission=Privilege.VIEW,
)  # fmt: skip
def show(context: Any, request: Any) -> dict[str, Any]:
    return {"page": _page(context, request, Form(Range()))}


@view_config(route_name="recording_content", request_method="GET", permission=Privilege.VIEW)
def content(context: Any, request: Any) -> Response:
    recording = context.recording
    with request.work_apart(write=True) as work:
        head = recordings.look(work, work.db.get_one(type(recording), recording.id))
    is_text = recording.kind in recordings.TEXT
    answer = Response(content_type="application/x-asciicast" if is_text else "application/x-fbs")
    ending = "cast" if is_text else "fbs"
    answer.content_disposition = f'attachment; filename="recording-{recording.id}.{ending}"'
    answer.cache_control = "no-store"
    answer.app_iter = _bytes(request, recording.id, head)
    return answer


def _bytes(request: Any, recording_id: int, head: bytes) -> Iterator[bytes]:
    """Yield the file part by part, each in a transaction of its own."""
    yield head
    number = 0
    while True:
        with request.work_apart(write=False) as work:
            found = recordings.following(work, recording_id, number)
        if found is None:
            return
        number, data = found
        yield data


@view_config(
    route_name="recording_mask", request_method="POST", renderer="recordings/recording.pt",
    permission=Privilege.MODIFY,
)  # fmt: skip
def mask(context: Any, request: Any) -> dict[str, Any] | Response:
    form = Form(Range())

    def save(values: dict[str, str]) -> Done:
        begin, end = (_seconds(name, values[name]) for name in ("begin", "end"))
        recordings.mask(request.work, context.recording, begin=begin, end=end)
        path = request.route_path("recording", id=context.recording.id)
        return Done(text="It is taken out for good.", path=path)

    return form.submit(request, save) or {"page": _page(context, request, form)}


@view_config(route_name="recording_share", request_method="POST", permission=Privilege.MODIFY)
def share(context: Any, request: Any) -> Response:
    shared = request.POST.get("shared") == "yes"
    recordings.share(request.work, context.recording, shared=shared)
    request.flash(
        f"All who see {context.pool.name} may look at it now."
        if shared
        else "It is shared no longer."
    )
    return HTTPSeeOther(request.route_path("recording", id=context.recording.id))


@view_config(route_name="recording_delete", request_method="POST", permission=Privilege.MODIFY)
def delete(context: Any, request: Any) -> Response:
    recordings.remove(request.work, context.recording)
    request.flash("The recording is deleted.")
    return HTTPSeeOther(request.route_path("recordings"))


@view_config(
    route_name="pool_console_policy", request_method=("GET", "POST"), renderer="machines/form.pt",
    permission=Privilege.MODIFY,
)  # fmt: skip
def policy(context: Any, request: Any) -> dict[str, Any] | Response:
    pool, back = context.pool, request.route_path("pool", id=context.pool.id)
    if request.method == "POST" and "remove" in request.POST:
        console_policies.remove(request.work, pool)
        request.flash(f"{pool.name} has no policy of its own any more.")
        return HTTPSeeOther(back)
    own = console_policies.of(request.work, pool)
    form = Form(
        Policy(),
        {
            "records": "yes" if own and own.records else "",
            "keys": "yes" if own and own.keys else "",
            "keep_days": own.keep_days if own else console_policies.KEEP_DAYS,
        },
    )

    def save(values: dict[str, Any]) -> Done:
        row = console_policies.put(request.work, pool, **values)
        word = f"recorded and kept for {row.keep_days} days" if row.records else "not recorded"
        return Done(text=f"Consoles in {pool.name} are {word}.", path=back)

    return form.submit(request, save) or {
        "page": FormPage(
            title=f"Recording of consoles in {pool.name}",
            section="pools",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            form=form,
            button="Set the policy",
            back=back,
            back_label=pool.name,
            call=_policy_call(pool, form),
            hint="The nearest policy counts: the pool's own, else that of the pool above. Without "
            "any, nothing is recorded.",
            remove=request.path if own is not None else "",
        )
    }  # fmt: skip


def _policy_call(pool: Any, form: Form) -> Call:
    """Return what the form asks, as a call and as a command."""
    days = form["keep_days"].value
    records, keys = bool(form["records"].value), bool(form["keys"].value)
    keep = int(days) if days.isdigit() else console_policies.KEEP_DAYS
    return Call(
        "PUT",
        f"/pools/{pool.id}/console-policy",
        {"records": records, "keys": keys, "keep_days": keep},
        shell(
            "ovc recordings policy", pool.name, keep_days=keep, keys=keys,
            **{"on" if records else "off": True},
        ),
    )  # fmt: skip


def _page(context: Any, request: Any, form: Form) -> RecordingPage:
    recording = context.recording
    return RecordingPage(
        title=f"Recording of {recording.title}",
        section="machines",
        crumbs=[
            *crumbs(request, context.pool),
            Crumb(label="Recordings", url=request.route_path("recordings")),
        ],
        pool_id=context.pool.id,
        recording=recording,
        is_text=recording.kind in recordings.TEXT,
        may_change=Privilege.MODIFY in context.privileges,
        form=form,
        call=Call(
            "POST",
            f"/recordings/{recording.id}/mask",
            {"begin": 12.5, "end": 14},
            f"ovc recordings mask {recording.id} --from 12.5 --to 14",
        ),
    )


def _seconds(name: str, typed: str) -> float:
    try:
        return float(typed)
    except ValueError:
        told = {name: "Write seconds, such as 12.5."}
        raise InvalidInput("Nothing was masked.", fields=told) from None

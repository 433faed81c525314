"""Requests for a higher limit: asking, the inbox of who decides, and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain import amounts
from ovcadmin.domain.quota import phrase
from ovcadmin.domain.resources import NAMES
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import quota_requests
from ovcadmin.services.quota_requests import LONGEST, Effect
from ovcadmin.views.bars import LABELS
from ovcadmin.views.forms import Done, Form, amount, count, text
from ovcadmin.views.pages import Empty, Page, crumbs

WORDS = {
    "open": "open",
    "approved": "approved",
    "declined": "declined",
    "withdrawn": "withdrawn",
}


class Asked(colander.Schema):
    """What the button of a refusal sends: the level and what is short there, in plain counts."""

    level = count("Level", kind="hidden")
    vcpus = count("vCPUs", kind="hidden", missing=0)
    memory = count("Memory", kind="hidden", missing=0)
    nics = count("NICs", kind="hidden", missing=0)
    machines = count("Machines", kind="hidden", missing=0)
    redundancy = count("Protected", kind="hidden", missing=0)
    storage = count("Storage", kind="hidden", missing=0)
    note = text("Note", kind="textarea", longest=LONGEST, missing="", hint="What it is needed for.")


class Declined(colander.Schema):
    reason = text("Reason", longest=LONGEST, hint="The requester reads it.")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A request as a list shows it."""

    request: Any
    wanted: str
    granted: str

    @classmethod
    def of(cls, request: Any) -> Line:
        return cls(
            request=request, wanted=_amounts(request.amounts), granted=_amounts(request.granted)
        )

    @property
    def unseen(self) -> bool:
        answered = self.request.state in ("approved", "declined")
        return answered and self.request.seen_at is None


def _amounts(given: dict[str, Any]) -> str:
    """Write amounts, or limits: None is no limit."""
    return ", ".join(
        f"{LABELS[name]} without limit" if given[name] is None else phrase(name, given[name])
        for name in NAMES
        if name in given
    )


@dataclass(frozen=True, kw_only=True)
class RequestsPage(Page):
    inbox: Sequence[Line]
    own: Sequence[Line]
    decided: Sequence[Line]
    decides: bool
    empty: Empty


@dataclass(frozen=True, kw_only=True)
class AskPage(Page):
    pool: Any
    form: Form


@dataclass(frozen=True, kw_only=True)
class RequestPage(Page):
    line: Line
    own: bool
    decides: bool
    form: Form
    """The limits to be set."""
    no: Form
    effects: Sequence[Effect]
    labels: dict[str, str]


@view_config(
    route_name="quota_requests",
    request_method="GET",
    renderer="quota_requests/list.pt",
    permission=SIGNED_IN,
)
def listing(request: Any) -> dict[str, Any]:
    work = request.work
    page = RequestsPage(
        title="Requests",
        section="quota_requests",
        inbox=[Line.of(row) for row in quota_requests.inbox(work)],
        own=[Line.of(row) for row in quota_requests.own(work)],
        decided=[Line.of(row) for row in quota_requests.decided(work)],
        decides=Privilege.SET_QUOTA in request.context.privileges,
        empty=Empty(
            why="You asked for nothing.",
            more="Where a quota refuses something, its owner can be asked for more on the spot.",
        ),
    )
    return {"page": page}


@view_config(
    route_name="quota_request_new",
    request_method=("GET", "POST"),
    renderer="quota_requests/new.pt",
    permission=Privilege.CONTROL,
)
def ask(context: Any, request: Any) -> dict[str, Any] | Response:
    form = Form(Asked(), {name: request.GET.get(name) for name in ("level", *NAMES)})

    def save(values: dict[str, Any]) -> Done:
        wanted = {name: values[name] for name in NAMES if values[name]}
        made = quota_requests.ask(
            request.work, context.pool, values["level"], wanted, values["note"]
        )
        return Done(
            text=f"The owner of {made.pool.name} is asked for {_amounts(wanted)} more.",
            path=request.route_path("quota_requests"),
        )

    return form.submit(request, save) or {
        "page": AskPage(
            title="Ask for more quota",
            section="quota_requests",
            crumbs=crumbs(request, context.pool),
            pool_id=context.pool.id,
            pool=context.pool,
            form=form,
        )
    }


@view_config(
    route_name="quota_request",
    request_method="GET",
    renderer="quota_requests/one.pt",
    permission=Privilege.VIEW,
)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _page(context, request)


@view_config(
    route_name="quota_request_approve",
    request_method="POST",
    renderer="quota_requests/one.pt",
    permission=Privilege.SET_QUOTA,
)
def approve(context: Any, request: Any) -> dict[str, Any] | Response:
    """Set the limits; with `check` only show what they would mean."""
    asked, form = context.quota_request, _limits_form(context.quota_request)
    if "check" in request.POST:
        form.validate(request)
        return _page(context, request, form=form)

    def save(values: dict[str, Any]) -> Done:
        limits = {name: values[name] for name in asked.amounts}
        quota_requests.approve(request.work, asked, limits, values["reason"])
        return Done(
            text=f"The quota of {asked.pool.name} is raised; {asked.user.label} is told.",
            path=request.route_path("quota_requests"),
        )

    return form.submit(request, save) or _page(context, request, form=form)


@view_config(
    route_name="quota_request_decline",
    request_method="POST",
    renderer="quota_requests/one.pt",
    permission=Privilege.SET_QUOTA,
)
def decline(context: Any, request: Any) -> dict[str, Any] | Response:
    form = Form(Declined())

    def save(values: dict[str, Any]) -> Done:
        quota_requests.decline(request.work, context.quota_request, values["reason"])
        return Done(
            text=f"Declined; {context.quota_request.user.label} is told why.",
            path=request.route_path("quota_requests"),
        )

    return form.submit(request, save) or _page(context, request, no=form)


@view_config(route_name="quota_request_withdraw", request_method="POST", permission=Privilege.VIEW)
def withdraw(context: Any, request: Any) -> Response:
    quota_requests.withdraw(request.work, context.quota_request)
    request.flash("The request is withdrawn.")
    return HTTPSeeOther(request.route_path("quota_requests"))


@view_config(route_name="quota_request_seen", request_method="POST", permission=Privilege.VIEW)
def seen(context: Any, request: Any) -> Response:
    quota_requests.see(request.work, context.quota_request)
    return HTTPSeeOther(request.route_path("quota_requests"))


def _limits_form(asked: Any) -> Form:
    """Make the form of the limits that were asked for, with what would be just enough."""
    schema = colander.Schema()
    for name in NAMES:
        if name in asked.amounts:
            now = getattr(asked.pool.limits, name)
            hint = f"now {'no limit' if now is None else amounts.show(name, now)}"
            node = amount(f"New limit: {LABELS[name]}", name, name=name, missing=None, hint=hint)
            schema.add(node)
    schema.add(
        text("Answer", name="reason", longest=LONGEST, missing="", hint="The requester reads it.")
    )
    proposed = quota_requests.proposal(asked)
    return Form(schema, {name: amounts.write(name, limit) for name, limit in proposed.items()})


def _page(
    context: Any, request: Any, *, form: Form | None = None, no: Form | None = None
) -> dict[str, Any]:
    asked = context.quota_request
    shown = form or _limits_form(asked)
    decides = Privilege.SET_QUOTA in context.privileges and asked.state == "open"
    page = RequestPage(
        title=f"More quota for {asked.pool.name}",
        section="quota_requests",
        line=Line.of(asked),
        own=context.own,
        decides=decides,
        form=shown,
        no=no or Form(Declined()),
        effects=_effects(request, asked, shown) if decides else (),
        labels=LABELS,
    )
    return {"page": page}


def _effects(request: Any, asked: Any, form: Form) -> list[Effect]:
    new: dict[str, int | None] = {}
    for name in asked.amounts:
        try:
            new[name] = amounts.read(name, form[name].value) if form[name].value else None
        except ValueError:
            return []
    return quota_requests.effects(request.work, asked.pool, new)

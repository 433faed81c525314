"""Lending an amount of a pool's limit to a sibling, and giving it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain import amounts
from ovcadmin.domain.quota import phrase
from ovcadmin.domain.resources import NAMES
from ovcadmin.errors import DomainError, InvalidInput
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import loans
from ovcadmin.services.limit_changes import Lowering
from ovcadmin.services.loans import Terms
from ovcadmin.views import lowerings
from ovcadmin.views.bars import LABELS
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, choice, count, text
from ovcadmin.views.pages import Page, crumbs


class Lending(colander.Schema):
    to = choice("To", hint="A sibling that you may see.")
    resource = choice("What")
    amount = text("How much", longest=40, hint="Such as 4, 8 GiB or 200 GB.")
    until = text("Until", longest=10, hint="The last day of the loan, such as 2027-01-31.")
    grace_days = count(
        "Days of grace",
        missing=0,
        hint="So long the borrower keeps what it still uses when the loan ends.",
    )
    note = text("Note", longest=500, missing="")


@dataclass(frozen=True, kw_only=True)
class LendPage(Page):
    pool: Any
    form: Form
    siblings: bool
    """Whether there is anybody to lend to."""
    call: Any = None
    lowering: Lowering | None = None
    """What the loan would take away: asked once more before it is made."""


@view_config(
    route_name="pool_lend",
    request_method=("GET", "POST"),
    renderer="pools/lend.pt",
    permission=Privilege.SET_QUOTA,
)
def lend(context: Any, request: Any) -> dict[str, Any] | Response:
    pool = context.pool
    known = {str(one.id): one for one in loans.siblings(request.work, pool)}
    form = Form(
        Lending(),
        choices={
            "to": [(number, one.name) for number, one in known.items()],
            "resource": [(name, LABELS[name]) for name in NAMES],
        },
    )

    def look(values: dict[str, Any]) -> Lowering:
        return loans.lowering(request.work, pool, known[values["to"]], _terms(values))

    def save(values: dict[str, Any]) -> Done:
        loan = loans.lend(request.work, pool, known[values["to"]], _terms(values))
        size = phrase(loan.resource, loan.amount)
        return Done(
            text=f"{pool.name} lends {size} to {loan.borrower.name}.",
            path=request.route_path("pool", id=pool.id),
        )

    lowering = lowerings.unconfirmed(request, form, look)
    done = form.submit(request, save) if lowering is None else None
    return done or {
        "page": LendPage(
            title=f"Lend from {pool.name}",
            section="pools",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            pool=pool,
            form=form,
            siblings=bool(known),
            lowering=lowering,
            call=_call(pool, form, known),
        )
    }


def _terms(values: dict[str, Any]) -> Terms:
    """Read what was typed; raises `InvalidInput` with all that is wrong with it."""
    amount, until = _amount(values["resource"], values["amount"]), _last_moment(values["until"])
    if isinstance(amount, str) or isinstance(until, str):
        told = {"amount": amount, "until": until}
        bad = {name: text for name, text in told.items() if isinstance(text, str)}
        raise InvalidInput("Nothing was lent.", fields=bad)
    return Terms(
        resource=values["resource"],
        amount=amount,
        until=until,
        grace_days=values["grace_days"],
        note=values["note"],
    )


def _call(pool: Any, form: Form, known: dict[str, Any]) -> Call:
    """Write the loan that was typed, else one as an example."""
    to, day = form["to"].value or next(iter(known), ""), form["until"].value or "2027-01-31"
    resource, size = form["resource"].value or "vcpus", form["amount"].value or "4"
    try:
        amount = amounts.read(resource, size)
    except ValueError:
        amount = 4
    return Call(
        "POST",
        f"/pools/{pool.id}/loans",
        {"borrower_id": int(to) if to in known else 7, "resource": resource, "amount": amount,
         "until": day},
        shell("ovc loans lend", pool.name, to=known[to].name if to in known else "Shop",
              resource=resource, amount=size, until=day),
    )  # fmt: skip


@view_config(route_name="loan_return", request_method="POST", permission=Privilege.SET_QUOTA)
def give_back(context: Any, request: Any) -> Response:
    try:
        with request.db.begin_nested():
            loans.give_back(request.work, context.loan)
            request.flash("It went back.")
    except DomainError as error:
        request.flash(error.text, kind="error", code=error.code)
    return HTTPSeeOther(request.route_path("pool", id=context.loan.borrower_id))


def _amount(resource: str, typed: str) -> int | str:
    """Return the amount, or what is wrong with it."""
    try:
        return amounts.read(resource, typed)
    except ValueError as error:
        return str(error)


def _last_moment(typed: str) -> datetime | str:
    """Return the end of the day, or what is wrong with it."""
    try:
        day = datetime.strptime(typed.strip(), "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        return "Write the day as year-month-day, such as 2027-01-31."
    return datetime.combine(day, time(23, 59, 59), UTC)

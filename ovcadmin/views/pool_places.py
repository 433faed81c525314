"""The place and the state of a pool: moving it, freezing and retiring it; moving a machine.

A move is shown before it is made: what it reaches, who gains or loses, what could no longer start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.errors import InvalidInput
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import pool_moves, pool_states, pools
from ovcadmin.services.pool_moves import Impact
from ovcadmin.views.forms import Done, Form, choice
from ovcadmin.views.pages import Page, crumbs
from ovcadmin.views.refusals import Block

NAMED = 20
"""So many are named; of the rest the number is told."""


class Place(colander.Schema):
    to = choice("New place")


@dataclass(frozen=True, kw_only=True)
class MovePage(Page):
    name: str
    back: str
    form: Form
    target: Any
    """The pool that is looked at, None before one is chosen."""
    impact: Impact | None
    blocks: Sequence[Block]
    see_grants: bool


@dataclass(frozen=True, kw_only=True)
class Verb:
    action: str
    label: str
    text: str
    danger: bool = False


@dataclass(frozen=True, kw_only=True)
class StatePage(Page):
    pool: Any
    form: Form
    verbs: Sequence[Verb]
    closed_by: Any
    """The pool above that keeps it closed, if any."""
    running: int
    stopped: Sequence[Any]


ACTIONS: dict[str, tuple[Callable[[Any, Any], None], Verb]] = {
    "freeze": (
        pool_states.freeze,
        Verb(
            action="freeze",
            label="Freeze",
            text="Nothing new is made or started in it or below; what runs goes on.",
        ),
    ),
    "unfreeze": (
        pool_states.thaw,
        Verb(action="unfreeze", label="Unfreeze", text="Machines can be made and started again."),
    ),
    "retire": (
        pool_states.retire,
        Verb(
            action="retire",
            label="Retire",
            text="It is frozen and left out of lists; its machines and reports stay. It can be "
            "brought back.",
            danger=True,
        ),
    ),
    "bring_back": (
        pool_states.bring_back,
        Verb(action="bring_back", label="Bring back", text="It is in the lists again."),
    ),
}


@view_config(
    route_name="pool_move",
    request_method=("GET", "POST"),
    renderer="pools/move.pt",
    permission=Privilege.MODIFY,
)
def move(context: Any, request: Any) -> dict[str, Any] | Response:
    pool = context.pool
    offered = [] if pool.is_root else pool_moves.targets(request.work, pool)

    def save(target: Any) -> Done:
        pool_moves.move(request.work, pool, target)
        path = request.route_path("pool", id=pool.id)
        return Done(text=f"{pool.name} is in {target.name} now.", path=path)

    return _move(
        request,
        offered,
        save,
        look=lambda target: pool_moves.impact(request.work, pool, target),
        page={
            "title": f"Move {pool.name}",
            "section": "pools",
            "crumbs": crumbs(request, pool),
            "pool_id": pool.id,
            "name": pool.name,
            "back": request.route_path("pool", id=pool.id),
        },
    )


@view_config(
    route_name="machine_move",
    request_method=("GET", "POST"),
    renderer="pools/move.pt",
    permission=Privilege.MODIFY,
)
def move_machine(context: Any, request: Any) -> dict[str, Any] | Response:
    machine = context.machine
    offered = pool_moves.machine_targets(request.work, machine)

    def save(target: Any) -> Done:
        pool_moves.move_machine(request.work, machine, target)
        path = request.route_path("machine", id=machine.id)
        return Done(text=f"{machine.name} is in {target.name} now.", path=path)

    return _move(
        request,
        offered,
        save,
        look=lambda target: pool_moves.machine_impact(request.work, machine, target),
        page={
            "title": f"Move {machine.name} to another pool",
            "section": "machines",
            "crumbs": crumbs(request, context.pool),
            "pool_id": machine.pool_id,
            "name": machine.name,
            "back": request.route_path("machine", id=machine.id),
        },
    )


def _move(
    request: Any,
    offered: Sequence[Any],
    save: Callable[[Any], Done],
    *,
    look: Callable[[Any], Impact],
    page: dict[str, Any],
) -> dict[str, Any] | Response:
    """Show the choice, then what it would mean, and move when that was confirmed."""
    known = {str(pool.id): pool for pool in offered}
    form = Form(
        Place(),
        {"to": request.GET.get("to")},
        choices={"to": [(number, _way(request, pool)) for number, pool in known.items()]},
    )
    if "confirmed" in request.POST:
        done = form.submit(request, lambda values: save(known[values["to"]]))
        if done is not None:
            return done
    elif request.method == "POST":
        form.validate(request)
    target = known.get(form["to"].value)
    impact = look(target) if target is not None else None
    return {
        "page": MovePage(
            form=form,
            target=target,
            impact=impact,
            blocks=[Block.of(block.as_dict()) for block in impact.blocks] if impact else (),
            see_grants=Privilege.SEE_GRANTS in request.context.privileges,
            **page,
        )
    }


def _way(request: Any, pool: Any) -> str:
    return " / ".join(step.name for step in pools.lineage(request.work, pool))


@view_config(
    route_name="pool_state",
    request_method=("GET", "POST"),
    renderer="pools/state.pt",
    permission=Privilege.MODIFY,
)
def state(context: Any, request: Any) -> dict[str, Any] | Response:
    pool, form = context.pool, Form(colander.Schema())

    def save(_: Any) -> Done:
        action, verb = ACTIONS.get(request.POST.get("action", ""), (None, None))
        if action is None or verb is None:
            raise InvalidInput("Say whether to freeze, unfreeze, retire or bring back.")
        action(request.work, pool)
        return Done(
            text=f"{verb.label} {pool.name}: done.", path=request.route_path("pool", id=pool.id)
        )

    return form.submit(request, save) or {"page": _state_page(request, pool, form)}


def _state_page(request: Any, pool: Any, form: Form) -> StatePage:
    names = ["unfreeze" if pool.frozen_at else "freeze"]
    if not pool.is_root:
        names.append("bring_back" if pool.retired_at else "retire")
    closed = pools.closed_by(request.work, pool)
    return StatePage(
        title=f"State of {pool.name}",
        section="pools",
        crumbs=crumbs(request, pool),
        pool_id=pool.id,
        pool=pool,
        form=form,
        verbs=[ACTIONS[name][1] for name in names],
        closed_by=closed if closed is not None and closed.id != pool.id else None,
        running=pool_states.running_machines(request.work, pool),
        stopped=pool_states.stopped_machines(request.work, pool)[:NAMED],
    )

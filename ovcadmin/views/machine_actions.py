"""Acting on machines: one, with a word of warning where something is lost, or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.answers import article_path
from ovcadmin.domain.amounts import show_storage
from ovcadmin.domain.states import TABLE, Action, State, plain
from ovcadmin.errors import DomainError, Forbidden, InvalidInput, NotFound
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import machines, quotas, snapshots
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, text
from ovcadmin.views.machine_tables import CONFIRMED
from ovcadmin.views.pages import Page, crumbs

MOST_AT_ONCE = 200
SNAPSHOT_NAME = "by hand"
"""Of a snapshot that was asked for of many machines at once."""
DELETIONS = (Action.BIN, Action.DELETE)


class Plain(colander.Schema):
    """Nothing to fill in: the button is all."""


class Typed(colander.Schema):
    """The name is typed again where something is gone for good."""

    confirm = text("Type its name")


@dataclass(frozen=True, kw_only=True)
class ActionPage(Page):
    machine: Any
    action: Action
    label: str
    hint: str
    danger: bool
    lost: Sequence[str]
    form: Form
    call: Call


def lost(work: Any, machine: Any, action: Action) -> list[str]:
    """Name what the action destroys."""
    if action in (Action.POWER_OFF, Action.RESET):
        return [f"What the guest of {machine.name} had not yet written to its disk."]
    if action not in (Action.BIN, Action.DELETE):
        return []
    disks = [
        f"Its disk {volume.target}: {show_storage(volume.size)} in {volume.storage_pool.name}"
        for volume in machine.volumes
    ]
    nics = [f"Its network card {nic.mac}" for nic in machine.nics]
    saved = ["Its saved memory"] if machine.stable is State.SAVED else []
    kept = f"The machine {machine.name} ({machine.uuid})"
    if action is Action.BIN:
        return [f"{kept}, until it is brought back from the bin", *disks, *saved]
    held = [
        f"Its snapshot {one.name} of {one.created_at:%Y-%m-%d %H:%M} UTC"
        for one in snapshots.listing(work, machine)
    ]
    return [kept, *disks, *held, *nics, *saved]


@view_config(
    route_name="machine_action",
    request_method=("GET", "POST"),
    renderer="machines/action.pt",
    permission=Privilege.VIEW,
)
def act(context: Any, request: Any) -> dict[str, Any] | Response:
    action = _action(request.matchdict["action"])
    _ensure_may(context, action)
    form = Form(Typed() if action in DELETIONS else Plain())
    for field in form:
        field.hint = f"It is {context.machine.name}."
    done = form.submit(request, lambda values: _done(context.machine, action, request, values))
    if done is not None:
        return done
    return {"page": _page(context, request, action, form)}


def _done(machine: Any, action: Action, request: Any, values: dict[str, str]) -> Done:
    if "confirm" in values and values["confirm"].strip() != machine.name:
        raise InvalidInput(
            "Nothing was deleted.", fields={"confirm": f"Type {machine.name} to confirm."}
        )
    operation = machines.act(request.work, machine, action)
    return Done(
        text=f"{TABLE[action].label} {machine.name}: accepted.",
        path=request.route_path("pool", id=machine.pool_id)
        if action in DELETIONS
        else request.route_path("machine", id=machine.id),
        href=request.route_path("operation", id=operation.id),
    )


def _page(context: Any, request: Any, action: Action, form: Form) -> ActionPage:
    machine, row = context.machine, TABLE[action]
    return ActionPage(
        title=f"{row.label} {machine.name}",
        section="machines",
        crumbs=[*crumbs(request, context.pool)],
        pool_id=machine.pool_id,
        machine=machine,
        action=action,
        label=row.label,
        hint=row.hint,
        danger=action in CONFIRMED,
        lost=lost(request.work, machine, action),
        form=form,
        call=_call(machine, action),
    )


def _call(machine: Any, action: Action) -> Call:
    if action in DELETIONS:
        for_good = "?for_good=true" if action is Action.DELETE else ""
        word = "remove" if for_good else "delete"
        command = shell(f"ovc machines {word}", machine.name)
        return Call("DELETE", f"/machines/{machine.id}{for_good}", {}, command)
    command = shell(f"ovc machines {action.replace('power_off', 'poweroff')}", machine.name)
    return Call("POST", f"/machines/{machine.id}/actions/{action}", {}, command)


def _action(word: str, *, many: bool = False) -> Action:
    if word not in plain() and not (many and word == Action.SNAPSHOT):
        raise NotFound("There is no such action.", action=word)
    return Action(word)


def _ensure_may(context: Any, action: Action) -> None:
    needed = machines.privilege(action)
    if needed not in context.privileges:
        raise Forbidden(
            f"“{TABLE[action].label}” needs the privilege “{needed}” on {context.pool.name}.",
            privilege=needed,
        )


# --- many at once -------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one machine of many."""

    machine: Any
    operation: Any = None
    refused: DomainError | None = None
    article: str = ""


@dataclass(frozen=True, kw_only=True)
class BulkPage(Page):
    action: Action
    label: str
    danger: bool
    chosen: Sequence[Any]
    """Machines still to be confirmed."""
    lost: Sequence[str]
    results: Sequence[Result] = ()

    @property
    def accepted(self) -> int:
        return sum(result.refused is None for result in self.results)


@view_config(
    route_name="machines_bulk",
    request_method="POST",
    renderer="machines/bulk.pt",
    permission=SIGNED_IN,
    repeats=("machine",),
)
def bulk(request: Any) -> dict[str, Any]:
    """Act on each machine by itself: some may be refused while others go ahead."""
    action = _action(request.POST.get("action", ""), many=True)
    chosen = [_chosen(request, text) for text in request.POST.getall("machine")[:MOST_AT_ONCE]]
    if not chosen:
        raise InvalidInput("No machine was selected. Go back and tick some.")
    asks = action in CONFIRMED and "confirmed" not in request.POST
    label = TABLE[action].label
    if not asks:
        quotas.own_row(request.work, *chosen)
    page = BulkPage(
        title=f"{label} {len(chosen)} machine{'s' if len(chosen) != 1 else ''}",
        section="machines",
        action=action,
        label=label,
        danger=action in CONFIRMED,
        chosen=chosen if asks else (),
        lost=[line for one in chosen for line in lost(request.work, one, action)] if asks else (),
        results=() if asks else [_result(request, one, action) for one in chosen],
    )
    return {"page": page}


def _chosen(request: Any, text: str) -> Any:
    """Return a machine that the user may see; any other number is as if it did not exist."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotFound("There is no such machine.")
    machine = machines.get(request.work, int(text))
    if Privilege.VIEW not in _privileges(request, machine):
        raise NotFound("There is no such machine.", machine_id=int(text))
    return machine


def _privileges(request: Any, machine: Any) -> frozenset[Privilege]:
    return privileges_on(request.db, request.identity.user_id, machine.pool_id)


def _ask(work: Any, machine: Any, action: Action) -> Any:
    if action is Action.SNAPSHOT:
        return snapshots.take(work, machine, SNAPSHOT_NAME)
    return machines.act(work, machine, action)


def _result(request: Any, machine: Any, action: Action) -> Result:
    try:
        with request.db.begin_nested():
            needed = machines.privilege(action)
            if needed not in _privileges(request, machine):
                raise Forbidden(f"It needs the privilege “{needed}” on {machine.pool.name}.")
            return Result(machine=machine, operation=_ask(request.work, machine, action))
    except DomainError as error:
        return Result(machine=machine, refused=error, article=article_path(error.code))

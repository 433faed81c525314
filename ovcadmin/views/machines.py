"""Machines: the list, and one machine with its state, facts and operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyramid.view import view_config

from ovcadmin.domain.states import TABLE, Action
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    care,
    console_policies,
    console_sharing,
    devices,
    guest_addresses,
    guests,
    knowledge_search,
    machines,
    operations,
    rivals,
)
from ovcadmin.services.machines import Badge
from ovcadmin.views import show
from ovcadmin.views.machine_tables import CONFIRMED, FIRST_ACTIONS, FORMS, MachineTable, Verb
from ovcadmin.views.pages import Empty, Page, crumbs
from ovcadmin.views.sparks import figures

OPERATIONS_SHOWN = 50
LONGEST_HINT = 160
"""Letters of what an image says that stand beside a console."""


@dataclass(frozen=True, kw_only=True)
class MachinesPage(Page):
    table: MachineTable
    may_create: bool
    empty: Empty
    articles: Sequence[Any]
    """What the knowledge base has on the words of the search box."""

    @classmethod
    def of(cls, request: Any) -> MachinesPage:
        path = request.route_path("machines")
        table = MachineTable.of(
            request, path=path, fragment=request.route_path("machines_fragment", part="rows")
        )
        may_create = Privilege.CREATE in request.context.privileges
        return cls(
            title="Machines",
            section="machines",
            search=table.q,
            table=table,
            may_create=may_create,
            empty=no_machines(request, table, may_create=may_create),
            articles=knowledge_search.search(request.work, table.q, 3) if table.plain else (),
        )


def no_machines(
    request: Any, table: MachineTable, *, may_create: bool, pool_id: int | None = None
) -> Empty:
    """Say why a table of machines is empty, and what next."""
    if table.narrowed:
        return Empty(why="No machine fits this filter.", step="Show all machines", url=table.path)
    if not may_create:
        return Empty(
            why="No machines yet.",
            more="You may look here, but not make machines: that needs the privilege “create”.",
        )
    query = {"pool": pool_id} if pool_id is not None else {}
    return Empty(
        why="No machines yet.",
        more="A machine is created from an image and a size, and lives in a pool.",
        step="New machine",
        url=request.route_path("machine_new", _query=query),
    )


@dataclass(frozen=True, kw_only=True)
class MachinePage(Page):
    machine: Any
    badge: Badge
    operation: Any
    """The operation in flight, or None."""
    verbs: Sequence[Verb]
    """What may be asked of it now: by its state to come, and by the user's rights."""
    first_verb: Verb | None
    operations: Sequence[Any]
    tab: str
    may_control: bool
    care: Sequence[str] = ()
    """What the console does for it by itself, in words."""
    lease_ends: Any = None
    """The end of a lease that is near."""
    pending: Sequence[Any] = ()
    """What the running guest will only have after it was off."""
    guest: Any = None
    """What the agent in the guest said last."""
    rivals: Sequence[Any] = ()
    """Guests that run with its disks beside it."""

    @classmethod
    def of(cls, context: Any, request: Any, tab: str) -> MachinePage:
        machine, work = context.machine, request.work
        current = machines.current_operation(work, machine)
        verbs = _verbs(machine, context.privileges)
        return cls(
            title=machine.name,
            section="machines",
            crumbs=crumbs(request, context.pool),
            pool_id=machine.pool_id,
            machine=machine,
            badge=machines.badge(machine, current),
            operation=current,
            verbs=verbs,
            first_verb=next((verb for verb in verbs if verb.action in FIRST_ACTIONS), None),
            operations=operations.listing(
                work, operations.Filter(machine_id=machine.id, limit=OPERATIONS_SHOWN)
            ),
            tab=tab,
            may_control=Privilege.CONTROL in context.privileges,
            care=_care(machine),
            lease_ends=care.next_end(machine) if care.warns(work, machine) else None,
            pending=devices.pending(machine),
            guest=guests.of(work, machine),
            rivals=rivals.of(work, machine),
        )


@dataclass(frozen=True, kw_only=True)
class ConsolePage(MachinePage):
    held_by: str = ""
    """Who else has the serial console before him now."""
    policy: Any = None
    """By which it is recorded, if it is."""
    addresses: Sequence[str] = ()
    sign_in: str = ""
    """What its first boot was told of who signs in; blank when it was told nothing."""
    image_says: str = ""
    """The first line of what its image says of itself: often the account that it comes with."""

    @classmethod
    def of(cls, context: Any, request: Any, tab: str) -> ConsolePage:
        page = super().of(context, request, tab)
        assert isinstance(page, cls)
        return replace(
            page,
            held_by=console_sharing.holder_of(request.work, context.machine),
            policy=console_policies.recording(request.work, context.pool),
            addresses=guest_addresses.reachable(request.work, context.machine),
            sign_in=_sign_in(context.machine.cloud_init),
            image_says=_first_line(context.machine.image),
        )


def _sign_in(told: Mapping[str, Any] | None) -> str:
    """Say who may sign in, of what a machine's first boot was told."""
    if not told:
        return ""
    who = told["user"] or "the user that its image makes"
    keys = show.many(len(told["ssh_keys"]), "SSH key")
    if "password" in told["holds"]:
        also = f" or {keys}" if told["ssh_keys"] else ""
        return f"{who}, with the password of its first boot{also}"
    return f"{who}, with {keys}: its first boot was given no password" if told["ssh_keys"] else who


def _first_line(image: Any) -> str:
    lines = image.description.splitlines() if image is not None else []
    return lines[0][:LONGEST_HINT] if lines else ""


def _care(machine: Any) -> list[str]:
    words = []
    if machine.locked:
        words.append("protected against deletion")
    if machine.keep_running:
        words.append("kept running")
    if machine.shutdown_seconds:
        words.append(f"{machine.shutdown_seconds} s to shut down")
    return words


def _verbs(machine: Any, privileges: frozenset[str]) -> list[Verb]:
    return [
        _verb(action)
        for action in machines.allowed(machine)
        if machines.privilege(action) in privileges and (action in FORMS or not TABLE[action].form)
    ]


def _verb(action: Action) -> Verb:
    danger = action in CONFIRMED
    return Verb(
        action=action,
        label=TABLE[action].label,
        danger=danger,
        route=FORMS.get(action, "machine_action"),
        asks=action in FORMS or danger,
    )


@view_config(
    route_name="machines", request_method="GET", renderer="machines/list.pt", permission=SIGNED_IN
)
@view_config(
    route_name="machines_fragment",
    request_method="GET",
    match_param="part=rows",
    renderer="machines/rows.pt",
    permission=SIGNED_IN,
)
def listing(request: Any) -> dict[str, Any]:
    return {"page": MachinesPage.of(request)}


@view_config(
    route_name="machine",
    request_method="GET",
    renderer="machines/machine.pt",
    permission=Privilege.VIEW,
)
def whole(context: Any, request: Any) -> dict[str, Any]:
    page = MachinePage.of(context, request, "overview")
    return {"page": page, "figures": figures(request, "machine", context.machine, disk=True)}


@view_config(
    route_name="machine_fragment",
    request_method="GET",
    match_param="part=state",
    renderer="machines/state.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="machine_fragment",
    request_method="GET",
    match_param="part=overview",
    renderer="machines/overview.pt",
    permission=Privilege.VIEW,
)
def machine(context: Any, request: Any) -> dict[str, Any]:
    return {"page": MachinePage.of(context, request, "overview")}


@view_config(
    route_name="machine_console",
    request_method="GET",
    renderer="machines/console.pt",
    permission=Privilege.CONTROL,
)
def console(context: Any, request: Any) -> dict[str, Any]:
    return {"page": ConsolePage.of(context, request, "console")}


@view_config(
    route_name="machine_fragment",
    request_method="GET",
    match_param="part=operations",
    renderer="machines/operations.pt",
    permission=Privilege.VIEW,
)
def operations_of(context: Any, request: Any) -> dict[str, Any]:
    return {"page": MachinePage.of(context, request, "operations")}

"""A new machine: its pool, name, image and size; and before it is sent, what that would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.config import not_
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.placement import Verdict, Wanted
from ovcadmin.domain.quota import blocks
from ovcadmin.domain.resources import Resources
from ovcadmin.domain.sizes import Size
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    cloud_init,
    hand_picks,
    images,
    machines,
    placement,
    pools,
    profiles,
    quotas,
    sizes,
)
from ovcadmin.services.machines import Order
from ovcadmin.views import first_boot
from ovcadmin.views.bars import Bar, quota_bars
from ovcadmin.views.calls import Call, shell
from ovcadmin.views.forms import Done, Form, choice, flag, name, text
from ovcadmin.views.pages import Empty, Page, crumbs
from ovcadmin.views.refusals import Block

GAUGED = ("vcpus", "memory", "nics", "machines", "storage")


class NewMachine(colander.Schema):
    name = name(hint="Unique in its pool; spaces and any letters are fine.")
    image = choice("Image")
    size = choice("Size")
    network = choice("Network", missing="")
    start = flag("Start it")
    host = choice(
        "Host", missing="", hint="Blank: the best one. Only those that you may modify are offered."
    )
    description = text("Description", kind="textarea", longest=2000, missing="")


@dataclass(frozen=True, kw_only=True)
class Gauges:
    """What the choice takes at every level that bounds the pool, and which hosts have room."""

    levels: Sequence[tuple[str, Sequence[Bar]]]
    blocks: Sequence[Block]
    """Limits that would refuse it."""
    verdicts: Sequence[Verdict]

    @property
    def fits(self) -> bool:
        return not self.blocks and any(verdict.fits for verdict in self.verdicts)


def gauges(
    request: Any, pool: Any, image: Any, size: Size, *, start: bool, network: str = ""
) -> Gauges:
    """Try the choice without asking for it: nothing is reserved."""
    disk = max(size.storage, image.size if image.kind == ImageKind.DISK else 0)
    wanted = Resources(storage=disk)
    if start:
        wanted += Resources(vcpus=size.vcpus, memory=size.memory, nics=1, machines=1)
    levels = quotas.levels(request.work, pool, request.identity.user_id)
    place = Wanted(
        vcpus=size.vcpus,
        memory=size.memory,
        storage=disk,
        **placement.image_wanted(image),
        networks=frozenset({network} - {""}),
    )
    return Gauges(
        levels=[
            (level.label, [bar for bar in quota_bars(level, wanted) if bar.resource in GAUGED])
            for level in levels
            if level.limits or level.pool_id == pool.id
        ],
        blocks=[Block.of(block.as_dict()) for block in blocks(levels, wanted)],
        verdicts=placement.verdicts(request.work, pool, place),
    )


@dataclass(frozen=True, kw_only=True)
class NewMachinePage(Page):
    pool: Any
    form: Form
    images: Sequence[Any]
    sizes: Sequence[Size]
    gauges: Gauges | None
    call: Call
    profiles: Sequence[Any]
    """Whose choices may be taken over."""
    opened: bool
    """Whether the fields of the first boot are shown: somebody filled one in."""


@dataclass(frozen=True, kw_only=True)
class ChoosePoolPage(Page):
    nodes: Sequence[Any]
    empty: Empty


@view_config(
    route_name="machine_new",
    request_method="GET",
    request_param=not_("pool"),
    renderer="machines/choose_pool.pt",
    permission=Privilege.CREATE,
)
def choose_pool(request: Any) -> dict[str, Any] | Response:
    """Offer the pools; where there is only one, there is nothing to choose."""
    nodes = pools.tree(request.work, Privilege.CREATE)
    if len(nodes) == 1:
        query = {"pool": nodes[0].pool.id}
        return HTTPSeeOther(request.route_path("machine_new", _query=query))
    page = ChoosePoolPage(
        title="New machine",
        section="machines",
        nodes=nodes,
        empty=Empty(why="There is no pool in which you may make a machine."),
    )
    return {"page": page}


@view_config(
    route_name="machine_new",
    request_method=("GET", "POST"),
    request_param="pool",
    renderer="machines/new.pt",
    permission=Privilege.CREATE,
)
def new(context: Any, request: Any) -> dict[str, Any] | Response:
    work, pool = request.work, context.pool
    offered = images.starts(work, pool)
    listed = sizes.listing(request.settings)
    form = _form(work, pool, offered, listed, hand_picks.offered(work, pool))
    _take_over(form, profiles.serving(work, pool), request.GET.get("profile", ""))
    if "check" not in request.POST:
        done = form.submit(request, lambda values: _create(pool, request, values))
        if done is not None:
            return done
    else:
        _keep(form, request.POST)
    return {"page": _page(pool, request, form, offered, listed)}


@view_config(
    route_name="pool_fragment",
    match_param="part=gauges",
    request_method="GET",
    renderer="machines/gauges.pt",
    permission=Privilege.CREATE,
)
def choice_gauges(context: Any, request: Any) -> dict[str, Any]:
    offered = images.starts(request.work, context.pool)
    form = _form(request.work, context.pool, offered, sizes.listing(request.settings))
    _keep(form, request.GET)
    return {"gauges": _gauges(context.pool, request, form)}


def _take_over(form: Form, known: Sequence[Any], number: str) -> None:
    """Fill in what a profile says; what a profile keeps sealed goes with the profile only."""
    for profile in known:
        if str(profile.id) == number:
            form["image"].value, form["size"].value = str(profile.image_id), profile.size_name
            form["network"].value = profile.network or ""
            form["start"].value = "yes" if profile.start else ""
            told = profile.cloud_init or {"hostname": "", "user": "", "ssh_keys": []}
            form["hostname"].value, form["user"].value = told["hostname"], told["user"]
            form["ssh_keys"].value = "\n".join(told["ssh_keys"])


def _keep(form: Form, typed: Any) -> None:
    """Show what was typed, unchecked: nothing is asked for yet."""
    for field in form:
        if field.kind != "password":
            field.value = typed.get(field.name, "")


def _form(
    work: Any,
    pool: Any,
    offered: Sequence[Any],
    listed: Sequence[Size],
    hosts: Sequence[Any] = (),
) -> Form:
    initial = {
        "image": offered[0].id if offered else "",
        "size": listed[0].name if listed else "",
        "start": "yes",
    }
    choices = {
        "image": [(str(image.id), image.name) for image in offered],
        "size": [(size.name, size.name) for size in listed],
        "host": [(str(host.id), host.name) for host in hosts],
        "network": [("", "user-mode network")]
        + [(name, name) for name in machines.networks(work, pool)],
    }
    return Form(first_boot.added_to(NewMachine()), initial, choices=choices)


def _create(pool: Any, request: Any, values: dict[str, Any]) -> Done:
    told = first_boot.taken(values)
    order = Order(
        name=values["name"],
        image=images.start(request.work, pool, int(values["image"])),
        size=sizes.get(request.settings, values["size"]),
        start=values["start"],
        description=values["description"],
        host_id=int(values["host"]) if values["host"] else None,
        network=values["network"] or None,
        cloud_init=cloud_init.keep(request.work, told),
    )
    machine = machines.create(request.work, pool, order)
    return Done(
        text=f"{machine.name} is being created.",
        path=request.route_path("machine", id=machine.id),
    )


def _page(
    pool: Any, request: Any, form: Form, offered: Sequence[Any], listed: Sequence[Size]
) -> NewMachinePage:
    image = form["image"].value
    body = {
        "name": form["name"].value or "web01",
        "image_id": int(image) if image.isdigit() else 0,
        "size": form["size"].value,
        "start": bool(form["start"].value),
        **({"network": form["network"].value} if form["network"].value else {}),
    }
    host = dict(form["host"].choices).get(form["host"].value, "") if form["host"].value else ""
    if host:
        body["host_id"] = int(form["host"].value)
    return NewMachinePage(
        title="New machine",
        section="machines",
        crumbs=crumbs(request, pool),
        pool_id=pool.id,
        pool=pool,
        form=form,
        images=offered,
        sizes=listed,
        gauges=_gauges(pool, request, form),
        call=Call(
            "POST",
            f"/pools/{pool.id}/machines",
            {**body, **first_boot.body(form)},
            shell(
                "ovc machines create",
                body["name"],
                pool=pool.name,
                image=image,
                size=body["size"],
                start=body["start"],
                host=host,
                network=body.get("network"),
                **first_boot.options(form),
            ),
        ),
        profiles=profiles.serving(request.work, pool),
        opened=any(form[name].value or form[name].error for name in first_boot.NAMES),
    )


def _gauges(pool: Any, request: Any, form: Form) -> Gauges | None:
    """Return the gauges of what the form says, None while it does not say enough."""
    chosen = {value for value, _ in form["image"].choices}
    named = {value for value, _ in form["size"].choices}
    if form["image"].value not in chosen or form["size"].value not in named:
        return None
    return gauges(
        request,
        pool,
        images.start(request.work, pool, int(form["image"].value)),
        sizes.get(request.settings, form["size"].value),
        start=bool(form["start"].value),
        network=form["network"].value,
    )

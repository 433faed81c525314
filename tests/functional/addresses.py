"""Every address of the console, pages and REST, read from the running application.

With each stands what its own declaration says: the context factory of its route and the
permission of its view.  So a test of rights asks a new address as soon as it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.states import Action, plain
from ovcadmin.models import Image, Pool
from ovcadmin.routes import PAGES
from ovcadmin.services import kickstarts, machines
from ovcadmin.services.uploads import Draft
from tests.functional.world import World

UNKNOWN = 999_999
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
NO_OBJECT = {"anybody", "signed_in", "beside_the_pools", "at_root"}
"""Factories of contexts without an object."""
BY_TYPE = {"operation_cancel", "operation_retry", "api.operation_cancel", "api.operation_retry"}
"""What needs the privilege of the operation that it is about; see `Address.needs`."""


@dataclass(frozen=True)
class Address:
    route: str
    method: str
    path: str
    """With `{id}` where the object's id goes."""
    factory: str
    """Name of the context factory."""
    permission: str
    """As the view declares it."""

    @property
    def api(self) -> bool:
        return self.route.startswith("api.")

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def kind(self) -> str:
        """Of the object: pool, machine, host, ...; blank for lists and what is about oneself."""
        if self.route.removeprefix("api.") == "image_kickstart":
            return "kickstart"  # one kind of image
        kind = {"pool_from_above": "pool", "factory": "pool"}.get(self.factory, self.factory)
        return "" if kind in NO_OBJECT else kind

    @property
    def needs(self) -> str:
        """The permission, or what the view asks for beyond it by the object that it got."""
        if action := re.search(r"/actions/([a-z_]+)$", self.path):
            return machines.privilege(Action(action[1]))
        if self.route in BY_TYPE:
            return machines.privilege(Action.START)  # the operation that the test asks about
        return self.permission

    def to(self, object_id: int) -> str:
        return self.path.replace("{id}", str(object_id))


def kickstart(world: World, name: str, pool: Pool) -> Image:
    """Make an image of the one kind that has addresses of its own."""
    iso = world.image(f"{name}-iso", pool)
    with world.work(world.admin()) as work:
        work.db.get_one(Image, iso.id).kind = "iso"
        work.db.flush()
        draft = Draft(name=name, kind=ImageKind.KICKSTART)
        where = work.db.get_one(Pool, pool.id)
        return kickstarts.add(work, where, draft, iso_id=iso.id, answers="text")


def every(app: object) -> Iterator[Address]:
    """Every address with each of its methods."""
    introspector = app.registry.introspector
    permissions = {
        related: item["introspectable"]["value"]
        for item in introspector.get_category("permissions")
        for related in item["related"]
    }
    for view in introspector.get_category("views"):
        shown = view["introspectable"]
        route = shown["route_name"]
        if not route or route.startswith(("__static", "pyramid_openapi3")):
            continue
        methods = shown["request_methods"]
        for method in (methods,) if isinstance(methods, str) else methods:
            if method != "HEAD":
                for path, factory in _paths(app, route, shown["match_param"]):
                    yield Address(route, method, path, factory, permissions.get(shown, ""))


def _paths(app: object, route: str, match: str | None) -> Iterator[tuple[str, str]]:
    found = app.routes_mapper.get_route(route)
    factory = found.factory
    name = getattr(factory, "__name__", "anybody")
    parameter = getattr(factory, "parameter", None)
    for path in _filled(route, found.pattern, dict([match.split("=")]) if match else {}):
        yield (f"{path}?{parameter}={{id}}" if parameter else path), name


def _filled(route: str, pattern: str, fixed: dict[str, str]) -> Iterator[str]:
    """Fill all but the id into a pattern."""
    path = re.sub(r"\{id:[^/]*?\}\}?", "{id}", pattern.replace("[0-9]{1,10}", "N"))
    path = path.replace("{id:N}", "{id}")
    parts = {
        "kind": "csv",
        "digest": "0" * 64,
        "month": "2026-11",
        "code": "quota.exceeded",
        "step": "machine.start" if route == "step_do" else "machine",
        **KNOWLEDGE,
        **DEVICES,
        **fixed,
    }
    for name, value in parts.items():
        path = re.sub(rf"\{{{name}(:(?:[^{{}}]|\{{[^}}]*\}})*)?\}}", value, path)
    if "{action" not in path:
        yield path
        return
    for action in plain():
        if not (route.startswith("api.") and action in ("bin", "delete")):
            yield re.sub(r"\{action(:(?:[^{}]|\{[^}]*\})*)?\}", action.value, path)


ARTICLE = ("errors", "quota.exceeded")
KNOWLEDGE = {"section": ARTICLE[0], "slug": ARTICLE[1], "number": "1", "tab": "intro"}
"""An article, one of its versions, a part of the tutorial."""
DEVICES = {"target": "vda", "mac": "52:54:00:00:00:01"}
"""A drive and a card; whether the machine has them is told only to whom it may be told."""
PAGE_NAMES = {name for name, _, _ in PAGES}

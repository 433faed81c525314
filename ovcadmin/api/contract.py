"""What the contract says of each call, as far as its answer is made by it and not by the view."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "openapi" / "v1.yaml"
METHODS = ("get", "post", "put", "patch", "delete")
APART = {"ovcadmin.security.apart.user", "ovcadmin.security.apart.beside_the_pools"}
"""Context factories of calls that talk to a directory while no transaction is open."""


@dataclass(frozen=True, kw_only=True)
class Call:
    operation_id: str
    query: tuple[str, ...]
    """Names of the parameters of the query."""
    once: bool
    """It takes an Idempotency-Key."""
    guarded: bool
    """It takes If-Match, and does nothing when that names another version."""
    must_name: bool
    """Without If-Match it does nothing at all."""
    shown_by: str
    """Route whose GET tells the version that If-Match names; blank: none does."""
    tells: bool
    """Its answer has the version in the header ETag."""
    apart: bool


def call(route: str, method: str) -> Call:
    """Return the call of a route of the contract (`machine` for `api.machine`)."""
    return calls()[route, method]


@functools.cache
def calls() -> dict[tuple[str, str], Call]:
    """Return every call by route and method."""
    whole = load()
    found = {}
    for path, item in whole["paths"].items():
        for method in METHODS:
            if method in item:
                found[_route(item), method.upper()] = _call(whole, path, method)
    return found


@functools.cache
def changes(route: str) -> frozenset[str]:
    """Return the names of the fields that PUT and PATCH of a route take."""
    whole = load()
    (item,) = (one for one in whole["paths"].values() if _route(one) == route)
    names: set[str] = set()
    for method in ("put", "patch"):
        kinds = item.get(method, {}).get("requestBody", {}).get("content", {})
        schema = resolved(whole, kinds.get("application/json", {}).get("schema", {}))
        names.update(schema.get("properties", ()))
    return frozenset(names)


@functools.cache
def load() -> Any:
    return yaml.load(FILE.read_text(), yaml.CSafeLoader)


def resolved(whole: Any, part: Any) -> Any:
    """Follow a reference within the contract."""
    while "$ref" in part:
        found = whole
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def _call(whole: Any, path: str, method: str) -> Call:
    item = whole["paths"][path]
    told = item[method]
    parameters = [resolved(whole, one) for one in told.get("parameters", ())]
    headers = {one["name"]: one for one in parameters if one["in"] == "header"}
    return Call(
        operation_id=told["operationId"],
        query=tuple(one["name"] for one in parameters if one["in"] == "query"),
        once="Idempotency-Key" in headers,
        guarded="If-Match" in headers,
        must_name=bool(headers.get("If-Match", {}).get("x-needed")),
        shown_by=_shown_by(whole, path),
        tells=_tells(whole, told),
        apart=item["x-pyramid-root-factory"] in APART,
    )


def _shown_by(whole: Any, path: str) -> str:
    """Find whose version it is: the path's own, that of `x-version-of`, or of what is above it."""
    while path:
        item = whole["paths"].get(path, {})
        if "x-version-of" in item:
            path = item["x-version-of"]
        elif "get" in item and _tells(whole, item["get"]):
            return _route(item)
        else:
            path = path.rpartition("/")[0]
    return ""


def _tells(whole: Any, told: Any) -> bool:
    good = [one for code, one in told["responses"].items() if code.startswith("2")]
    return any("ETag" in resolved(whole, one).get("headers", {}) for one in good)


def _route(item: Any) -> str:
    name: str = item["x-pyramid-route-name"]
    return name.removeprefix("api.")

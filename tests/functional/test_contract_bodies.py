"""What no body of the API may hold, asked of every call that takes one: fields and amounts.

The fields come from the contract, so a new call is asked as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ovcadmin import refused
from ovcadmin.api.contract import load, resolved
from tests.functional.addresses import Address
from tests.functional.test_matrix import Cloud
from tests.functional.world import World

WHO = ("Super Admin", "root")
"""Somebody who may do all of it: what is refused is refused for what it is."""
SMUGGLED = {
    "owner": "admin@internal", "owner_id": 1, "pool_id": 1, "is_admin": True, "role": "Super Admin",
    "privileges": ["set_grants"], "state": "running", "id": 1, "version": 1, "realm_id": 1,
    "created_at": "2026-01-01T00:00:00Z", "__class__": "x",
}  # fmt: skip
UNKNOWN_FIELD = "There is no such field here."
NO_AMOUNTS = (-1, "1e9", "٣", "512MB", 2**63, -(2**63), 1e300, True, [], "")


@pytest.fixture(scope="module")
def cloud(worlds, tmp_path_factory) -> Iterator[Cloud]:
    directory = tmp_path_factory.mktemp("bodies")
    world = World(f"sqlite:///{directory}/ovcadmin.db", directory)
    yield Cloud(world)
    world.close()


@pytest.fixture(autouse=True)
def nothing_is_noted(monkeypatch):
    """A refusal is noted in a transaction of its own, which waits for the dry one around it."""
    monkeypatch.setattr(refused, "write_down", lambda _request: None)


def _taking(cloud: Cloud) -> Iterator[tuple[Address, dict[str, Any]]]:
    """Yield each address that takes JSON, with the schema of its body."""
    whole = load()
    items = {item["x-pyramid-route-name"]: item for item in whole["paths"].values()}
    for address in cloud.asked:
        call = items.get(address.route, {}).get(address.method.lower(), {})
        body = resolved(whole, call.get("requestBody", {}))
        if schema := body.get("content", {}).get("application/json", {}).get("schema"):
            yield address, resolved(whole, schema)


def _amounts(schema: dict[str, Any], way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield where in a body whole numbers and numbers stand."""
    schema = resolved(load(), schema)
    kinds = schema.get("type", ())
    if {"integer", "number"} & ({kinds} if isinstance(kinds, str) else set(kinds)):
        yield way
    for inner in schema.get("oneOf", ()):
        yield from _amounts(inner, way)
    for name, inner in schema.get("properties", {}).items():
        yield from _amounts(inner, (*way, name))


def _body(ways: list[tuple[str, ...]], value: object) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for *above, name in ways:
        place = body
        for part in above:
            place = place.setdefault(part, {})
        place[name] = value
    return body


def test_fault_15_no_call_takes_a_field_that_it_does_not_have(cloud):
    wrong, before, asked = [], cloud.world.fingerprint(), 0
    for address, schema in _taking(cloud):
        extra = {
            name: value for name, value in SMUGGLED.items() if name not in schema["properties"]
        }
        answer = cloud.ask(WHO, address, "own", dry=True, body=extra)
        told = {one["field"]: one["text"] for one in answer.json.get("fields", ())}
        asked += 1
        if answer.status_int != 422 or any(told.get(name) != UNKNOWN_FIELD for name in extra):
            wrong.append((address.name, answer.status, told))
    assert wrong == []
    assert asked > 50
    assert cloud.world.fingerprint() == before


def test_fault_08_no_call_takes_an_amount_that_is_none(cloud):
    wrong, before, asked = [], cloud.world.fingerprint(), 0
    for address, schema in _taking(cloud):
        ways = list(_amounts(schema))
        asked += len(ways)
        for value in NO_AMOUNTS if ways else ():
            answer = cloud.ask(WHO, address, "own", dry=True, body=_body(ways, value))
            told = {one["field"] for one in answer.json.get("fields", ())}
            if left := {".".join(way) for way in ways} - told or answer.status_int != 422:
                wrong.append((address.name, left, value, answer.status))
    assert wrong == []
    assert asked > 50
    assert cloud.world.fingerprint() == before

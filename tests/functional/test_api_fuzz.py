"""Whatever is sent to the API: an answer by the contract, and never a failure of the server."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functional import addresses
from tests.functional.addresses import UNSAFE
from tests.functional.world import Api

VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from(["tiny", "\ud800", "\0", "٣", "1e9", 2**63, -1, 0, 1]),
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELDS = ("name", "description", "image_id", "size", "start", "vcpus", "memory", "enabled", "kind")
BODIES = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), VALUES, max_size=5) | VALUES
NAMES = ("limit", "cursor", "q", "sort", "state", "pool_id", "wait", "open", "parent_id")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
QUERIES = st.dictionaries(
    st.sampled_from(NAMES), TEXTS | st.integers(-5, 2**64).map(str), max_size=4
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "If-Match": st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=20),
        "Idempotency-Key": st.text(st.characters(codec="ascii", categories=["L"]), max_size=5),
    },
)
OFTEN = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def tried(world):
    """An administrator's client, an object of each kind, and every address of the API."""
    pool, host = world.pool("Web"), world.host()
    image = world.image()
    machine = world.machine("web01", pool)
    ids = {
        "pool": pool.id,
        "host": host.id,
        "image": image.id,
        "machine": machine.id,
        "storage_pool": world.store(host).id,
        "cluster": world.cluster("vstorage", pool).id,
        "operation": 1,
        "": 0,
    }
    asked = [one for one in addresses.every(world.app) if one.api]
    return world.api(world.user("anna", "Super Admin")), ids, asked


def _send(api: Api, method: str, path: str, body: bytes, headers: dict[str, str]):
    told = {**api.headers, "Content-Type": "application/json", **headers}
    return api.app.request(path, method=method, body=body, headers=told, expect_errors=True)


PLACES = st.integers(min_value=0, max_value=10_000)


@OFTEN
@given(place=PLACES, body=BODIES, headers=HEADERS)
def test_no_body_makes_the_api_fail(tried, place, body, headers):
    api, ids, asked = tried
    taking = [one for one in asked if one.method in UNSAFE and one.method != "DELETE"]
    address = taking[place % len(taking)]
    raw = json.dumps(body).encode()
    answer = _send(api, address.method, address.to(ids.get(address.kind, 1)), raw, headers)
    assert answer.status_int < 500, (address.name, answer.text)


@OFTEN
@given(place=PLACES, query=QUERIES)
def test_no_query_makes_the_api_fail(tried, place, query):
    api, ids, asked = tried
    if query.get("wait"):
        query = {**query, "wait": "0"}
    reading = [one for one in asked if one.method == "GET"]
    address = reading[place % len(reading)]
    path = f"{address.to(ids.get(address.kind, 1))}?{urlencode(query)}"
    answer = _send(api, "GET", path, b"", {})
    assert answer.status_int < 500, (path, answer.text)

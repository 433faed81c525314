"""The forecast of a pool, and requests for more quota, by the REST API."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ovcadmin.domain.states import State
from tests.functional.world import form


def test_forecast_and_requests(world):
    pool = world.pool("Web", machines=1)
    world.host()
    world.image()
    anna = world.user("anna", "User", pool)
    world.machine("web01", pool, state=State.RUNNING, owner=anna)
    machine = world.machine("web02", pool, owner=anna)
    api = world.api(anna)
    told = api("GET", f"/pools/{pool.id}/forecast").json
    assert {one["size"]: one["count"] for one in told["fits"]}["tiny"] == 0
    assert {one["resource"]: one["days"] for one in told["trends"]}["machines"] == 0
    refused = api("POST", f"/machines/{machine.id}/actions/start").json["context"]
    (block,) = refused["blocks"]
    order = {"level_id": block["pool_id"], "amounts": {block["resource"]: block["short"]}}
    asked = api("POST", f"/pools/{pool.id}/quota-requests", order)
    assert (asked.status_int, asked.json["state"]) == (201, "open")
    assert api("POST", f"/pools/{pool.id}/quota-requests", order).status_int == 409
    assert [row["id"] for row in _requests(api, "own")] == [asked.json["id"]]
    boss = world.api(world.admin())
    assert [row["user"] for row in _requests(boss, "to_decide")] == ["anna@internal"]
    assert _requests(boss, "own") == _requests(boss, "decided") == []
    path = f"/quota-requests/{asked.json['id']}/decision"
    assert boss("POST", path, {"action": "decline", "reason": "No room."}).status_int == 200
    assert _requests(boss, "to_decide") == []
    assert [row["reason"] for row in _requests(boss, "decided")] == ["No room."]


def _requests(api, whose):
    return api("GET", f"/quota-requests?whose={whose}").json["items"]


@pytest.mark.requirement("NEW-03")
def test_what_lower_limits_would_take_away_is_told_first(world):
    pool, boss = world.pool("Web", machines=3), world.api(world.admin())
    world.pool("Shop", pool, machines=2)
    world.host()
    world.image()
    world.machine("web01", pool, state=State.RUNNING)
    stopped = world.machine("web02", pool)
    path = f"/pools/{pool.id}/quota/preview"
    assert boss("POST", path, {"machines": 1}).json == {
        "used": [],
        "promised": [{"resource": "machines", "limit": 1, "amount": 2}],
        "stuck": [{"id": stopped.id, "name": "web02"}],
    }
    used = boss("POST", path, {"storage": 10**9}).json["used"]
    assert used == [{"resource": "storage", "limit": 10**9, "amount": 2 * 10**9}]
    assert boss("POST", path, {}).json == {"used": [], "promised": [], "stuck": []}
    assert boss("GET", f"/pools/{pool.id}/quota").json["levels"][0]["limits"]["machines"] == 3
    owner = world.api(world.user("otto", "Administrator", pool))
    assert owner("POST", path, {"machines": 1}).status_int == 403


def test_two_who_set_limits_do_not_overwrite_each_other(world):
    pool, api = world.pool("Web", vcpus=2), world.api(world.admin())
    path = f"/pools/{pool.id}/quota"
    seen = api("GET", path).headers["ETag"]
    assert api("PUT", path, {"vcpus": 4}, If_Match=seen).status_int == 200
    late = api("PUT", path, {"vcpus": 8}, If_Match=seen)
    assert (late.status_int, late.json["code"]) == (412, "object.outdated")
    assert api("GET", path).json["levels"][0]["limits"]["vcpus"] == 4
    assert api("PUT", path, {"vcpus": 8}, If_Match="*").status_int == 200


@pytest.mark.parametrize(
    ("page", "address", "change"),
    [
        ("/pools/{}/quota", "/pools/{}/quota", {"vcpus": 6}),
        ("/pools/{}/policy", "/pools/{}/policy", {"warnings": {"vcpus": 50}}),
        ("/pools/{}/tags", "/pools/{}/tags", {"tags": ["shop"]}),
        ("/pools/{}/leases", "/pools/{}/leases", {"run_hours": 5, "run_end": "save"}),
    ],
)
def test_fault_22_a_page_that_is_out_of_date_overwrites_nobody(world, page, address, change):
    pool, admin = world.pool("Web", vcpus=2), world.admin()
    path, api = address.format(pool.id), world.api(admin)
    opened = form(world.signed_in(admin).get(page.format(pool.id)))
    assert api("PUT", path, change).status_int == 200
    now = api("GET", path).json
    late = opened.submit(expect_errors=True)
    assert late.status_int == 412
    assert late.html.select_one(".refusal .code a")["href"] == "/help/errors/object.outdated"
    assert "Somebody else changed this" in late
    assert api("GET", path).json == now


def test_fault_22_of_a_page_and_a_program_at_once_one_is_told(world):
    pool, admin = world.pool("Web", vcpus=2), world.admin()
    path, api = f"/pools/{pool.id}/quota", world.api(admin)
    opened = form(world.signed_in(admin).get(path))
    opened["vcpus"] = "4"
    seen, start = api("GET", path).headers["ETag"], threading.Barrier(2)

    def by_page():
        start.wait()
        return opened.submit(expect_errors=True).status_int

    def by_program():
        start.wait()
        return api("PUT", path, {"vcpus": 6}, If_Match=seen).status_int

    with ThreadPoolExecutor(2) as two:
        answers = two.submit(by_page), two.submit(by_program)
        told = tuple(answer.result() for answer in answers)
    limit = api("GET", path).json["levels"][0]["limits"]["vcpus"]
    assert (told, limit) in (((303, 412), 4), ((412, 200), 6))

"""The forecast of a pool, and requests for more quota, by the REST API."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from ovcadmin.domain.states import State
from ovcadmin.models import utcnow
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
        "promised": [{"resource": "machines", "limit": 1, "amount": 2, "person": None}],
        "stuck": [{"id": stopped.id, "name": "web02"}],
    }
    used = boss("POST", path, {"storage": 10**9}).json["used"]
    assert used == [{"resource": "storage", "limit": 10**9, "amount": 2 * 10**9, "person": None}]
    assert boss("POST", path, {}).json == {"used": [], "promised": [], "stuck": []}
    assert boss("GET", f"/pools/{pool.id}/quota").json["levels"][0]["limits"]["machines"] == 3
    owner = world.api(world.user("otto", "Administrator", pool))
    assert owner("POST", path, {"machines": 1}).status_int == 403


NOTHING = {"used": [], "promised": [], "stuck": []}


@pytest.mark.requirement("NEW-03")
def test_what_lower_limits_of_persons_would_take_away_is_told_first(world):
    pool, boss = world.pool("Web"), world.api(world.admin())
    anna, ben = world.user("anna", "User", pool), world.user("ben", "User", pool)
    world.host()
    world.image()
    below = world.pool("Shop", pool)
    for number in range(2):
        world.machine(f"up{number}", below, owner=anna, state=State.RUNNING)
    hers, his = (world.machine(f"down-{one.name}", pool, owner=one) for one in (anna, ben))
    path = f"/pools/{pool.id}/persons"

    def looked(who, **limits):
        told = boss("POST", f"{path}/preview", {"who": who, "limits": limits})
        assert told.status_int == 200, told
        return told.json

    over = {"resource": "machines", "limit": 1, "amount": 2, "person": "anna@internal"}
    stuck = [{"id": hers.id, "name": "down-anna"}]
    assert looked("anna", machines=1) == {"used": [over], "promised": [], "stuck": stuck}
    assert looked("anna", machines=2) == {**NOTHING, "stuck": stuck}
    assert looked("anna", machines=3) == looked("ben", machines=1) == NOTHING
    # Everybody else: each one's own use is held against it.
    assert looked("", machines=1) == looked("anna", machines=1)
    assert looked("", machines=0)["stuck"] == [*stuck, {"id": his.id, "name": "down-ben"}]
    assert boss("PUT", path, {"who": "anna", "limits": {"machines": 9}}).status_int == 200
    assert looked("", machines=1) == NOTHING
    # Without limits of her own she would fall under those of everybody else.
    assert boss("PUT", path, {"who": "", "limits": {"machines": 1}}).status_int == 200
    assert looked("anna") == {"used": [over], "promised": [], "stuck": stuck}
    assert looked("") == NOTHING
    listed = boss("GET", path).json["items"]
    assert [(one["who"], one["limits"]["machines"]) for one in listed] == [
        ("anna@internal", 9), (None, 1),
    ]  # fmt: skip
    unknown = boss("POST", f"{path}/preview", {"who": "zoe", "limits": {}})
    assert (unknown.status_int, unknown.json["fields"][0]["field"]) == (422, "who")
    asked = {"who": "anna", "limits": {}}
    assert world.api(anna)("POST", f"{path}/preview", asked).status_int == 403


def test_a_machine_that_another_level_stops_already_is_not_laid_to_a_person_s_limit(world):
    pool, boss = world.pool("Web", machines=1), world.api(world.admin())
    anna = world.user("anna", "User", pool)
    world.host()
    world.image()
    world.machine("up", pool, state=State.RUNNING)
    world.machine("down", pool, owner=anna)
    asked = {"who": "anna", "limits": {"machines": 0}}
    assert boss("POST", f"/pools/{pool.id}/persons/preview", asked).json == NOTHING


@pytest.mark.requirement("NEW-03")
def test_what_a_loan_would_take_away_is_told_first(world):
    account, boss = world.pool("Account"), world.api(world.admin())
    red, blue = world.pool("Red", account, machines=4), world.pool("Blue", account, machines=1)
    world.pool("Shop", red, machines=4)
    world.host()
    world.image()
    for number in range(2):
        world.machine(f"up{number}", red, state=State.RUNNING)
    spare = world.machine("spare", red)
    path = f"/pools/{red.id}/loans"
    until = f"{utcnow() + timedelta(days=3):%Y-%m-%d}"

    def looked(**terms):
        terms = {"borrower_id": blue.id, "resource": "machines", "until": until, **terms}
        return boss("POST", f"{path}/preview", terms)

    promised = {"resource": "machines", "limit": 2, "amount": 4, "person": None}
    assert looked(amount=2).json == {
        "used": [], "promised": [promised], "stuck": [{"id": spare.id, "name": "spare"}],
    }  # fmt: skip
    assert looked(amount=1).json["stuck"] == []
    # What could not be lent is refused here as well.
    assert looked(amount=3).json["code"] == "object.conflict"
    assert looked(amount=1, resource="vcpus").status_int == 422
    assert looked(amount=1, borrower_id=account.id).status_int == 422
    assert boss("GET", path).json["items"] == []
    monitor = world.api(world.user("mona", "Monitor", red))
    assert monitor("POST", f"{path}/preview", {}).status_int == 403


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

"""The REST API beyond the main path: pages, versions, keys, waiting, refusals."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta

import pytest
import yaml
from sqlalchemy import select

from ovcadmin.domain.states import Action, State
from ovcadmin.models import Audit, Token, utcnow
from ovcadmin.services import consoles, machines


@pytest.fixture
def anna(world):
    return world.api(world.user("anna", "Super Admin"))


@pytest.fixture
def cloud(world):
    """A pool with a host, an image and two machines: one runs, one does not."""
    pool = world.pool("Web")
    world.host()
    world.image()
    world.machine("web01", pool, state=State.RUNNING)
    world.machine("web02", pool)
    return pool


def test_the_contract_may_be_read_by_everybody(sqlite_world):
    answer = sqlite_world.api(None)("GET", "/openapi.yaml")
    contract = yaml.safe_load(answer.text)
    assert contract["openapi"] == "3.1.0"
    assert "/machines/{id}/actions/{action}" in contract["paths"]


def test_without_a_good_token_there_is_nothing(world, anna):
    assert anna("GET", "/session").json["user"]["name"] == "anna@internal"
    nobody = world.api(None)("GET", "/session")
    assert (nobody.status_int, nobody.json["code"]) == (401, "session.required")
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    with world.work() as work:
        token = work.db.query(Token).one()
        assert token.used_at is not None
        token.expires_at = utcnow() - timedelta(seconds=1)
    assert anna("GET", "/session").status_int == 401


def test_a_refusal_is_problem_json_with_code_and_article(world, anna):
    answer = anna("GET", "/machines/4711")
    assert answer.content_type == "application/problem+json"
    found = answer.json
    assert (found["status"], found["code"]) == (404, "object.not_found")
    assert found["request"] == answer.headers["X-Request-Id"]
    assert world.anonymous().get(found["type"]).status_int == 200
    put = anna("PUT", "/machines", {})
    assert (put.status_int, put.json["code"]) == (405, "request.method")
    assert put.headers["Allow"] == "GET, HEAD"


def _walk(api, path):
    """Follow the cursors; return all items."""
    items, cursor = [], ""
    while True:
        page = api("GET", f"{path}{cursor}").json
        items += page["items"]
        if page["next"] is None:
            return items
        assert page["items"]
        cursor = f"&cursor={page['next']}"


@pytest.mark.parametrize("sort", ["", "&sort=name", "&sort=-memory"])
def test_a_list_comes_in_pages(world, anna, cloud, sort):
    for number in range(3, 8):
        world.machine(f"web{number:02}", cloud, size="small")
    found = _walk(anna, f"/machines?limit=3{sort}")
    assert sorted(row["name"] for row in found) == [f"web{n:02}" for n in range(1, 8)]
    if sort == "&sort=name":
        assert [row["name"] for row in found] == sorted(row["name"] for row in found)
    if sort == "&sort=-memory":
        assert [row["memory"] for row in found] == [262144] * 5 + [131072] * 2
    operations = _walk(anna, "/operations?limit=2")
    ids = [row["id"] for row in operations]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == len(set(ids)) == 8
    assert [row["name"] for row in _walk(anna, "/pools?limit=1")] == ["Cloud", "Web"]


def test_lists_are_narrowed(world, anna, cloud):
    other = world.pool("Other")
    world.machine("db01", other)

    def names(query):
        return [row["name"] for row in anna("GET", f"/machines?{query}").json["items"]]

    assert names("q=WEB") == ["web01", "web02"]
    assert names("state=running") == ["web01"]
    assert names(f"pool_id={other.id}") == ["db01"]
    assert names("owner=admin") == ["web01", "web02", "db01"]
    assert names("owner=nobody") == []
    assert [row["name"] for row in anna("GET", "/pools?q=oth").json["items"]] == ["Other"]
    root = world.root().id
    children = anna("GET", f"/pools?parent_id={root}").json["items"]
    assert [(row["name"], row["machines"]) for row in children] == [("Web", 2), ("Other", 1)]
    assert anna("GET", "/operations?open=true").json["items"][0]["type"] == "image.copy"
    assert len(anna("GET", "/operations?state=done").json["items"]) == 3


def test_a_pool_is_edited_only_as_it_was_seen(world, anna):
    path = f"/pools/{world.pool('Web').id}"
    etag = anna("GET", path).headers["ETag"]
    blind = anna("PATCH", path, {"name": "Shop"})
    assert (blind.status_int, blind.json["code"]) == (428, "request.precondition")
    assert anna("PATCH", path, {"name": "Shop"}, If_Match=etag).headers["ETag"] != etag
    late = anna("PATCH", path, {"name": "Store"}, If_Match=etag)
    assert (late.status_int, late.json["code"]) == (412, "object.outdated")
    assert anna("PATCH", path, {"name": "Store"}, If_Match="nonsense").status_int == 412
    assert anna("PATCH", path, {"name": "Store"}, If_Match="*").json["name"] == "Store"
    assert anna("PATCH", path, {}, If_Match="*").status_int == 422


def test_a_key_makes_one_thing_however_often_it_is_sent(world, anna, cloud):
    path, order = f"/pools/{cloud.id}/machines", {"name": "web03", "size": "tiny", "start": True}
    order["image_id"] = anna("GET", "/images").json["items"][0]["id"]
    first = anna("POST", path, order, Idempotency_Key="k1")
    again = anna("POST", path, order, Idempotency_Key="k1")
    assert (first.status_int, again.status_int) == (202, 202)
    assert first.json["machine"]["id"] == again.json["machine"]["id"]
    assert first.headers["Location"] == again.headers["Location"]

    other = anna("POST", path, {**order, "name": "web04"}, Idempotency_Key="k1")
    assert (other.status_int, other.json["code"]) == (409, "request.idempotency")
    ben = world.api(world.user("ben", "User", cloud))
    assert ben("POST", path, {**order, "name": "web04"}, Idempotency_Key="k1").status_int == 202

    refused = anna("POST", path, {**order, "name": "web01"}, Idempotency_Key="k2")
    assert (refused.status_int, refused.json["code"]) == (409, "name.taken")
    assert anna("POST", path, {**order, "name": "web05"}, Idempotency_Key="k2").status_int == 202


def test_fault_22_a_key_sent_twice_at_once_makes_one_thing(world, anna):
    path = f"/pools/{world.root().id}/pools"
    start = threading.Barrier(2)

    def send(_number):
        start.wait()
        return anna("POST", path, {"name": "Web"}, Idempotency_Key="k")

    with ThreadPoolExecutor(2) as two:
        answers = list(two.map(send, range(2)))
    assert [answer.status_int for answer in answers] == [201, 201]
    assert len({answer.json["id"] for answer in answers}) == 1


def test_a_quota_is_set_and_shown_with_every_level_above(world, anna, cloud):
    space = world.pool("Space", cloud)
    limits = {"vcpus": 1, "storage": 10**12}
    answer = anna("PUT", f"/pools/{cloud.id}/quota", limits)
    assert answer.json["levels"][0]["limits"] == {
        "vcpus": 1, "memory": None, "nics": None, "machines": None, "redundancy": None,
        "storage": 10**12,
    }  # fmt: skip
    levels = anna("GET", f"/pools/{space.id}/quota").json["levels"]
    assert [level["pool"]["name"] for level in levels] == ["Space", "Web", "Cloud"]
    assert levels[1]["used"]["vcpus"] == 1
    assert levels[1]["used"]["storage"] == 2 * 10**9


def test_a_start_past_the_quota_is_refused_with_the_figures(world, anna, cloud):
    anna("PUT", f"/pools/{cloud.id}/quota", {"machines": 1})
    stopped = anna("GET", "/machines?q=web02").json["items"][0]
    refused = anna("POST", f"/machines/{stopped['id']}/actions/start")
    assert (refused.status_int, refused.json["code"]) == (409, "quota.exceeded")
    assert "Web: running machines 1 of 1 used, 1 wanted, 1 short" in refused.json["detail"]
    assert refused.json["context"]["blocks"][0]["short"] == 1
    assert anna("GET", f"/machines/{stopped['id']}").json["operation_id"] is None


def test_an_action_that_the_state_forbids_is_refused(anna, cloud):
    running = anna("GET", "/machines?q=web01").json["items"][0]
    refused = anna("POST", f"/machines/{running['id']}/actions/start")
    assert (refused.status_int, refused.json["code"]) == (409, "machine.state")
    assert anna("DELETE", f"/machines/{running['id']}").json["code"] == "machine.state"
    assert anna("POST", f"/machines/{running['id']}/actions/explode").status_int == 422


def test_a_machine_is_deleted(world, anna, cloud):
    stopped = anna("GET", "/machines?q=web02").json["items"][0]
    accepted = anna("DELETE", f"/machines/{stopped['id']}?for_good=true")
    assert accepted.status_int == 202
    world.finish(accepted.json["operation"]["id"])
    assert anna("GET", f"/machines/{stopped['id']}").status_int == 404


def test_the_end_of_an_operation_is_waited_for(world, anna, cloud):
    stopped = anna("GET", "/machines?q=web02").json["items"][0]
    operation = anna("POST", f"/machines/{stopped['id']}/actions/start").json["operation"]

    began = time.monotonic()
    waited = anna("GET", f"/operations/{operation['id']}?wait=0.5").json
    assert waited["state"] == "queued"
    assert 0.5 <= time.monotonic() - began < 5

    timer = threading.Timer(0.3, world.finish, [operation["id"]])
    timer.start()
    began = time.monotonic()
    assert anna("GET", f"/operations/{operation['id']}?wait=20").json["state"] == "done"
    assert time.monotonic() - began < 10
    timer.join()
    assert anna("GET", f"/operations/{operation['id']}?wait=21").status_int == 422


def test_those_who_wait_leave_threads_to_the_others(world, anna, cloud):
    stopped = anna("GET", "/machines?q=web02").json["items"][0]
    operation = anna("POST", f"/machines/{stopped['id']}/actions/start").json["operation"]
    path = f"/operations/{operation['id']}?wait=20"
    with ThreadPoolExecutor(6) as six:
        answers = as_completed([six.submit(anna, "GET", path) for _ in range(6)])
        at_once = [next(answers).result().json["state"] for _ in range(4)]
        world.finish(operation["id"])
        waited = [answer.result().json["state"] for answer in answers]
    assert (at_once, waited) == (["queued"] * 4, ["done"] * 2)


def test_an_operation_is_cancelled_and_tried_again(anna, cloud):
    stopped = anna("GET", "/machines?q=web02").json["items"][0]
    operation = anna("POST", f"/machines/{stopped['id']}/actions/start").json["operation"]
    cancelled = anna("POST", f"/operations/{operation['id']}/cancel")
    assert cancelled.status_int == 202
    assert cancelled.json["operation"]["state"] == "cancelled"
    assert anna("POST", f"/operations/{operation['id']}/cancel").status_int == 409
    again = anna("POST", f"/operations/{operation['id']}/retry")
    assert again.json["operation"]["id"] > operation["id"]
    assert again.headers["Location"].endswith(f"/operations/{again.json['operation']['id']}")
    found = anna("GET", f"/operations/{operation['id']}").json
    assert found["error"]["code"] == "operation.cancelled"
    assert "asked to cancel" in found["log"][0]["text"]


def test_a_console_ticket_is_for_machines_that_run(world, anna, cloud):
    running, stopped = anna("GET", "/machines?sort=name").json["items"]
    ticket = anna("POST", f"/machines/{running['id']}/consoles", {"kind": "serial"})
    assert ticket.status_int == 201
    assert ticket.json["url"] == "/live/console"
    with world.work() as work:
        used = consoles.use(work, ticket.json["ticket"])
    assert used.machine_id == running["id"]
    assert used.token_id is not None
    refused = anna("POST", f"/machines/{stopped['id']}/consoles", {})
    assert (refused.status_int, refused.json["code"]) == (409, "console.unavailable")


def test_hosts_and_storage_say_how_full_they_are(anna, cloud):
    host = anna("GET", "/hosts").json["items"][0]
    assert (host["state"], host["cpus"], host["virt_type"]) == ("up", 64, "qemu")
    assert host["load"] == {"machines": 1, "vcpus": 1, "memory": 131072}
    off = anna("PATCH", f"/hosts/{host['id']}", {"enabled": False})
    assert off.json["enabled"] is False
    store = anna("GET", "/storage-pools").json["items"][0]
    assert store["capacity"] == 10**15
    assert anna("GET", f"/storage-pools/{store['id']}").json == store


def test_images_and_sizes_are_what_a_machine_is_made_from(world, anna, cloud):
    image = anna("GET", f"/images?pool_id={cloud.id}").json["items"][0]
    assert anna("GET", f"/images/{image['id']}").json == image
    sizes = {size["name"]: size for size in anna("GET", "/sizes").json["items"]}
    assert sizes["small"] == {
        "name": "small", "vcpus": 2, "memory": 262144, "storage": 15 * 10**9,
    }  # fmt: skip
    assert anna("GET", "/images?pool_id=4711").json["items"] == []


def test_consumption_lists_what_machines_used(world, anna, cloud):
    month = anna("GET", "/consumption").json["items"][0]
    assert month["machines"] == 2
    report = anna("GET", f"/consumption/{month['month']}").json
    space = report["accounts"][0]["spaces"][0]
    assert [row["name"] for row in space["machines"]] == ["web01", "web02"]
    assert all(row["used"]["storage_gb_hours"] >= 0 for row in space["machines"])
    flat = str(report).lower()
    assert not any(word in flat for word in ("cost", "price", "credit", "amount"))


def test_an_answer_of_the_api_is_written_down_as_its_door(world, anna):
    made = anna("POST", f"/pools/{world.root().id}/pools", {"name": "Web"}).json
    with world.work() as work:
        row = work.db.scalars(select(Audit).order_by(Audit.id.desc())).first()
    assert (row.action, row.actor, row.door) == ("pool.create", "anna@internal", "api")
    assert (row.object_id, len(row.request_id)) == (made["id"], 32)


def test_two_actions_may_wait_one_after_the_other(world, anna, cloud):
    stopped = anna("GET", "/machines?q=web02").json["items"][0]
    anna("POST", f"/machines/{stopped['id']}/actions/start")
    queued = anna("GET", f"/machines/{stopped['id']}").json
    assert queued["state"] == "stopped"
    assert "shutdown" in queued["actions"]
    assert anna("POST", f"/machines/{stopped['id']}/actions/shutdown").status_int == 202
    with world.work() as work:
        assert Action.START in machines.allowed(machines.get(work, stopped["id"]))


def test_an_answer_names_the_page_that_shows_the_same(anna, cloud):
    listed = anna("GET", "/machines?sort=name")
    assert listed.headers["Link"].startswith("</machines>;")
    number = listed.json["items"][0]["id"]
    shown = anna("GET", f"/machines/{number}").headers["Link"]
    assert shown == f'</machines/{number}>; rel="alternate"; type="text/html"'

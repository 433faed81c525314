"""What holds for every call of the API: done once, nobody overwritten, lists whole page by page."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from ovcadmin.models import IdempotencyKey, Token
from ovcadmin.services import tokens
from tests.functional.world import Api

LISTS = (
    "/extensions", "/sessions", "/tokens", "/pools", "/users", "/users/{admin}/tokens", "/roles",
    "/groups", "/realms", "/audit", "/images", "/images/{image}/copies", "/sizes", "/machines",
    "/hosts", "/hosts/{host}/domains", "/storage-pools", "/storage-pools/{store}/volumes",
    "/pools/{pool}/grants", "/pools/{pool}/persons", "/pools/{pool}/loans", "/operations",
    "/machines/{machine}/snapshots", "/machines/{machine}/placement", "/logical-groups",
    "/tags?word=shop", "/notes?kind=machine&object={machine}", "/cases", "/profiles",
    "/help-desk?q=web", "/knowledge", "/consumption", "/consoles", "/image-uploads",
    "/quota-requests", "/quota-requests?whose=own",
)  # fmt: skip


@pytest.fixture
def cloud(world):
    """A pool with two machines and what belongs to them, and its administrator's client."""
    pool, host = world.pool("Web"), world.host()
    image, store = world.image(), world.store(host)
    admin = world.admin()
    web01, web02 = (world.machine(name, pool) for name in ("web01", "web02"))
    api = world.api(admin)
    for machine in (web01, web02):
        api("PUT", f"/machines/{machine.id}/tags", {"tags": ["shop"]})
        note = {"kind": "machine", "object": web01.id, "text": f"About {machine.name}"}
        assert api("POST", "/notes", note).status_int == 201
        asked = api("POST", f"/machines/{machine.id}/actions/start")
        assert asked.status_int == 202
    names = {
        "pool": pool, "host": host, "image": image, "store": store, "machine": web01,
        "admin": admin,
    }  # fmt: skip
    return api, {name: row.id for name, row in names.items()}


def _whole(api: Api, path: str) -> list[dict]:
    """Read a list one item at a time."""
    found, cursor = [], ""
    between = "&" if "?" in path else "?"
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        answer = api("GET", f"{path}{between}limit=1{more}")
        assert answer.status_int == 200, answer.text
        assert len(answer.json["items"]) <= 1
        found += answer.json["items"]
        cursor = answer.json["next"]
        assert len(found) < 500
    return found


def _without_age(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seen_at"} for row in rows]


def test_every_list_is_the_same_page_by_page(cloud):
    api, ids = cloud
    for pattern in LISTS:
        path = pattern.format(**ids)
        between = "&" if "?" in path else "?"
        at_once = api("GET", f"{path}{between}limit=200")
        assert at_once.status_int == 200, (path, at_once.text)
        if at_once.json["next"] is None and path not in ("/audit", "/knowledge"):
            assert _without_age(_whole(api, path)) == _without_age(at_once.json["items"]), path


def test_a_list_is_ordered_by_any_field_and_searched_by_name(cloud):
    api, _ids = cloud
    memory = [row["memory"] for row in api("GET", "/sizes?sort=-memory").json["items"]]
    assert memory == sorted(memory, reverse=True)
    assert len(memory) > 1
    rows = api("GET", "/operations?sort=id").json["items"]
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    names = [row["name"] for row in api("GET", "/users?sort=-name&limit=200").json["items"]]
    assert names == sorted(names, reverse=True)
    assert [row["name"] for row in api("GET", "/roles?q=ADMIN&sort=name").json["items"]] == [
        "Administrator", "Super Admin",
    ]  # fmt: skip
    wrong = api("GET", "/sizes?sort=colour")
    assert (wrong.status_int, wrong.json["fields"][0]["field"]) == (422, "sort")
    nested = api("GET", "/roles?sort=privileges")
    assert (nested.status_int, nested.json["fields"][0]["field"]) == (422, "sort")


LEASE = {"run_until": None, "keep_until": None}
SAVED = {**LEASE, "run_end": "save"}
CHANGES = (
    ("PUT", "/machines/{machine}/tags", None, {"tags": ["a"]}, {"tags": ["b"]}),
    ("PUT", "/pools/{pool}/policy", None, {"warnings": {"vcpus": 50}}, {"warnings": {"vcpus": 60}}),
    ("PUT", "/pools/{pool}/persons", None, {"limits": {"vcpus": 5}}, {"limits": {"vcpus": 6}}),
    (
        "PUT", "/pools/{pool}/snapshot-schedule", None,
        {"times": "0 3 * * *", "keep": 2}, {"times": "0 4 * * *", "keep": 3},
    ),
    ("PUT", "/machines/{machine}/lease", "/machines/{machine}", LEASE, SAVED),
    (
        "PUT", "/storage-pools/{store}/layers", None,
        {"layers": ["raid md0"]}, {"layers": ["raid md0", "lvm vg0"]},
    ),
    ("PATCH", "/images/{image}", None, {"description": "a"}, {"description": "b"}),
    ("PATCH", "/hosts/{host}", None, {"description": "a"}, {"description": "b"}),
    ("PATCH", "/hosts/{host}", None, {"enabled": False}, {"enabled": True}),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path", "shown", "first", "second"), CHANGES)
def test_fault_22_who_saw_something_else_changes_nothing(cloud, method, path, shown, first, second):
    api, ids = cloud
    path, shown = path.format(**ids), (shown or path).format(**ids)
    seen = api("GET", shown).headers["ETag"]
    done = api(method, path, first, If_Match=seen)
    assert done.status_int == 200, done.text
    now = api("GET", shown)
    assert now.headers["ETag"] == done.headers["ETag"] != seen
    late = api(method, path, second, If_Match=seen)
    assert (late.status_int, late.json["code"]) == (412, "object.outdated")
    assert api("GET", shown).json == now.json
    assert api(method, path, second, If_Match=now.headers["ETag"]).status_int == 200
    assert api(method, path, second, If_Match="*").status_int == 200
    assert api(method, path, second).status_int == 200  # whoever names no version takes any


def test_fault_22_what_became_another_thing_is_not_deleted(cloud):
    api, ids = cloud
    path = f"/pools/{ids['pool']}"
    child = api("POST", f"{path}/pools", {"name": "Shop"})
    shop, seen = f"/pools/{child.json['id']}", child.headers["ETag"]
    edited = api("PATCH", shop, {"description": "in use again"}, If_Match=seen)
    assert api("DELETE", shop, If_Match=seen).status_int == 412
    assert api("DELETE", shop, If_Match=edited.headers["ETag"]).status_int == 204


def test_fault_22_a_device_is_changed_as_it_was_seen(cloud):
    api, ids = cloud
    path = f"/machines/{ids['machine']}"
    seen = api("GET", f"{path}/devices").headers["ETag"]
    limit = {"percent": 50}
    assert api("PUT", f"{path}/cpu-limit", limit, If_Match='"another"').status_int == 412
    assert api("GET", f"{path}/devices").headers["ETag"] == seen
    assert api("PUT", f"{path}/cpu-limit", limit, If_Match=seen).status_int in (202, 409)


def test_fault_22_of_two_at_once_one_is_told(world):
    pool, api = world.pool("Web"), world.api(world.admin())
    path = f"/pools/{pool.id}/tags"
    seen, start = api("GET", path).headers["ETag"], threading.Barrier(2)

    def put(word):
        start.wait()
        return api("PUT", path, {"tags": [word]}, If_Match=seen).status_int

    with ThreadPoolExecutor(2) as two:
        assert sorted(two.map(put, ("one", "other"))) == [200, 412]


def test_whatever_is_posted_is_done_once(cloud):
    api, ids = cloud
    pool = f"/pools/{ids['pool']}"
    group = api("POST", f"{pool}/logical-groups", {"name": "Shop"}).json["id"]
    posts = (
        ("/notes", {"kind": "machine", "object": ids["machine"], "text": "Look"}),
        ("/cases", {
            "kind": "machine", "object": ids["machine"], "owner_id": ids["admin"], "text": "Why?",
        }),
        ("/knowledge", {"section": "administration", "title": "Ours", "body": "Words."}),
        (f"{pool}/profiles", {"name": "Small", "image_id": ids["image"], "size": "small"}),
        (f"{pool}/image-uploads", {"name": "Own", "size": 1024}),
        (f"{pool}/state", {"action": "freeze"}),
        (f"/logical-groups/{group}/members", {"kind": "machine", "name": "web01"}),
        (f"/hosts/{ids['host']}/check", None),
    )  # fmt: skip
    for number, (path, body) in enumerate(posts):
        first = api("POST", path, body, Idempotency_Key=f"k{number}")
        assert first.status_int in (200, 201, 202), (path, first.text)
        again = api("POST", path, body, Idempotency_Key=f"k{number}")
        assert (again.status_int, again.json) == (first.status_int, first.json), path
        assert again.headers.get("Location") == first.headers.get("Location"), path
    notes = api("GET", f"/notes?kind=machine&object={ids['machine']}").json["items"]
    assert [row["text"] for row in notes].count("Look") == 1


def test_the_key_of_a_token_is_kept_nowhere(world):
    with world.work() as work:  # no token makes one that outlives it
        api = Api(world.app, tokens.create(work, world.admin().id, name="long", days=30)[1])
    order = {"name": "script", "days": 1}
    first, again = (api("POST", "/tokens", order, Idempotency_Key="t") for _ in range(2))
    assert (first.status_int, again.status_int) == (201, 201), again.text
    first, again = first.json, again.json
    assert first["id"] == again["id"]
    assert first["key"] != again["key"]
    good = {told["key"]: Api(world.app, told["key"])("GET", "/session") for told in (first, again)}
    assert [answer.status_int for answer in good.values()] == [401, 200]
    with world.work() as work:
        kept = work.db.scalars(select(IdempotencyKey.answer)).all()
        assert work.db.scalar(select(Token.name).where(Token.id == first["id"])) == "script"
    assert "key" not in kept[0]["body"]
    assert not any(key in str(kept) for key in good)

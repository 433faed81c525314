"""What people and attackers type: a clear word next to the field, and nothing changed."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
import webob
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ovcadmin.domain.resources import LARGEST
from ovcadmin.services import pools
from tests.functional.world import form

BIDI = "\u202egpj.exe"
GOOD_NAMES = [
    "web 01",
    "Ünïcödé Ж 漢字",
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    '"><img src=x onerror=alert(1)>',
    "' OR 1=1 --",
    "=cmd()|' /C calc'!A0",
    "../../etc/passwd",
    "</name><qemu:commandline>",
    "a" * 100,
]
BAD_NAMES = ["", "   ", "a" * 101, "a" * 10_000, "two\nlines", BIDI, "bell\a", "two\u2028lines"]
BAD_AMOUNTS = [
    "-1", "+1", "1e9", "1.5", "٣", "３", "NaN", "Infinity", "0x10", "1_000", "1 000", "ten", "1;2",
    str(2**63), "9" * 30, "--", "1/2",
]  # fmt: skip
ODD_BUT_GOOD = {"": None, "0": 0, " 7 ": 7, "007": 7, "7\u00a0": 7}


@pytest.fixture
def anna(world):
    return world.user("anna", "Super Admin")


def _errors(page):
    """What the page says next to its fields, by the field's name."""
    found = {}
    for field in page.html.select("[aria-invalid=true]"):
        found[field["name"]] = page.html.find(id=field["aria-describedby"].split()[0]).text
    return found


def _children(world):
    with world.work() as work:
        return [pool.name for pool in pools.children(work, pools.root(work))]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_fault_21_a_strange_name_is_a_name_and_shown_as_it_is(world, anna, name):
    browser = world.signed_in(anna)
    path = f"/pools/new?parent={world.root().id}"
    entry = form(browser.get(path))
    entry["name"] = name
    page = entry.submit().follow()
    assert page.html.find("h1").get_text(strip=True) == name
    assert not page.html.find_all("script", src=None)
    assert not page.html.find_all("img")
    assert name in [link.get_text(strip=True) for link in browser.get("/pools").html.find_all("a")]
    assert world.api(anna)("GET", "/pools").json["items"][1]["name"] == name


@pytest.mark.parametrize("name", BAD_NAMES)
def test_fault_21_a_bad_name_is_refused_next_to_its_field(world, anna, name):
    browser = world.signed_in(anna)
    path = f"/pools/new?parent={world.root().id}"
    answer = browser.send(path, {"name": name, "description": "kept"})
    assert answer.status_int == 422
    assert set(_errors(answer)) == {"name"}
    assert form(answer)["description"].value == "kept"
    assert form(answer)["name"].value == name
    refused = world.api(anna)("POST", f"/pools/{world.root().id}/pools", {"name": name})
    assert refused.status_int == 422
    assert [found["field"] for found in refused.json["fields"]] == ["name"]
    assert _children(world) == []


EVIL = "<script>alert(1)</script>"


@pytest.fixture
def named(world, anna):
    """Of each kind of thing: how its name is changed, by whom, and the pages that show it."""
    api, pool, _ = world.api(anna), world.pool("Web"), world.host()
    image, helga = world.image(), world.user("helga", "Help Desk")
    machine = world.machine("web01", pool)
    group = api("POST", f"/pools/{pool.id}/logical-groups", {"name": "Shop"}).json["id"]
    role = api("POST", "/roles", {"name": "Operator", "privileges": ["view"]}).json["id"]
    article = {"section": "tutorials", "title": "How", "body": "x", "publish": True}
    slug = world.api(helga)("POST", "/knowledge", article).json["slug"]
    return {
        "machine": (anna, "PATCH", f"/machines/{machine.id}", "name",
                    [f"/machines/{machine.id}", "/machines"]),
        "image": (anna, "PATCH", f"/images/{image.id}", "name",
                  [f"/images/{image.id}", "/images", f"/machines/new?pool={pool.id}"]),
        "set": (anna, "PATCH", f"/logical-groups/{group}", "name",
                [f"/logical-groups/{group}", "/logical-groups"]),
        "role": (anna, "PATCH", f"/roles/{role}", "name", ["/roles"]),
        "article": (helga, "PUT", f"/knowledge/tutorials/{slug}", "title",
                    [f"/knowledge/tutorials/{slug}", "/knowledge/tutorials"]),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["machine", "image", "set", "role", "article"])
def test_fault_21_whatever_can_be_named(world, named, kind):
    """Markup and templates are names, shown as text; what is no line of text is refused."""
    who, method, path, field, pages = named[kind]
    api, browser = world.api(who), world.signed_in(who)
    more = {"publish": True} if kind == "article" else {}
    for name in (EVIL, "{{7*7}} ${7*7}", "=cmd()|' /C calc'!A0"):
        version = api("GET", path).headers.get("ETag")
        match = {"If-Match": version} if version else {}
        answer = api(method, path, {field: name, **more}, **match)
        assert answer.status_int == 200, answer.json
        assert answer.content_type == "application/json"
        assert api("GET", path).json[field] == name
        for page in map(browser.get, pages):
            assert EVIL not in page.text
            assert name in page.html.get_text(), page.request.path
            assert "49" not in page.html.select_one("h1").text
    for name in ("a" * 10_000, "two\nlines", BIDI, " "):
        version = api("GET", path).headers.get("ETag")
        match = {"If-Match": version} if version else {}
        refused = api(method, path, {field: name, **more}, **match)
        assert refused.status_int == 422, name[:20]
        assert refused.content_type == "application/problem+json"
        assert [one["field"] for one in refused.json["fields"]] == [field]
        assert name.strip() not in refused.text or not name.strip()


@pytest.mark.parametrize("word", [EVIL, "{{7*7}}", BIDI, "a" * 10_000, "=cmd()"])
def test_fault_21_a_tag_is_a_word(world, anna, word):
    api, _ = world.api(anna), world.host()
    machine = world.machine("web01", world.pool("Web"), image=world.image())
    path = f"/machines/{machine.id}/tags"
    answer = api("PUT", path, {"tags": ["good", word]})
    assert (answer.status_int, answer.content_type) == (422, "application/problem+json")
    assert len(answer.text) < 1000
    assert api("GET", path).json["tags"] == []


def test_fault_21_names_that_read_the_same_are_the_same(world, anna):
    browser = world.signed_in(anna)
    path = f"/pools/new?parent={world.root().id}"
    assert browser.send(path, {"name": "Straße"}).status_int == 303
    for twin in ("STRASSE", "straße", "Ｓtraße", " Straße "):
        answer = browser.send(path, {"name": twin})
        assert answer.status_int == 409
        assert "There is already a pool" in _errors(answer)["name"]


def test_fault_21_a_name_that_is_a_formula_is_none_in_a_file(world, anna):
    pool = world.pool("=1+1")
    world.host()
    world.image()
    world.machine("=cmd()", pool)
    text = world.signed_in(anna).get(f"/consumption/{_month()}.csv").text
    assert ",=" not in text
    assert "\n=" not in text
    assert "'=cmd()" in text


def _month():
    from ovcadmin.models import utcnow  # noqa: PLC0415

    return f"{utcnow():%Y-%m}"


@pytest.mark.parametrize("resource", ["vcpus", "memory", "storage", "machines"])
@pytest.mark.parametrize("text", BAD_AMOUNTS)
def test_fault_08_a_bad_amount_is_refused_next_to_its_field(world, anna, resource, text):
    if text == "1.5" and resource in ("memory", "storage"):
        text = "1.5 parsecs"
    pool, browser = world.pool("Web", vcpus=3), world.signed_in(anna)
    answer = browser.send(f"/pools/{pool.id}/quota", {"nics": "9", resource: text})
    assert answer.status_int == 422
    assert set(_errors(answer)) == {resource}
    assert form(answer)[resource].value == text
    assert form(answer)["nics"].value == "9"
    assert _limits(world, pool)["vcpus"] == 3


@pytest.mark.parametrize(
    "value",
    [-1, 1.5, "5", "", True, [], {}, 2**63, LARGEST + 1, 1e300],
)
def test_fault_08_a_bad_amount_is_refused_by_the_api(world, anna, value):
    pool = world.pool("Web", vcpus=3)
    answer = world.api(anna)("PUT", f"/pools/{pool.id}/quota", {"vcpus": value, "nics": 4})
    assert answer.status_int == 422
    assert [found["field"] for found in answer.json["fields"]] == ["vcpus"]
    assert _limits(world, pool)["vcpus"] == 3


@pytest.mark.parametrize("text", list(ODD_BUT_GOOD))
def test_fault_08_blank_is_no_limit_and_zero_is_none_at_all(world, anna, text):
    pool, browser = world.pool("Web", vcpus=3), world.signed_in(anna)
    assert browser.send(f"/pools/{pool.id}/quota", {"vcpus": text}).status_int == 303
    assert _limits(world, pool)["vcpus"] == ODD_BUT_GOOD[text]


@pytest.mark.parametrize(
    "text, kib",
    [
        ("512", 524288),
        ("512 MiB", 524288),
        ("512MB", 500000),
        ("1.5 GiB", 1572864),
        ("1tib", 2**30),
    ],
)
def test_fault_08_units_of_memory_are_told_apart(world, anna, text, kib):
    pool, browser = world.pool("Web"), world.signed_in(anna)
    assert browser.send(f"/pools/{pool.id}/quota", {"memory": text}).status_int == 303
    assert _limits(world, pool)["memory"] == kib


def _limits(world, pool):
    with world.work() as work:
        return dict(pools.get(work, pool.id).limits.items())


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"nonsense",
    b'{"name": "a", "name": "b"}',
    b'{"name": NaN}',
    b'{"name": "a\\u0000b"}',
    b'{"name": "\xff\xfe"}',
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"name": ' + b"9" * 10_000 + b"}",
    json.dumps({"name": "a" * 2_000_000}).encode(),
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_that_is_no_right_json_is_refused(sqlite_world, body):
    anna = sqlite_world.api(sqlite_world.user("anna", "Super Admin"))
    path = f"/api/v1/pools/{sqlite_world.root().id}/pools"
    headers = {**anna.headers, "Content-Type": "application/json"}
    answer = anna.app.post(path, body, headers=headers, expect_errors=True)
    assert answer.status_int in (400, 413, 422)
    assert answer.content_type == "application/problem+json"
    assert _children(sqlite_world) == []


@pytest.mark.parametrize("kind", ["text/plain", "text/json", "application/xml", "x", ""])
def test_a_body_of_another_kind_is_refused(sqlite_world, kind):
    anna = sqlite_world.api(sqlite_world.user("anna", "Super Admin"))
    path = f"/api/v1/pools/{sqlite_world.root().id}/pools"
    headers = {**anna.headers, "Content-Type": kind}
    answer = anna.app.post(path, b'{"name": "Web"}', headers=headers, expect_errors=True)
    assert answer.status_int == 400


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=1e3", "limit=abc", "limit=٣", "limit=99999999999999999999",
        "cursor=x", "cursor=-1", "cursor=" + "9" * 50, "sort=password", "state=gone", "satte=x",
        "pool_id=1;drop", "q=%00", "q=%ff", "limit=5&limit=6", "q=" + "a" * 300, "pool_id=",
    ],
)  # fmt: skip
def test_a_bad_filter_is_refused_by_the_api(sqlite_world, query):
    anna = sqlite_world.api(sqlite_world.user("anna", "Super Admin"))
    answer = anna("GET", f"/machines?{query}")
    assert answer.status_int in (400, 422), answer.text


@pytest.mark.parametrize("path", ["/machines", "/operations", "/pools", "/hosts", "/consumption"])
@pytest.mark.parametrize(
    "query",
    [
        "q=%00", "q=%ff%fe", "page=-1", "page=" + "9" * 20, "page=٣", "sort=%27", "q=%25%25",
        "state=nothing", "before=x", "pool=x", "pool=-1", "pool=9999999999999999", "host=%27",
        "q=" + "a" * 9000, "x" * 9000, "q=%27%20OR%201=1", "a[]=1&a[]=2", "=", "&&&",
    ],
)  # fmt: skip
def test_no_query_makes_a_page_fail(sqlite_world, path, query):
    browser = sqlite_world.signed_in(sqlite_world.user("anna", "Super Admin"))
    assert browser.fetch(f"{path}?{query}").status_int in (200, 400, 404, 413)


@pytest.mark.parametrize(
    "path",
    [
        "/machines/0", "/machines/99999999999", "/machines/٣", "/machines/-1", "/machines/1.0",
        "/machines/%00", "/machines/1%2f2", "/machines/1/actions/explode",
        "/machines/1/actions/create", "/pools/new?parent=", "/pools/new?parent=x", "/pools/new",
        "/consumption/2026-13", "/consumption/0000-01", "/consumption/9999-12",
        "/help/errors/../../../etc/passwd", "/help/errors/no.such", "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/machines/0", "/api/v1/machines/٣", "/api/v1/machines/99999999999999999999",
        "/api/v1/machines/x", "/api/v1/nothing", "/api/", "/api/v1/consumption/2026-13",
        "/api/v1/consumption/9999-12", "//", "/\\", "/signin/",
    ],
)  # fmt: skip
def test_no_address_makes_the_console_fail(sqlite_world, path):
    browser = sqlite_world.signed_in(sqlite_world.user("anna", "Super Admin"))
    assert browser.fetch(quote(path, safe="/%?=")).status_int in (200, 303, 400, 404, 422)


@pytest.mark.parametrize("path", ["/machines/\xff", "/api/v1/\xc3\x28", "/static/\xff"])
def test_an_address_that_is_no_utf_8_is_refused(sqlite_world, path):
    request = webob.Request.blank("/", environ={"PATH_INFO": path, "REMOTE_ADDR": "192.0.2.7"})
    answer = request.get_response(sqlite_world.app)
    assert answer.status_int == 400
    assert "request.malformed" in answer.text


def test_a_form_in_another_charset_or_with_files_is_refused(sqlite_world):
    browser = sqlite_world.signed_in(sqlite_world.user("anna", "Super Admin"))
    path = f"/pools/new?parent={sqlite_world.root().id}"
    form_type = "application/x-www-form-urlencoded"
    for kind in (
        f"{form_type}; charset=utf-16",
        f"{form_type}; charset=none",
        "multipart/form-data",
    ):
        assert browser.send(path, b"name=Web", headers={"Content-Type": kind}).status_int == 400
    files = browser.send(path, {"name": "Web"}, upload_files=[("name", "x.txt", b"Web")])
    assert files.status_int == 400
    assert browser.send(path, b"name=%ff%fe").status_int == 400
    assert browser.send(path, b"name=a%00b").status_int == 400
    assert browser.send(path, b"name=" + b"a" * 1_100_000).status_int == 413
    assert browser.send(path, b"&".join(b"x%d=1" % i for i in range(20_000))).status_int == 413
    assert _children(sqlite_world) == []


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.text(max_size=120),
    description=st.text(max_size=200),
    version=st.one_of(st.text(max_size=20), st.integers().map(str)),
)
def test_no_text_in_a_form_makes_the_console_fail(sqlite_world, name, description, version):
    if not sqlite_world.__dict__.get("fuzzed"):
        sqlite_world.fuzzed = sqlite_world.pool("Web")
        sqlite_world.fuzzer = sqlite_world.signed_in(sqlite_world.user("anna", "Super Admin"))
    fields = {"name": name, "description": description, "version": version}
    encoded = {
        key: value.encode("utf-8", "replace").decode("utf-8") for key, value in fields.items()
    }
    answer = sqlite_world.fuzzer.send(f"/pools/{sqlite_world.fuzzed.id}/edit", encoded)
    assert answer.status_int in (303, 400, 412, 422)

"""Nobody else's page acts in a user's name."""

from __future__ import annotations

import pytest

from ovcadmin.services import pools
from tests.functional.world import PASSWORD, form


@pytest.fixture
def anna(world):
    return world.user("anna", "Super Admin")


def _new_pool(world, browser, fields=None, **headers):
    url = f"/pools/new?parent={world.root().id}"
    return browser.post(url, fields or {"name": "Web"}, headers=headers, expect_errors=True)


def _names(world):
    with world.work() as work:
        return [node.pool.name for node in pools.tree(work)]


def test_the_form_of_the_page_works(world, anna):
    browser = world.signed_in(anna)
    entry = form(browser.get(entry_path(world)))
    entry["name"] = "Web"
    assert entry.submit().status_int == 303
    assert _names(world) == ["Cloud", "Web"]


def entry_path(world):
    return f"/pools/new?parent={world.root().id}"


@pytest.mark.parametrize("token", [None, "", "x", "another-session"])
def test_fault_22_a_missing_stale_or_foreign_token_is_refused(world, anna, token):
    browser = world.signed_in(anna)
    foreign = world.signed_in(anna).csrf_token
    fields = {"name": "Web"}
    if token is not None:
        fields["csrf_token"] = foreign if token == "another-session" else token
    answer = _new_pool(world, browser, fields)
    assert answer.status_int == 403
    assert "request.csrf" in answer
    assert _names(world) == ["Cloud"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_request_of_another_origin_is_refused_even_with_the_token(world, anna, headers):
    browser = world.signed_in(anna)
    fields = {"name": "Web", "csrf_token": browser.csrf_token}
    assert _new_pool(world, browser, fields, **headers).status_int == 403
    assert _names(world) == ["Cloud"]
    assert _new_pool(world, browser, fields, Origin="http://localhost").status_int == 303


def test_a_foreign_page_cannot_sign_a_visitor_in(world, anna, visitor):
    fields = {"name": "anna", "password": PASSWORD}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert visitor.post("/signin", fields, headers=headers, status=403).status_int == 403


def test_the_api_wants_the_token_of_a_session_and_none_of_a_bearer(world, anna):
    url, body = f"/api/v1/pools/{world.root().id}/pools", {"name": "Web"}
    browser = world.signed_in(anna)
    refused = browser.post_json(url, body, expect_errors=True)
    assert (refused.status_int, refused.json["code"]) == (403, "request.csrf")
    header = {"X-CSRF-Token": browser.csrf_token}
    assert browser.post_json(url, body, headers=header).status_int == 201
    assert (
        world.api(anna)("POST", f"/pools/{world.root().id}/pools", {"name": "B"}).status_int == 201
    )


def test_a_bearer_token_is_not_helped_by_a_cookie(world, anna):
    browser = world.signed_in(anna)
    answer = browser.get(
        "/api/v1/session", headers={"Authorization": "Bearer nonsense"}, expect_errors=True
    )
    assert answer.status_int == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_bearer_token_opens_no_pages(world, anna):
    api = world.api(anna)
    assert api.app.get("/machines", headers=api.headers, expect_errors=True).status_int == 303


def test_fault_22_a_form_sent_twice_makes_one_thing(world, anna):
    browser = world.signed_in(anna)
    first = browser.send(entry_path(world), {"name": "Web"})
    second = browser.send(entry_path(world), {"name": "Web"})
    assert (first.status_int, second.status_int) == (303, 409)
    assert "There is already a pool Web here" in second
    assert form(second)["name"].value == "Web"
    assert _names(world) == ["Cloud", "Web"]


def test_fault_22_two_tabs_cannot_overwrite_each_other(world, anna):
    pool, browser = world.pool("Web"), world.signed_in(anna)
    path = f"/pools/{pool.id}/edit"
    one, two = (form(browser.get(path)) for _ in range(2))
    one["name"], two["name"] = "Shop", "Store"
    assert one.submit().status_int == 303
    refused = two.submit(expect_errors=True)
    assert refused.status_int == 412
    assert "was changed by somebody else meanwhile" in refused
    assert form(refused)["name"].value == "Store"
    assert _names(world) == ["Cloud", "Shop"]


def test_a_field_that_comes_twice_is_refused(world, anna):
    browser = world.signed_in(anna)
    answer = browser.send(entry_path(world), [("name", "Web"), ("name", "Shop")])
    assert answer.status_int == 400
    assert "The field “name” is there twice" in answer
    assert _names(world) == ["Cloud"]


def test_a_message_is_shown_once_and_cannot_be_forged(world, anna):
    browser = world.signed_in(anna)
    page = browser.send(entry_path(world), {"name": "Web"}).follow()
    assert "flash" in page
    assert page.html.select(".flash")
    assert not browser.get(page.request.path).html.select(".flash")

    kept = browser.send(entry_path(world), {"name": "Shop"}).headers.getall("Set-Cookie")
    value = next(line for line in kept if line.startswith("ovc_flash=")).split(";")[0][10:]
    for forged in (value, f"x{value}", "W10=.", "é", "."):
        other = world.signed_in(world.user(f"ben{forged}"))
        other.set_cookie("ovc_flash", forged.encode().decode("latin-1"))
        assert not other.get("/machines").html.select(".flash")

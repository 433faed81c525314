"""Profiles: machines by one click, within the rights and the quota of their pool."""

from __future__ import annotations

import pytest

from tests.functional.world import form

GB = 10**9


@pytest.fixture
def web(world):
    pool = world.pool("Web", storage=2 * GB)
    world.host()
    world.image()
    world.olga = world.user("olga", "Administrator", pool)
    world.anna = world.user("anna", "User", pool)
    return pool


def made(world, web, **more):
    api = world.api(world.olga)
    image = api("GET", "/images").json["items"][0]["id"]
    body = {"name": "Shop", "image_id": image, "size": "tiny", "start": False, **more}
    return api("POST", f"/pools/{web.id}/profiles", body).json


@pytest.mark.requirement("TPL-14")
def test_one_click_makes_a_machine_of_the_profile(world, web):
    boss = world.signed_in(world.olga)
    entry = form(boss.get(f"/profiles/new?pool={web.id}"))
    entry["name"], entry["size"] = "Shop", "tiny"
    entry["start"] = False
    assert "Shop" in entry.submit().follow().text

    browser = world.signed_in(world.anna)
    page = browser.get("/profiles")
    assert page.html.find("a", string="Delete…") is None
    button = next(one for one in page.forms.values() if one.action.endswith("/use"))
    shown = button.submit().follow()
    assert shown.html.find("h1").get_text() == "Shop 1"
    assert "user-mode network" in shown.text
    row = world.api(world.anna)("GET", "/machines?q=Shop").json["items"][0]
    assert (row["size"], row["vcpus"], row["storage"]) == ("tiny", 1, GB)
    again = button.submit().follow()
    assert again.html.find("h1").get_text() == "Shop 2"


@pytest.mark.requirement("TPL-08")
def test_fault_02_a_profile_is_no_way_round_the_quota_or_the_rights(world, web):
    profile = made(world, web)
    api = world.api(world.anna)
    path = f"/profiles/{profile['id']}/machines"
    assert [api("POST", path, {}).status_int for _ in range(2)] == [202, 202]
    assert api("POST", path, {}).json["code"] == "quota.exceeded"
    other = world.pool("Other")
    assert api("POST", path, {"pool_id": other.id}).status_int == 404
    world.grant(world.anna, "User", other)
    assert api("POST", path, {"pool_id": other.id}).status_int == 409
    monitor = world.api(world.user("mo", "Monitor", web))
    assert monitor("POST", path, {}).status_int == 403


def test_a_profile_names_the_network_and_placement_asks_for_it(world, web):
    profile = made(world, web, network="lab")
    assert profile["network"] == "lab"
    refused = world.api(world.anna)("POST", f"/profiles/{profile['id']}/machines", {})
    assert refused.json["code"] == "placement.no_host"
    assert "lab" in refused.json["detail"]


def test_a_profile_with_a_name_that_is_there_or_an_image_that_serves_not_is_refused(world, web):
    profile = made(world, web)
    assert made(world, web)["code"] == "name.taken"
    assert made(world, web, name="x", image_id=9999)["code"] == "input.invalid"
    api = world.api(world.olga)
    assert api("DELETE", f"/profiles/{profile['id']}").status_int == 204
    assert api("GET", "/profiles").json["items"] == []

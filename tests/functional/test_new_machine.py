"""The form of a new machine: what it offers, to whom, and what it takes."""

from __future__ import annotations

from itertools import product

import pytest

from tests.functional.world import form

GB = 10**9


@pytest.fixture
def web(world):
    pool = world.pool("Web", vcpus=4, storage=20 * GB)
    world.host()
    world.image("Debian")
    world.image("Rocky")
    world.anna = world.user("anna", "User", pool)
    return pool


def values(entry, name):
    return [value for value, *_ in entry[name].options]


@pytest.mark.requirement("TPL-01", "TPL-10", "TPL-12")
def test_every_size_goes_with_every_image_and_the_machine_has_its_values(world, web):
    bob = world.user("bob", "User", room := world.pool("Room for all"))
    browser, api = world.signed_in(bob), world.api(bob)
    sizes = {row["name"]: row for row in api("GET", "/sizes").json["items"]}
    entry = form(browser.get(f"/machines/new?pool={room.id}"))
    assert set(values(entry, "size")) == set(sizes)
    chosen = list(product(values(entry, "image"), sizes))
    for number, (image, size) in enumerate(chosen):
        entry["name"], entry["image"], entry["size"] = f"web{number}", image, size
        entry["start"] = False
        entry.submit().follow()
    rows = api("GET", "/machines").json["items"]
    pairs = {(row["image"]["name"], row["size"]) for row in rows}
    assert pairs == set(product(("Debian", "Rocky"), sizes))
    assert len(rows) == len(chosen)
    for row in rows:
        size = sizes[row["size"]]
        assert [row[name] for name in ("vcpus", "memory", "storage")] == [
            size[name] for name in ("vcpus", "memory", "storage")
        ]


@pytest.mark.requirement("TPL-06")
def test_only_images_that_serve_the_pool_are_offered_and_taken(world, web):
    secret = world.image("Secret", world.pool("Other"))
    page = world.signed_in(world.anna).get(f"/machines/new?pool={web.id}")
    assert "Debian" in page.text
    assert "Secret" not in page.text
    body = {"name": "web01", "image_id": secret.id, "size": "tiny"}
    answer = world.api(world.anna)("POST", f"/pools/{web.id}/machines", body)
    assert answer.status_int == 422


@pytest.mark.requirement("TPL-07", "TPL-08")
def test_the_pool_is_chosen_only_where_there_is_a_choice(world, web):
    browser = world.signed_in(world.anna)
    page = browser.get("/machines/new").follow()
    assert f"pool={web.id}" in page.request.url
    shop = world.pool("Shop")
    assert browser.fetch(f"/machines/new?pool={shop.id}").status_int == 404
    world.grant(world.anna, "User", shop)
    page = browser.get("/machines/new")
    assert page.status_int == 200
    assert {"Web", "Shop"} <= {link.get_text(strip=True) for link in page.html.find_all("a")}


def test_the_gauges_show_every_level_and_say_what_would_not_fit(world, web):
    below = world.pool("Team", web, vcpus=2)
    world.grant(world.anna, "User", below)
    browser = world.signed_in(world.anna)
    image = values(form(browser.get(f"/machines/new?pool={below.id}")), "image")[0]
    path = f"/pools/{below.id}/fragments/gauges?image={image}&start=yes&size="
    fits = browser.get(f"{path}tiny").text
    assert "Web" in fits
    assert "Team" in fits
    assert "has room" in fits
    large = browser.get(f"{path}large").text
    assert "It would not fit" in large

"""Logical groups and tags: sets across pools that grant nothing and tell nothing hidden."""

from __future__ import annotations

import pytest

from ovcadmin.models import GroupMember
from tests.functional.world import form


@pytest.fixture
def sides(world):
    """Two pools with a machine each; anna administers Left, and sees nothing of Right."""
    left, right = world.pool("Left"), world.pool("Right")
    host = world.host()
    world.image()
    return {
        "left": left,
        "right": right,
        "host": host,
        "one": world.machine("web01", left),
        "two": world.machine("web02", right),
        "admin": world.signed_in(world.admin()),
        "anna": world.signed_in(world.user("anna", "Administrator", left)),
    }


def _make(browser, pool, name="Fair"):
    made = form(browser.get("/logical-groups").click("New group"))
    made["pool"], made["name"], made["description"] = str(pool.id), name, "for the fair"
    return made.submit().follow()


def _add(page, kind, name):
    adding = form(page, page.request.path + "/add")
    adding["kind"], adding["name"] = kind, name
    return adding.submit(expect_errors=True)


def _members(page):
    table = page.html.find("main").find("table")
    return [cell.get_text(strip=True) for cell in table.find_all("td", class_="name")]


@pytest.mark.requirement("OVT-65", "OVT-78")
def test_a_group_is_made_filled_edited_and_deleted(world, sides):
    page = _make(sides["admin"], sides["left"])
    members = [("machine", "web01"), ("machine", "web02"), ("pool", "Right"),
               ("host", "kvm-a"), ("storage_pool", "kvm-a-local")]  # fmt: skip
    for kind, name in members:
        page = _add(page, kind, name).follow()
    assert _members(page) == ["web01", "web02", "Right", "kvm-a", "kvm-a-local"]
    assert "There is nothing of this name." in _add(page, "host", "kvm-z")
    world.machine("web01", sides["right"])
    assert "say Left/web01 or Right/web01" in _add(page, "machine", "web01")
    page = _add(page, "machine", "Right/web01").follow()
    assert len(_members(page)) == 6

    out = next(
        one for one in page.forms.values()
        if one.action.endswith("/remove") and one["id"].value == str(sides["two"].id)
    )  # fmt: skip
    page = out.submit().follow()
    assert "web02" not in _members(page)
    edited = form(page, page.request.path + "/edit")
    edited["name"] = "Autumn fair"
    page = edited.submit().follow()
    assert "Autumn fair" in page.html.find("h1").get_text()
    assert "There is already a group" in _again(sides, "autumn FAIR")
    gone = form(page, page.request.path + "/delete").submit().follow()
    assert "No logical groups yet." in gone
    assert sides["admin"].fetch(f"/machines/{sides['one'].id}").status_int == 200
    with world.work() as work:
        assert work.db.query(GroupMember).count() == 0


def _again(sides, name):
    made = form(sides["admin"].get("/logical-groups/new"))
    made["pool"], made["name"] = str(sides["left"].id), name
    return made.submit(expect_errors=True)


@pytest.mark.requirement("OVT-65")
def test_a_group_grants_nothing_and_shows_only_what_one_sees(world, sides):
    page = _make(sides["admin"], sides["left"])
    for kind, name in (("machine", "web01"), ("machine", "web02"), ("pool", "Right")):
        page = _add(page, kind, name).follow()
    path = page.request.path
    hers = sides["anna"].get(path)
    assert _members(hers) == ["web01"]
    assert "1 member that you may see" in hers
    assert "web02" not in hers
    assert "There is nothing of this name." in _add(hers, "machine", "web02")
    assert sides["anna"].fetch(f"/machines/{sides['two'].id}").status_int == 404
    assert sides["anna"].fetch(f"/pools/{sides['right'].id}").status_int == 404

    monitor = world.signed_in(world.user("mona", "Monitor", sides["left"]))
    assert _members(monitor.get(path)) == ["web01"]
    for verb in ("add", "edit", "remove", "delete"):
        assert monitor.send(f"{path}/{verb}", {"name": "x"}).status_int == 403
    outsider = world.signed_in(world.user("otto", "Super Admin", sides["right"]))
    assert outsider.fetch(path).status_int == 404
    assert "Fair" not in outsider.get("/logical-groups").html.find("main").get_text()
    smuggled = {"pool": str(sides["left"].id), "name": "Mine"}
    assert outsider.send("/logical-groups/new", smuggled).status_int == 422


def test_tags_narrow_the_list_and_are_found_across_kinds(world, sides):
    world.machine("db01", sides["left"])
    admin = sides["admin"]
    for path, words in (
        (f"/machines/{sides['one'].id}", "Web, prod"),
        (f"/machines/{sides['two'].id}", "prod"),
        (f"/pools/{sides['left'].id}", "prod"),
        (f"/hosts/{sides['host'].id}", "prod rack-1"),
        (f"/storage/{world.store(sides['host']).id}", "prod"),
    ):
        tags = form(admin.get(f"{path}/tags"))
        tags["tags"] = words
        page = tags.submit().follow()
        shown = [tag.get_text() for tag in page.html.find_all("a", class_="tag")]
        assert shown == sorted(words.lower().replace(",", "").split())
    names = _members(admin.get("/machines?q=tag:PROD"))
    assert names == ["web01", "web02"]
    assert _members(admin.get("/machines?q=tag:web")) == ["web01"]
    everything = _members(admin.get("/tags?word=prod"))
    assert everything == ["web01", "web02", "Left", "kvm-a", "kvm-a-local"]
    assert _members(sides["anna"].get("/tags?word=prod")) == ["web01", "Left"]
    bad = form(admin.get(f"/machines/{sides['one'].id}/tags"))
    bad["tags"] = "<script>"
    assert "is no tag" in bad.submit(expect_errors=True)
    monitor = world.signed_in(world.user("mona", "Monitor", sides["left"]))
    assert monitor.send(f"/machines/{sides['one'].id}/tags", {"tags": "x"}).status_int == 403
    assert monitor.send(f"/pools/{sides['left'].id}/tags", {"tags": "x"}).status_int == 403


def test_every_list_of_things_with_tags_is_narrowed_by_them(world, sides):
    """By the filter box of the page, kept while it refreshes itself, and by the API."""
    admin, api = sides["admin"], world.api(world.admin())
    world.host("kvm-b")
    for section, path, number, name in (
        ("pools", "/pools", sides["left"].id, "Left"),
        ("hosts", "/hosts", sides["host"].id, "kvm-a"),
        ("storage", "/storage-pools", world.store(sides["host"]).id, "kvm-a-local"),
        ("machines", "/machines", sides["one"].id, "web01"),
    ):
        tags = form(admin.get(f"/{section}/{number}/tags"))
        tags["tags"] = "edge"
        assert tags.submit().status_int == 303
        shown = admin.get(f"/{section}?q=tag:edge")
        assert _members(shown) == [name], section
        boxes = [one for one in shown.forms.values() if one.action.endswith(f"/{section}")]
        boxes[-1]["q"] = "tag:nowhere"
        assert name not in boxes[-1].submit().html.find("main").get_text()
        assert "colour:red is no filter" in admin.get(f"/{section}?q=colour:red")
        assert [row["name"] for row in api("GET", f"{path}?tag=edge").json["items"]] == [name]
        assert api("GET", f"{path}?tag=nowhere").json["items"] == []
    assert "Nothing fits this filter" in admin.get("/hosts?q=tag:nowhere")
    assert _members(admin.get("/hosts?q=KVM")) == ["kvm-a", "kvm-b"]
    refresh = admin.get("/hosts?q=tag:edge").html.find(attrs={"data-live": True})["hx-get"]
    assert "kvm-b" not in admin.get(refresh)

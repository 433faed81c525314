"""Kickstarts: an ISO with answers under one name, who reads them, and what machines get of it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ovcadmin.models import Audit, Image, Medium
from tests.functional.outside import Outside, nothing_waits, run_all
from tests.functional.world import form

ANSWERS = "lang en_US.UTF-8\nrootpw --plaintext very-secret\nreboot\n"


def iso(world, name, pool=None):
    image = world.image(name, pool)
    with world.work() as work:
        work.db.get_one(Image, image.id).kind = "iso"
    return image


@pytest.fixture
def web(world):
    """A pool with a host, an ISO above it, and one that serves another pool."""
    world.host()
    pool = world.pool("Web")
    world.rocky = iso(world, "Rocky 9")
    world.other = iso(world, "Secret", world.pool("Other"))
    world.anna = world.user("anna", "Administrator", pool)
    return pool


@pytest.fixture
def made(world, web):
    """A kickstart, as REST makes and shows it."""
    body = {"name": "Rocky web", "iso_id": world.rocky.id, "answers": ANSWERS}
    answer = world.api(world.anna)("POST", f"/pools/{web.id}/kickstarts", body)
    assert answer.status_int == 201, answer.text
    return answer.json


def order(api, pool, image, **more):
    body = {"name": "web01", "image_id": image, "size": "tiny", **more}
    return api("POST", f"/pools/{pool.id}/machines", body)


def test_without_an_iso_the_form_says_what_comes_first(world):
    world.host()
    browser = world.signed_in(world.admin())
    page = browser.get("/images/kickstart")
    assert "there is none yet" in page
    assert page.click("add the ISO of the system").request.path == "/images/new"
    iso(world, "Rocky 9")
    assert "there is none yet" not in browser.get("/images/kickstart")


def test_it_is_added_shown_and_changed_in_pages(world, web):
    browser = world.signed_in(world.anna)
    entry = form(browser.get("/images/kickstart"))
    entry["name"], entry["answers"] = "Rocky web", ANSWERS.replace("\n", "\r\n")
    entry["iso"], entry["pool"] = str(world.rocky.id), str(web.id)
    page = entry.submit().follow()
    assert "very-secret" not in page
    assert "Rocky 9" in page
    listed = browser.get("/images?kind=kickstart")
    assert "Rocky web" in listed
    assert "from Rocky 9" in listed
    told = form(page.click("Answers…"))
    assert told["answers"].value.strip().splitlines() == ANSWERS.splitlines()
    told["answers"] = "lang de_DE.UTF-8"
    told.submit().follow()
    with world.work() as work:
        image = work.db.query(Image).filter_by(name="Rocky web").one()
        number, checksum = image.id, image.checksum
    api = world.api(world.anna)
    assert api("GET", f"/images/{number}/kickstart").json["answers"] == "lang de_DE.UTF-8\n"
    assert api("GET", f"/images/{number}").json["checksum"] == checksum


@pytest.mark.parametrize(
    ("wrong", "said"), [("", "Fill this in"), ("x" * 70_000, "at most 65536 characters")]
)
def test_answers_that_cannot_be_are_refused_beside_their_field(world, web, wrong, said):
    entry = form(world.signed_in(world.anna).get("/images/kickstart"))
    entry["name"], entry["answers"], entry["iso"] = "Rocky web", wrong, str(world.rocky.id)
    refused = entry.submit(expect_errors=True)
    assert refused.status_int == 422
    assert said in refused


def test_the_answers_are_for_those_who_may_change_them_and_lie_sealed(world, web, made):
    bert = world.user("bert", "User", web)
    assert world.api(bert)("GET", f"/images/{made['id']}").status_int == 200
    answers = f"/images/{made['id']}/kickstart"
    assert world.api(bert)("GET", answers).status_int == 403
    assert world.signed_in(bert).fetch(answers).status_int == 403
    assert "Answers…" not in world.signed_in(bert).get(f"/images/{made['id']}")
    stranger = world.user("eve", "User", world.pool("Elsewhere"))
    assert world.api(stranger)("GET", f"/images/{made['id']}/kickstart").status_int == 404
    body = {"name": "Mine", "iso_id": world.rocky.id, "answers": ANSWERS}
    assert world.api(bert)("POST", f"/pools/{web.id}/kickstarts", body).status_int == 403
    with world.work() as work:
        kept = work.db.execute(text("SELECT answers FROM image")).scalars().all()
        audited = [f"{row.before}{row.after}" for row in work.db.query(Audit)]
    assert all("very-secret" not in one for one in [*kept, *audited])
    other = world.api(world.admin())("GET", f"/images/{world.rocky.id}/kickstart")
    assert (other.status_int, other.json["code"]) == (404, "object.not_found")


def test_only_isos_that_serve_its_pool_are_taken(world, web, made):
    api = world.api(world.anna)
    for wrong in (world.other.id, world.image("Disk").id, made["id"], 999):
        body = {"name": "Wrong", "iso_id": wrong, "answers": ANSWERS}
        refused = api("POST", f"/pools/{web.id}/kickstarts", body)
        assert (refused.status_int, refused.json["fields"][0]["field"]) == (422, "iso")
        changed = api("PUT", f"/images/{made['id']}/kickstart", {"iso_id": wrong, "answers": "x"})
        assert changed.status_int == 422
    assert api("GET", f"/images/{made['id']}/kickstart").json["answers"] == ANSWERS


@pytest.mark.requirement("TPL-13")
def test_a_machine_of_it_has_the_iso_in_its_drive_and_an_empty_disk(world, web, made):
    """Template types: base image, ISO, network, kickstart; an appliance is a profile."""
    page = world.signed_in(world.anna).get(f"/machines/new?pool={web.id}")
    assert "installed by these answers on an empty disk" in page
    answer = order(world.api(world.anna), web, made["id"])
    assert answer.status_int == 202, answer.text
    with world.work() as work:
        (medium,) = work.db.query(Medium).all()
        assert (medium.target, medium.image_id) == ("hda", world.rocky.id)
    profile = {"name": "rocky", "image_id": made["id"], "size": "tiny", "start": False}
    api = world.api(world.anna)
    kept = api("POST", f"/pools/{web.id}/profiles", profile)
    assert kept.status_int == 201, kept.text


def test_what_cannot_become_a_machine_is_refused_with_the_reason(world, web, made):
    api = world.api(world.anna)
    told = {"cloud_init": {"user": "anna"}}
    both = order(api, web, made["id"], **told)
    assert (both.status_int, "leave the first boot empty" in both.text) == (422, True)
    profile = {"name": "both", "image_id": made["id"], "size": "tiny", **told}
    assert api("POST", f"/pools/{web.id}/profiles", profile).status_int == 422
    admin = world.api(world.admin())
    moved = {"pool_id": world.other.pool_id}
    assert admin("PATCH", f"/images/{world.rocky.id}", moved).status_int == 200
    away = order(api, web, made["id"])
    assert (away.status_int, "Rocky 9, does not serve Web" in away.text) == (422, True)


def test_an_iso_stays_as_long_as_a_kickstart_needs_it(world, web, made):
    admin = world.api(world.admin())
    refused = admin("DELETE", f"/images/{world.rocky.id}")
    assert (refused.status_int, "Rocky web" in refused.text) == (409, True)
    nothing_waits(world)
    assert admin("DELETE", f"/images/{made['id']}").status_int == 202
    assert [one.state for one in run_all(world, Outside())] == ["done"]
    assert admin("DELETE", f"/images/{world.rocky.id}").status_int == 202


def test_it_has_no_file_to_send_to_fetch_or_to_copy(world, web, made):
    admin = world.api(world.admin())
    body = {"name": "x", "size": 10, "kind": "kickstart"}
    assert admin("POST", f"/pools/{web.id}/image-uploads", body).status_int == 422
    assert admin("GET", f"/images/{made['id']}/copies").json["items"] == []
    store = admin("GET", "/storage-pools").json["items"][0]["id"]
    copy = admin("POST", f"/images/{made['id']}/copies", {"storage_pool_id": store})
    assert copy.status_int == 409

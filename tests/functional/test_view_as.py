"""Help desk sees what a caller sees, and can break nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ovcadmin.models import Audit
from ovcadmin.services import people
from tests.functional import addresses
from tests.functional.addresses import UNSAFE
from tests.functional.world import World, form


def begin(world: World, viewer, person, reason: str = "call 4711"):
    browser = world.signed_in(viewer)
    asked = form(browser.get(f"/users/{person.id}/view-as"))
    asked["reason"] = reason
    return browser, asked.submit(expect_errors=True)


@pytest.mark.requirement("NEW-06")
def test_help_desk_sees_what_the_caller_sees(world):
    own, other = world.pool("Engineering"), world.pool("Zanzibar")
    anna, helga = world.user("anna", "User", own), world.user("helga", "Help Desk")
    browser, done = begin(world, helga, anna)
    page = done.follow()
    assert "view as <strong>anna</strong>" in page
    assert "call 4711" in page
    pools = browser.get("/pools")
    assert "Engineering" in pools
    assert "Zanzibar" not in pools
    assert browser.fetch(f"/pools/{other.id}").status_int == 404
    assert "view as <strong>anna</strong>" in browser.get(f"/pools/{own.id}")

    ended = form(browser.get("/pools"), "/view-as/end").submit().follow()
    assert "You do not view as anna any more" in ended
    assert "Zanzibar" in browser.get("/pools")
    with world.work() as work:
        told = [
            (row.action, row.actor, row.object_name, row.after)
            for row in work.db.scalars(
                select(Audit).where(Audit.action.like("view_as.%")).order_by(Audit.id)
            )
        ]
    assert told == [
        ("view_as.begin", "helga@internal", "anna@internal", {"reason": "call 4711"}),
        ("view_as.end", "helga@internal", "anna@internal", {}),
    ]


@pytest.mark.requirement("NEW-06")
def test_nothing_is_changed_meanwhile(sqlite_world):
    world = sqlite_world
    boss, helga = world.user("boss", "Super Admin"), world.user("helga", "Help Desk")
    pool = world.pool("Engineering")
    world.host()
    image = world.image()
    machine = world.machine("web01", pool, image=image)
    browser, _ = begin(world, helga, boss)
    before = world.fingerprint()
    ids = {"pool": pool.id, "machine": machine.id, "user": boss.id}
    asked = 0
    for address in addresses.every(world.app):
        if address.method not in UNSAFE or address.route in ("sign_out", "view_as_end"):
            continue
        if address.kind and address.kind not in ids:
            continue
        path = address.to(ids.get(address.kind, 1))
        headers = {"X-CSRF-Token": browser.csrf_token}
        answer = browser.request(path, method=address.method, headers=headers, expect_errors=True)
        if answer.status_int == 404 and not address.kind:
            continue  # about an object that is not there
        assert answer.status_int in (403, 428), (address.name, answer.status)
        assert "view_as.read_only" in answer.text, address.name
        asked += 1
    assert asked > 25
    assert world.fingerprint() == before


@pytest.mark.requirement("NEW-06")
def test_it_needs_the_privilege_on_the_root_and_a_reason(world):
    pool = world.pool("Engineering")
    anna, helga = world.user("anna", "User", pool), world.user("helga", "Help Desk")
    near = world.signed_in(world.user("near", "Help Desk", pool))
    assert near.fetch(f"/users/{anna.id}/view-as").status_int == 403
    assert near.send(f"/users/{anna.id}/view-as", {"reason": "x"}).status_int == 403
    assert begin(world, helga, anna, reason="  ")[1].status_int == 422
    assert begin(world, helga, helga)[1].status_int == 422


def test_it_ends_with_the_privilege_and_with_the_session(world):
    own = world.pool("Engineering")
    anna, helga = world.user("anna", "User", own), world.user("helga", "Help Desk")
    browser, _ = begin(world, helga, anna)
    with world.work() as work:
        people.set_disabled(work, people.find(work, "anna"), disabled=True)
    assert "view as <strong>" not in browser.get("/")
    with world.work() as work:
        people.set_disabled(work, people.find(work, "anna"), disabled=False)
    assert "view as <strong>" in browser.get("/")
    assert form(browser.get("/"), "/signout").submit().status_int == 303
    assert browser.fetch("/").status_int == 303

"""Refused attempts stand in the audit log, and nobody can fill it with them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from ovcadmin.models import Audit
from ovcadmin.services import attempts
from tests.functional.test_sign_in import sign_in


def refusals(world, action=attempts.REFUSED) -> list[Audit]:
    with world.work() as work:
        rows = select(Audit).where(Audit.action == action, Audit.outcome != "done")
        return list(work.db.scalars(rows.order_by(Audit.id)))


@pytest.mark.requirement("PEER-27")
def test_what_may_not_be_done_is_written_down_and_seen_on_the_page(world):
    pool = world.pool("Engineering")
    world.host()
    world.image()
    machine = world.machine("web01", pool)
    monitor = world.user("mona", "Monitor", pool)
    answer = world.signed_in(monitor).send(f"/machines/{machine.id}/actions/start")
    assert answer.status_int == 403
    (row,) = refusals(world)
    assert (row.actor, row.object_kind, row.object_name) == ("mona@internal", "machine", "web01")
    assert (row.outcome, row.pool_id, row.address) == ("access.forbidden", pool.id, "192.0.2.7")
    assert row.after == {"method": "POST", "path": f"/machines/{machine.id}/actions/start"}

    admin = world.signed_in(world.admin())
    page = admin.get("/audit?outcome=refused&actor=mona")
    assert "web01" in page
    assert "access.forbidden" in page
    assert "/actions/start" in page


def test_a_refused_grant_by_page_and_by_rest_is_written_down(world):
    pool = world.pool("Engineering")
    owner = world.user("olga", "Administrator", pool)
    anna = world.user("anna")
    roles = {
        one["name"]: one["id"] for one in world.api(world.admin())("GET", "/roles").json["items"]
    }
    body = {"user_id": anna.id, "role_id": roles["Super Admin"]}
    assert world.api(owner)("POST", f"/pools/{pool.id}/grants", body).status_int == 403
    (row,) = refusals(world)
    assert (row.actor, row.door, row.object_name) == ("olga@internal", "api", "Engineering")

    admin = world.admin()
    own = [
        one["id"]
        for one in world.api(admin)("GET", f"/pools/{world.root().id}/grants").json["items"]
        if one["user"]["id"] == admin.id
    ]
    page = world.signed_in(admin).send(f"/grants/{own[0]}/revoke")
    assert page.status_int == 409
    assert refusals(world)[-1].outcome == "grant.last_super_admin"


def test_the_same_attempt_is_written_once_an_hour(world):
    pool = world.pool("Engineering")
    browser = world.signed_in(world.user("mona", "Monitor", pool))
    for _ in range(5):
        assert browser.send(f"/pools/{pool.id}/edit").status_int == 403
    assert len(refusals(world)) == 1
    with world.work() as work:
        earlier = work.now() - attempts.WINDOW - timedelta(minutes=1)
        work.db.execute(update(Audit.__table__).values(at=earlier))
    browser.send(f"/pools/{pool.id}/edit")
    assert len(refusals(world)) == 2


def test_nobody_fills_the_log_with_refusals(world, monkeypatch):
    monkeypatch.setattr(attempts, "MOST", 3)
    made = [world.pool(f"pool{number}") for number in range(6)]
    browser = world.signed_in(world.user("mona", "Monitor"))
    for pool in made:
        assert browser.send(f"/pools/{pool.id}/edit").status_int == 403
    rows = refusals(world)
    assert len(rows) == 3
    assert "not written" in rows[-1].after["note"]
    assert "note" not in rows[0].after


@pytest.mark.requirement("PEER-27")
def test_refused_sign_ins_are_written_as_often_as_they_tell_something(world, visitor):
    world.user("anna")
    for _ in range(world.settings.signin_failures):
        sign_in(visitor, "anna", "wrong")
    assert sign_in(visitor, "anna", "wrong").status_int == 429
    assert sign_in(visitor, "anna", "wrong").status_int == 429
    failed = refusals(world, attempts.SIGN_IN)
    assert {(row.object_name, row.outcome) for row in failed} == {
        ("anna@internal", "signin.failed")
    }
    assert len(failed) == min(world.settings.signin_failures, attempts.SAME_SIGN_IN)
    (throttled,) = refusals(world)
    assert (throttled.outcome, throttled.object_name) == ("signin.throttled", "/signin")
    assert throttled.address == "192.0.2.7"


def test_strangers_of_many_addresses_cannot_fill_the_log_either(world, monkeypatch):
    monkeypatch.setattr(attempts, "MOST_OF_STRANGERS", 4)
    for number in range(8):
        sign_in(world.anonymous(REMOTE_ADDR=f"192.0.2.{number}"), f"nobody{number}", "wrong")
    assert len(refusals(world, attempts.SIGN_IN)) == 4

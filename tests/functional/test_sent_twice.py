"""Fault 22: a form that comes twice from the same place in a tab's history acts once."""

from __future__ import annotations

import pytest

from ovcadmin.domain.resources import Limits
from ovcadmin.models import Operation
from ovcadmin.services import pool_limits, pools

GB = 10**9


@pytest.fixture
def drives(world):
    """A machine, who may give it drives, and how many were asked for."""
    pool = world.pool("Web", storage=300 * GB)
    world.host()
    world.image()
    world.machine_ = world.machine("web01", pool)
    anna = world.signed_in(world.user("anna", "User", pool))

    def send(once: str, size: str = "20 GB", browser=anna):
        fields = {"size": size, **({"once": once} if once else {})}
        return browser.send(f"/machines/{world.machine_.id}/drives/new", fields)

    def asked() -> int:
        with world.work() as work:
            return work.db.query(Operation).filter_by(type="machine.drive_add").count()

    return send, asked, pool


def test_the_same_from_the_same_place_is_done_once_and_says_so(world, drives):
    send, asked, _ = drives
    first, second = send("a1"), send("a1")
    assert (first.status_int, second.status_int, asked()) == (303, 303, 1)
    assert second.location == first.location
    assert "You had sent this already; nothing was done again." in second.follow().text


def test_something_else_another_place_or_another_person_is_done(world, drives):
    send, asked, pool = drives
    bert = world.signed_in(world.user("bert", "User", pool))
    send("a1")
    assert "sent this already" not in send("a1", "21 GB").follow().text
    send("b2")
    send("a1", browser=bert)
    assert asked() == 4
    send("")
    send("")
    assert asked() == 6, "without script nothing tells one place from another"


def test_what_was_refused_is_not_remembered(world, drives):
    send, asked, pool = drives
    refused = send("a1", "900 GB")
    assert refused.status_int == 409
    with world.work() as work:
        pool_limits.set_limits(work, pools.get(work, pool.id), Limits(storage=2000 * GB))
    assert (send("a1", "900 GB").status_int, asked()) == (303, 1)


def test_a_visitor_with_a_mark_of_his_own_is_shown_the_way_in(world):
    answer = world.anonymous().send("/machines/1/drives/new", {"size": "1 GB", "once": "a1"})
    assert answer.status_int in (302, 303, 403)

"""Lending to a sibling: both limits change, both pages say so, and it returns by itself."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from ovcadmin.domain.states import State
from ovcadmin.models import Loan
from ovcadmin.services import loans, machine_states, quotas
from ovcadmin.worker.chores import CHORES, Chores
from tests.functional.world import form


@pytest.fixture
def pair(world):
    account = world.pool("Account")
    red, blue = world.pool("Red", account, machines=4), world.pool("Blue", account, machines=1)
    world.host()
    world.image()
    return {"red": red, "blue": blue, "admin": world.signed_in(world.admin())}


def _lend(pair, world, amount="2", days=5, grace="0"):
    with world.work() as work:
        until = (work.now() + timedelta(days=days)).date().isoformat()
    lending = form(pair["admin"].get(f"/pools/{pair['red'].id}").click("Lend to a sibling"))
    lending["to"], lending["resource"] = str(pair["blue"].id), "machines"
    lending["amount"], lending["until"], lending["grace_days"] = amount, until, grace
    return lending.submit(expect_errors=True)


def _limit(world, pool):
    with world.work() as work:
        row = work.db.get(type(pool), pool.id)
        return quotas.levels_of(work, [row])[pool.id].limits.machines


@contextmanager
def _later(world, days):
    """Work as it will be in so many days."""
    with world.work() as work:
        now = work.now() + timedelta(days=days)
        yield replace(work, clock=lambda: now)


def _settle(world, days):
    with _later(world, days) as work:
        for number in loans.due(work):
            loans.settle(work, number)


@pytest.mark.requirement("NEW-02")
def test_a_loan_moves_the_limits_and_stands_on_both_pages(world, pair):
    assert "Red lends 2 running machines to Blue." in _lend(pair, world).follow()
    assert (_limit(world, pair["red"]), _limit(world, pair["blue"])) == (2, 3)
    red, blue = (pair["admin"].get(f"/pools/{pair[name].id}") for name in ("red", "blue"))
    assert "lends to Blue" in red.html.find(id="loans").get_text(" ", strip=True)
    assert "borrows from Red" in blue.html.find(id="loans").get_text(" ", strip=True)
    for number in range(3):
        machine = world.machine(f"b{number}", pair["blue"])
        assert pair["admin"].send(f"/machines/{machine.id}/actions/start").status_int == 303
    for number in range(3):
        machine = world.machine(f"r{number}", pair["red"])
        started = pair["admin"].send(f"/machines/{machine.id}/actions/start").status_int
        assert started == (303 if number < 2 else 409)
    # More than is free cannot be lent: use never exceeds what is in force.
    assert "has only 0 running machines free" in _lend(pair, world, "1")


@pytest.mark.requirement("NEW-03")
def test_what_the_lender_will_miss_is_told_before(world, pair):
    for number in range(3):
        world.machine(f"r{number}", pair["red"], state=State.RUNNING)
    world.machine("spare", pair["red"])
    looked = _lend(pair, world, "1")
    told = looked.html.find("section", class_="impact").get_text(" ", strip=True)
    assert "Nothing is changed yet" in told
    assert "Could not be started any more: spare" in told
    assert _limit(world, pair["red"]) == 4
    lent = form(looked).submit("confirmed").follow()
    assert "Red lends 1 running machine to Blue." in lent
    assert _limit(world, pair["red"]) == 3


def test_all_that_is_wrong_with_the_terms_is_told_at_once(world, pair):
    lending = form(pair["admin"].get(f"/pools/{pair['red'].id}/lend"))
    lending["amount"], lending["until"] = "lots", "soon"
    told = lending.submit(expect_errors=True)
    assert "Write a whole number" in told.html.find(id="field-amount-error").text
    assert "year-month-day" in told.html.find(id="field-until-error").text


def test_who_has_no_sibling_is_told_so(world, pair):
    told = pair["admin"].get("/pools/1/lend").html.find("main").get_text(" ", strip=True)
    assert "Cloud has no sibling that you may see" in told


@pytest.mark.requirement("NEW-02")
def test_it_returns_by_itself_on_its_day(world, pair):
    _lend(pair, world)
    _settle(world, 4)
    assert _limit(world, pair["blue"]) == 3
    _settle(world, 6)
    assert (_limit(world, pair["red"]), _limit(world, pair["blue"])) == (4, 1)
    assert pair["admin"].get(f"/pools/{pair['red'].id}").html.find(id="loans") is None
    _settle(world, 7)
    assert _limit(world, pair["red"]) == 4


@pytest.mark.requirement("NEW-02")
def test_in_its_days_of_grace_what_is_used_stays_and_the_rest_returns(world, pair):
    _lend(pair, world, grace="3")
    machines = [world.machine(f"b{n}", pair["blue"], state=State.RUNNING) for n in range(2)]
    _settle(world, 6)
    # One of the two lent ones is in use: one went back.
    assert (_limit(world, pair["red"]), _limit(world, pair["blue"])) == (3, 2)
    told = pair["admin"].get(f"/pools/{pair['blue'].id}").html.find(id="loans").get_text(" ")
    assert "1 went back" in told
    with world.work() as work:
        row = work.db.get(type(machines[0]), machines[0].id)
        machine_states.enter(work, row, State.STOPPED)
    _settle(world, 7)
    assert (_limit(world, pair["red"]), _limit(world, pair["blue"])) == (4, 1)


def test_after_its_grace_it_returns_whatever_is_used(world, pair):
    _lend(pair, world, grace="1")
    for number in range(3):
        world.machine(f"b{number}", pair["blue"], state=State.RUNNING)
    _settle(world, 6)
    assert _limit(world, pair["blue"]) == 3
    _settle(world, 8)
    assert (_limit(world, pair["red"]), _limit(world, pair["blue"])) == (4, 1)
    machine = world.machine("late", pair["blue"])
    assert pair["admin"].send(f"/machines/{machine.id}/actions/start").status_int == 409


def test_given_back_early_but_not_what_is_used(world, pair):
    _lend(pair, world)
    running = [world.machine(f"b{n}", pair["blue"], state=State.RUNNING) for n in range(2)]
    page = pair["admin"].get(f"/pools/{pair['blue'].id}")
    back = next(one for one in page.forms.values() if one.action.endswith("/return"))
    assert "Blue uses 1 of it" in back.submit().follow()
    with world.work() as work:
        row = work.db.get(type(running[0]), running[0].id)
        machine_states.enter(work, row, State.STOPPED)
    assert "It went back." in back.submit().follow()
    assert _limit(world, pair["red"]) == 4


def test_who_may_not_see_the_sibling_is_not_told_its_name(world, pair):
    _lend(pair, world)
    ben = world.signed_in(world.user("ben", "Administrator", pair["blue"]))
    page = ben.get(f"/pools/{pair['blue'].id}")
    assert "borrows from a sibling" in page.html.find(id="loans").get_text(" ", strip=True)
    assert "Red" not in page.html.find("main").get_text()
    assert "Lend to a sibling" not in page
    red = world.user("rita", "Administrator", pair["red"])
    number = next(one for one in page.forms.values() if one.action.endswith("/return")).action
    assert world.signed_in(red).send(number).status_int == 404


@pytest.mark.requirement("NEW-02")
def test_the_reports_of_both_show_the_loan_after_it_went_back_too(world, pair):
    _lend(pair, world)
    _settle(world, 6)
    with world.work() as work:
        month = f"{work.now():%Y-%m}"
    for name, told in (("red", "Red a sibling 2 running machines"),
                       ("blue", "a sibling Blue 2 running machines")):  # fmt: skip
        owner = world.user(f"owner-{name}", "Administrator", pair[name])
        page = world.signed_in(owner).get(f"/consumption/{month}")
        assert told in page.html.find(id="loans").get_text(" ", strip=True)
    stranger = world.signed_in(world.user("ben", "User", world.pool("Elsewhere")))
    assert stranger.get(f"/consumption/{month}").html.find(id="loans") is None


@pytest.mark.parametrize(
    ("amount", "days", "grace", "told"),
    [
        ("0", 5, "0", "Lend more than nothing."),
        ("-1", 5, "0", "whole number"),
        ("2", 0 - 2, "0", "from tomorrow on"),
        ("2", 500, "0", "within a year"),
        ("2", 5, "99", "At most 30 days."),
        ("5", 5, "0", "has only 4"),
    ],
)
def test_bad_terms_lend_nothing(world, pair, amount, days, grace, told):
    assert told in _lend(pair, world, amount, days, grace)
    assert _limit(world, pair["blue"]) == 1


def test_the_worker_s_chore_brings_home_what_is_due(world, pair):
    _lend(pair, world)
    with world.work() as work:
        work.db.query(Loan).one().until = work.now() - timedelta(minutes=1)
    chores = Chores(world.database, world.settings, realms=None, clusters=None)
    next(chore for chore in CHORES if chore.name == "loan.settle").task(chores)
    assert (_limit(world, pair["red"]), _limit(world, pair["blue"])) == (4, 1)

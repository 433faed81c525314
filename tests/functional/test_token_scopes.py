"""Tokens that may do less than their user."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from ovcadmin.domain.states import State
from ovcadmin.errors import TicketRefused
from ovcadmin.models import Machine, Token
from ovcadmin.services import console_sessions, console_standings, consoles, pools, tokens
from tests.functional.world import Api, World, form


def narrowed(world: World, user, **scope: object) -> Api:
    with world.work() as work:
        _, key = tokens.create(work, user.id, name="narrow", days=1, **scope)
    return Api(world.app, key)


@pytest.mark.requirement("PEER-04")
def test_a_token_is_good_for_one_subtree_only(world):
    own, other = world.pool("Engineering"), world.pool("Zanzibar")
    below = world.pool("Web", own)
    admin = world.admin()
    api = narrowed(world, admin, pool_id=own.id)
    listed = api("GET", "/pools").json["items"]
    assert {row["name"] for row in listed} == {"Engineering", "Web"}
    assert api("GET", f"/pools/{other.id}").status_int == 404
    assert api("GET", f"/pools/{world.root().id}").status_int == 404
    assert api("POST", f"/pools/{below.id}/pools", {"name": "x"}).status_int == 201
    assert api("POST", f"/pools/{other.id}/pools", {"name": "x"}).status_int == 404
    # What is decided one pool higher is out of its reach.
    assert api("PUT", f"/pools/{own.id}/quota", {"vcpus": 5}).status_int == 403
    # The user himself, and his other tokens, are as they were.
    assert world.api(admin)("GET", f"/pools/{other.id}").status_int == 200
    assert world.signed_in(admin).fetch(f"/pools/{other.id}").status_int == 200


@pytest.mark.requirement("PEER-04")
def test_a_token_is_good_for_some_privileges_only(world):
    own = world.pool("Engineering")
    api = narrowed(world, world.admin(), privileges=["view"])
    assert api("GET", "/session").json["privileges"] == ["view"]
    assert api("GET", f"/pools/{own.id}").json["privileges"] == ["view"]
    assert api("POST", f"/pools/{own.id}/pools", {"name": "x"}).status_int == 403
    assert api("GET", f"/pools/{own.id}/grants").status_int == 403


@pytest.mark.requirement("PEER-04")
def test_a_token_opens_consoles_if_it_was_made_for_that(world):
    own, other = world.pool("Engineering"), world.pool("Zanzibar")
    world.host()
    image = world.image()
    machine = world.machine("web01", own, image=image, state=State.RUNNING)
    path = f"/machines/{machine.id}/consoles"
    answers = [
        narrowed(world, world.admin(), **scope)("POST", path, {"kind": "serial"}).status_int
        for scope in (
            {"pool_id": own.id, "privileges": ["control"]},
            {"privileges": ["view"]},
            {"pool_id": other.id},
        )
    ]
    assert answers == [201, 403, 404]


def test_a_narrowed_token_gives_no_more_than_its_user_has(world):
    own, other = world.pool("Engineering"), world.pool("Zanzibar")
    anna = world.user("anna", "Monitor", own)
    api = narrowed(world, anna, pool_id=other.id, privileges=["view", "modify"])
    assert api("GET", "/pools").json["items"] == []
    assert api("GET", f"/pools/{other.id}").status_int == 404
    assert api("GET", f"/pools/{own.id}").status_int == 404


def test_a_token_ends_with_the_pool_that_it_is_for(world):
    own = world.pool("Engineering")
    api = narrowed(world, world.admin(), pool_id=own.id)
    with world.work() as work:
        pools.delete(work, pools.get(work, own.id))
    assert api("GET", "/session").status_int == 401


@pytest.mark.requirement("PEER-04")
def test_a_narrowed_token_is_made_on_the_profile_page(world):
    own = world.pool("Engineering")
    browser = world.signed_in(world.admin())
    new = form(browser.get("/profile"), "/profile/tokens")
    new["name"], new["may_control"] = "backup", "yes"
    new["pool"].select(value=str(own.id))
    made = new.submit()
    assert "shown this once" in made
    assert "view, control machines in Engineering" in made
    key = re.search(r"<code>(ovc_[^<]+)<", made.text)[1]
    api = Api(world.app, key)
    assert api("GET", "/session").json["privileges"] == ["control", "view"]
    assert api("GET", f"/pools/{world.root().id}").status_int == 404
    listed = browser.get("/profile")
    assert "backup" in listed
    assert key not in listed
    with world.work() as work:
        row = work.db.scalars(select(Token).where(Token.name == "backup")).one()
        assert key not in row.key_hash
        assert (row.expires_at - row.created_at).days == 90


@pytest.mark.requirement("PEER-04")
def test_a_token_ends_with_its_time_and_when_it_is_revoked(world):
    admin = world.admin()
    browser = world.signed_in(admin)
    with world.work() as work:
        made = [tokens.create(work, admin.id, name=name, days=1) for name in ("old", "lost")]
    old, lost = (Api(world.app, key) for _, key in made)
    assert [api("GET", "/session").status_int for api in (old, lost)] == [200, 200]
    with world.work() as work:
        work.db.get(Token, made[0][0].id).expires_at = work.now() - timedelta(seconds=1)
    path = f"/profile/tokens/{made[1][0].id}/revoke"
    assert form(browser.get("/profile"), path).submit().status_int == 303
    assert [api("GET", "/session").status_int for api in (old, lost)] == [401, 401]
    assert "lost" not in browser.get("/profile").lxml.xpath("string(//main)")


@pytest.mark.requirement("PEER-04")
def test_an_open_console_ends_when_it_leaves_the_scope_of_its_token(world):
    own, other = world.pool("Engineering"), world.pool("Zanzibar")
    world.host()
    machine = world.machine("web01", own, image=world.image(), state=State.RUNNING)
    admin = world.admin()

    def holder(**scope: object) -> consoles.Holder:
        with world.work() as work:
            token, _ = tokens.create(work, admin.id, name="narrow", days=1, **scope)
        return consoles.Holder(user_id=admin.id, machine_id=machine.id, token_id=token.id)

    wide, narrow = holder(), holder(pool_id=own.id, privileges=["control"])
    lesser, elsewhere = holder(privileges=["view"]), holder(pool_id=other.id)

    def kept() -> list[bool]:
        held = dict(enumerate([wide, narrow, lesser, elsewhere]))
        with world.work() as work:
            found = console_standings.standings(work, held)
        return [not found[number].refusal for number in held]

    assert kept() == [True, True, False, False]
    with world.work() as work:
        work.db.get(Machine, machine.id).pool_id = other.id
    assert kept() == [True, False, False, True]


@pytest.mark.requirement("PEER-04")
def test_a_ticket_is_no_way_out_of_the_scope_of_its_token(world):
    own, other = world.pool("Engineering"), world.pool("Zanzibar")
    world.host()
    machine = world.machine("web01", own, image=world.image(), state=State.RUNNING)
    with world.work() as work:
        _, key = tokens.create(work, world.admin().id, name="narrow", days=1, pool_id=own.id)
    path = f"/machines/{machine.id}/consoles"
    ticket = Api(world.app, key)("POST", path, {"kind": "serial"}).json["ticket"]
    with world.work() as work:
        work.db.get(Machine, machine.id).pool_id = other.id
    with world.work() as work:
        used = consoles.use(work, ticket)
        with pytest.raises(TicketRefused) as refused:
            console_sessions.admit(work, used, consoles.Presented(token_key=key), "gateway")
    assert "scope" in refused.value.__notes__[0]

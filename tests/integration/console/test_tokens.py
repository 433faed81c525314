"""Consoles of a real guest by tokens of the REST API, as programs open them."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ovcadmin.gateway import sessions as codes
from ovcadmin.models import Audit
from ovcadmin.services import tokens
from tests.functional.world import Api
from tests.rig.terminal import Terminal
from tests.rig.websocket import WebSocketClient

PROMPT = "starter:~# "
CUT_SECONDS = 5


class Program:
    """Somebody's program, with a token that may do some of what he may."""

    def __init__(self, rig, visitor, **scope):
        self.rig = rig
        with rig.world.work() as work:
            self.token, self.key = tokens.create(
                work, visitor.user.id, name="program", days=1, **scope
            )

    def ask(self, machine):
        api = Api(self.rig.world.app, self.key)
        return api("POST", f"/machines/{machine.id}/consoles", {"kind": "serial"})

    def enter(self, ticket, machine):
        headers = {"Authorization": f"Bearer {self.key}"}
        socket = WebSocketClient(self.rig.address, "/live/console", headers)
        terminal = Terminal(socket, ticket=ticket, machine=machine.id, kind="serial")
        self.rig.terminals.append(terminal)
        return terminal


@pytest.mark.requirement("PEER-04")
def test_a_token_opens_the_consoles_that_it_is_narrowed_to_and_no_other(rig, machine, guest, anna):
    beside = rig.world.pool("Beside")
    rig.world.grant(anna.user, "User", beside)
    good = Program(rig, anna, pool_id=machine.pool_id, privileges=["control"])
    looking = Program(rig, anna, privileges=["view"])
    elsewhere = Program(rig, anna, pool_id=beside.id)
    assert [one.ask(machine).status_int for one in (looking, elsewhere)] == [403, 404]
    for one in (looking, elsewhere):  # not with the ticket of another token either
        ticket = good.ask(machine).json["ticket"]
        assert one.enter(ticket, machine).expect_end()[0] == codes.REFUSED

    page = good.enter(good.ask(machine).json["ticket"], machine)
    page.expect_state("connected", 60)
    page.press_enter_until(PROMPT, 120)
    page.type("echo by-token-$((40 + 2))\r")
    page.expect("by-token-42")
    with rig.world.work() as work:
        rows = work.db.scalars(select(Audit).where(Audit.action == "console.open")).all()
        assert [(row.user_id, row.object_id, row.address) for row in rows] == [
            (anna.user.id, machine.id, "127.0.0.1")
        ]
        tokens.revoke(work, anna.user.id, good.token.id)
    assert page.expect_end(CUT_SECONDS)[0] == codes.GONE

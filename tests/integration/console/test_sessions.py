"""The serial console on the real thing: libvirtd, QEMU, and a gateway process."""

from __future__ import annotations

import time
from datetime import timedelta

import gevent
import pytest
from sqlalchemy import select

from ovcadmin.domain.states import State
from ovcadmin.errors import ConsoleUnavailable, Forbidden, NotFound
from ovcadmin.gateway import sessions as codes
from ovcadmin.models import ConsoleTicket, Grant, Host
from ovcadmin.services import machine_states, people, sessions
from tests.integration.gateway import PROMPT
from tests.rig.websocket import Refused

CUT_SECONDS = 5
"""Within this time a console ends after its right went away."""


def test_what_is_typed_is_answered_and_a_reload_shows_it_again(rig, machine, guest, anna):
    page = rig.at_prompt(anna, machine)
    page.type("uname -a\r")
    page.expect("GNU/Linux")
    page.type("echo mark-$((40 + 2))\r")
    page.expect("mark-42")
    page.close()

    again = rig.open(anna, machine)
    again.expect("mark-42")
    assert again.told[0]["type"] == "attached"
    assert again.told[0]["replay"] > 100
    again.type("echo still-$((1 + 1))\r")
    again.expect("still-2")


def test_the_newer_page_of_the_same_user_takes_over(rig, machine, guest, anna):
    first = rig.at_prompt(anna, machine)
    second = rig.open(anna, machine)
    second.expect(PROMPT)
    assert first.expect_end() == (codes.TAKEN, "Opened in another window of yours.")
    second.type("echo only-$((2 + 3))\r")
    second.expect("only-5")


def test_another_user_takes_over_and_both_know_by_whom(rig, machine, guest, anna):
    bert = rig.visitor("bert", "User", machine.pool)
    hers = rig.at_prompt(anna, machine)
    his = rig.open(bert, machine)
    his.expect_state("connected")
    assert hers.expect_end() == (codes.TAKEN, "Taken over by bert@internal.")
    his.type("echo his-$((3 + 3))\r")
    his.expect("his-6")

    back = rig.open(anna, machine)
    back.expect_state("connected")
    assert his.expect_end() == (codes.TAKEN, "Taken over by anna@internal.")
    back.expect(PROMPT)
    assert b"his-6" not in back.screen  # what the other one saw is his


def test_somebody_on_the_host_takes_over_and_is_left_alone(rig, machine, guest, anna):
    page = rig.at_prompt(anna, machine)
    ended = []
    with guest.console(ended.append):
        assert page.expect_end() == (codes.TAKEN, "Taken over by somebody on the host itself.")
        gevent.sleep(1)
        assert not ended, "the gateway took the console back by itself"


@pytest.mark.requirement("PEER-21")
def test_fault_29_the_console_survives_a_reboot_of_the_guest(rig, machine, guest, anna):
    page = rig.at_prompt(anna, machine)
    page.type("reboot\r")
    page.expect("SYSLINUX", 60)
    page.press_enter_until(PROMPT, 120)
    page.type("echo reborn-$((7 * 6))\r")
    page.expect("reborn-42")
    assert page.state == "connected"


def test_a_lost_daemon_is_waited_for(rig, machine, guest, anna, shared_host):
    page = rig.at_prompt(anna, machine)
    shared_host.kill_daemon()
    page.expect_state("reconnecting")
    shared_host.start_daemon()
    page.expect_state("connected", 30)
    page.type("echo back-$((1 + 1))\r")
    page.expect("back-2")


# --- tickets --------------------------------------------------------------------------------------


@pytest.mark.requirement("PEER-22")
def test_fault_25_a_ticket_is_good_once(rig, machine, guest, anna):
    ticket = rig.ticket(anna, machine)
    first = rig.enter(anna, ticket, machine)
    first.expect_state("connected")
    again = rig.enter(anna, ticket, machine)
    code, reason = again.expect_end()
    assert code == codes.REFUSED
    assert reason == "This console ticket is not valid any more. Open the console again."
    assert again.told == []
    first.type("\r")
    first.expect(PROMPT, 60)  # the refused visitor took nothing over
    rig.process.said("used before")


def test_fault_25_of_many_that_come_at_once_with_one_ticket_one_gets_in(rig, machine, anna):
    ticket = rig.ticket(anna, machine)
    visitors = [rig.enter(anna, ticket, machine) for _ in range(10)]
    refused = 0
    for visitor in visitors:
        visitor.read()
        refused += visitor.socket.close_code == codes.REFUSED
    assert refused == 9


@pytest.mark.parametrize("ticket", ["", "x", "A" * 43, "é", "x" * 60_000])
def test_fault_25_a_guessed_ticket_gets_the_same_answer(rig, anna, ticket):
    code, reason = rig.enter(anna, ticket).expect_end()
    assert code == codes.REFUSED
    assert reason == "This console ticket is not valid any more. Open the console again."


@pytest.mark.parametrize("first", ["", "{}", "[]", "null", '{"ticket": 7}', b"\x00", "x" * 50_000])
def test_a_first_message_without_a_ticket_ends_the_connection(rig, anna, first):
    socket = rig.socket(anna)
    socket.send(first)
    assert socket.drain() == codes.REFUSED
    socket.close()


def test_fault_25_an_expired_ticket_is_refused(rig, machine, anna):
    ticket = rig.ticket(anna, machine)
    with rig.world.work() as work:
        row = work.db.scalars(select(ConsoleTicket).order_by(ConsoleTicket.id.desc())).first()
        assert row.expires_at - work.now() <= timedelta(seconds=60)
        row.expires_at = work.now()
    assert rig.enter(anna, ticket, machine).expect_end()[0] == codes.REFUSED
    rig.process.said("expired")


def test_fault_25_a_ticket_opens_no_other_machine_and_is_burnt_by_the_attempt(
    rig, machine, guest, anna
):
    other = rig.world.machine("web-2", rig.world.pool("Other"), state=State.RUNNING)
    ticket = rig.ticket(anna, machine)
    assert rig.enter(anna, ticket, other).expect_end()[0] == codes.REFUSED
    rig.process.said("for another machine")
    assert rig.enter(anna, ticket, machine).expect_end()[0] == codes.REFUSED
    rig.process.said("used before")


@pytest.mark.requirement("OVT-47")
def test_fault_25_a_ticket_is_worthless_to_another_user_or_without_the_session(
    rig, machine, guest, anna
):
    bert = rig.visitor("bert", "User", machine.pool)
    same_user = rig.sign_in(anna.user)
    for thief in (bert, same_user):
        assert rig.enter(thief, rig.ticket(anna, machine)).expect_end()[0] == codes.REFUSED
    with pytest.raises(Refused) as refused:
        rig.socket(None, headers={"Origin": "http://evil.example"})
    assert refused.value.status == 403
    nobody = rig.socket(None)
    nobody.say(ticket=rig.ticket(anna, machine))
    assert nobody.drain() == codes.REFUSED
    nobody.close()
    rig.process.said("of another session")


def test_fault_25_no_ticket_and_no_cookie_is_in_the_log(rig, machine, guest, anna):
    ticket = rig.ticket(anna, machine)
    page = rig.enter(anna, ticket, machine)
    page.expect_state("connected")
    rig.enter(anna, ticket, machine).expect_end()
    rig.get(f"/live/console?ticket={ticket}", {"Cookie": f"ovc_session={anna.key}"})
    rig.get("/live/console", {"Cookie": f"ovc_session={anna.key}\x01", "Bad Header": ticket})
    rig.process.said("used before")
    assert ticket not in rig.process.log
    assert anna.key not in rig.process.log


def test_who_may_not_control_gets_no_ticket(rig, machine):
    monitor = rig.visitor("mona", "Monitor", machine.pool)
    stranger = rig.visitor("stan", "Super Admin", rig.world.pool("Elsewhere"))
    with pytest.raises(Forbidden):
        rig.ticket(monitor, machine)
    with pytest.raises(NotFound):
        rig.ticket(stranger, machine)


def test_a_stopped_machine_has_no_console(rig, machine, anna):
    ticket = rig.ticket(anna, machine)
    rig.set_state(machine, State.STOPPED)
    with pytest.raises(ConsoleUnavailable):
        rig.ticket(anna, machine)
    code, reason = rig.enter(anna, ticket, machine).expect_end()
    assert code == codes.UNAVAILABLE
    assert reason.startswith("web-1 is stopped")


def test_rights_that_went_between_ticket_and_visit_count(rig, machine, guest, anna):
    ticket = rig.ticket(anna, machine)
    _revoke_grants(rig, anna)
    assert rig.enter(anna, ticket, machine).expect_end()[0] == codes.REFUSED
    rig.process.said("rights removed")


# --- origin ---------------------------------------------------------------------------------------


@pytest.mark.requirement("PEER-22")
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "http://evil.example/http://127.0.0.1:{port}",
    ],
)
def test_fault_26_a_websocket_from_a_foreign_origin_is_refused(rig, anna, origin):
    with pytest.raises(Refused) as refused:
        rig.socket(anna, headers={"Origin": origin.format(port=rig.port)})
    assert refused.value.status == 403


def test_fault_26_a_cookie_without_an_origin_is_refused(rig, anna):
    headers = {"Cookie": f"ovc_session={anna.key}", **WEBSOCKET}
    assert rig.get("/live/console", headers).status == 403


def test_fault_26_only_the_public_address_counts_where_one_is_set(rig):
    rig.restart(public_url="https://cloud.example")
    anna = rig.visitor("anna")
    named = {"Origin": "https://cloud.example"}
    rig.socket(anna, headers=named, host="cloud.example").close()
    for origin, host in [
        ("http://cloud.example", "cloud.example"),
        (rig.origin, f"127.0.0.1:{rig.port}"),
        ("https://cloud.example", f"127.0.0.1:{rig.port}"),
    ]:
        with pytest.raises(Refused):
            rig.socket(anna, headers={"Origin": origin}, host=host)


WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


# --- rights while it is open ----------------------------------------------------------------------


def _revoke_grants(rig, visitor):
    with rig.world.work() as work:
        for grant in work.db.scalars(select(Grant).where(Grant.user_id == visitor.user.id)):
            work.db.delete(grant)


def _disable(rig, visitor):
    with rig.world.work() as work:
        people.set_disabled(work, people.get(work, visitor.user.id), disabled=True)


def _sign_out(rig, visitor):
    with rig.world.work() as work:
        sessions.close(work, visitor.session_id)


@pytest.mark.requirement("PEER-22")
@pytest.mark.parametrize("away", [_revoke_grants, _disable, _sign_out])
def test_fault_13_a_console_is_cut_when_its_right_goes(rig, machine, guest, anna, away):
    page = rig.open(anna, machine)
    page.expect_state("connected")
    started = time.monotonic()
    away(rig, anna)
    code, _ = page.expect_end(CUT_SECONDS)
    assert code == codes.GONE
    assert time.monotonic() - started < CUT_SECONDS


def test_a_console_ends_with_its_machine(rig, machine, anna):
    with rig.world.work() as work:
        host = work.db.get_one(Host, machine.host_id)
    other = rig.world.machine("web-3", machine.pool, host=host, state=State.RUNNING)
    page = rig.open(anna, other)
    page.read()
    with rig.world.work() as work:
        row = work.db.get_one(type(other), other.id)
        machine_states.enter(work, row, State.DELETED)
        row.deleted_at = work.now()
    assert page.expect_end(CUT_SECONDS) == (codes.GONE, "The machine was deleted.")

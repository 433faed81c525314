"""A console session against a stream that does exactly what a test says."""

from __future__ import annotations

import json

import gevent
import pytest

from ovcadmin.drivers.hypervisor.base import ConsoleEnd
from ovcadmin.errors import HypervisorFailed
from ovcadmin.gateway import sessions
from ovcadmin.gateway.page import HIGH, LOW, Page
from ovcadmin.gateway.sessions import Session
from ovcadmin.services.console_standings import Admission, Standing
from ovcadmin.services.consoles import Holder, Place

HERE = Place(host_id=1, host_name="kvm-a", uri="test:///a", uuid="u")
THERE = Place(host_id=2, host_name="kvm-b", uri="test:///b", uuid="u")


class Stream:
    def __init__(self, place, on_data, on_close):
        self.place, self.say, self.end = place, on_data, on_close
        self.paused = self.closed = False
        self.typed = b""

    def write(self, data):
        self.typed += data

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False

    def close(self):
        self.closed = True


class Source:
    """Opens streams; `fails` many times first, and `hangs` while told so."""

    def __init__(self):
        self.streams = []
        self.fails = 0
        self.gate = gevent.event.Event()
        self.gate.set()

    def open_console(self, place, *, on_data, on_close):
        self.gate.wait()
        if self.fails:
            self.fails -= 1
            raise HypervisorFailed("Host kvm-a refused: not yet.")
        self.streams.append(Stream(place, on_data, on_close))
        return self.streams[-1]


class Socket:
    """The page's side of the WebSocket."""

    def __init__(self):
        self.shown = b""
        self.told = []
        self.ended = None

    def send(self, message):
        if isinstance(message, bytes):
            self.shown += message
        else:
            self.told.append(json.loads(message))

    def close(self, code, reason):
        self.ended = (code, reason)


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def opener():
    """Whom the records name as the last one who opened the console."""
    return []


@pytest.fixture
def session(source, opener):
    made = Session(admission(), source, lambda: None, lambda _admission: "".join(opener))
    yield made
    made.end(sessions.GONE, "test over")


def admission(place=HERE):
    return Admission(
        holder=Holder(user_id=1, machine_id=7, session_id=3),
        user_name="anna@internal",
        title="web-1",
        place=place,
        opening_id=1,
        console_id=1,
    )


def attached(session, place=HERE):
    page = Page(Socket())
    session.attach(page, admission(place))
    gevent.sleep(0.01)
    return page


def states(page):
    return [told["state"] for told in page.socket.told]


def test_output_goes_to_the_page_and_keys_to_the_guest(session, source):
    page = attached(session)
    source.streams[0].say(b"login: ")
    session.write(b"anna\r")
    assert page.socket.shown == b"login: "
    assert source.streams[0].typed == b"anna\r"
    assert states(page) == ["connecting", "connected"]


def test_a_full_page_pauses_the_guest_and_a_drawn_one_lets_it_go_on(session, source):
    page = attached(session)
    stream = source.streams[0]
    while not stream.paused:
        stream.say(b"x" * 10_000)
    assert HIGH < page.undrawn < HIGH + 20_000
    session.drawn(page, page.undrawn - LOW)
    assert stream.paused
    session.drawn(page, 1)
    assert not stream.paused


def test_a_page_that_goes_lets_the_guest_go_on(session, source):
    page = attached(session)
    stream = source.streams[0]
    stream.say(b"x" * (HIGH + 1))
    assert stream.paused
    session.detach(page)
    assert not stream.paused
    stream.say(b"y" * (2 * HIGH))
    assert not stream.paused


def test_a_page_that_draws_nothing_is_left_behind_and_catches_up(session, source):
    page = attached(session)
    stream = source.streams[0]
    stream.say(b"x" * (HIGH + 1))
    paused_at = session._paused_at
    session.look_after(paused_at + sessions.STALLED_SECONDS - 1)
    assert stream.paused
    session.look_after(paused_at + sessions.STALLED_SECONDS + 1)
    assert not stream.paused
    stream.say(b"missed\r\n")
    assert not page.socket.shown.endswith(b"missed\r\n")
    session.drawn(page, page.undrawn)
    assert page.socket.told[-1]["type"] == "attached"
    assert page.socket.shown.endswith(b"missed\r\n")
    stream.say(b"now")
    assert page.socket.shown.endswith(b"now")


def test_an_acknowledgement_of_an_earlier_page_counts_for_nothing(session, source):
    old = attached(session)
    new = attached(session)
    source.streams[0].say(b"x" * (HIGH + 1))
    session.drawn(old, 10**9)
    assert source.streams[0].paused
    assert old.socket.ended[0] == sessions.TAKEN
    assert new.socket.ended is None


def test_a_refused_stream_is_asked_for_again(session, source):
    source.fails = 2
    page = attached(session)
    assert page.socket.told[-1]["state"] == "reconnecting"
    assert "not yet" in page.socket.told[-1]["text"]
    gevent.sleep(1)
    assert states(page)[-1] == "connected"


def test_a_stopped_machine_is_noted_once_and_comes_back(session, source):
    page = attached(session)
    source.streams[0].end(ConsoleEnd.STOPPED)
    session.judge(Standing(refusal="", place=None))
    session.judge(Standing(refusal="", place=None))
    gevent.sleep(0.01)
    assert page.socket.shown.count(b"[machine stopped]") == 1
    assert page.socket.told[-1]["state"] == "stopped"
    session.judge(Standing(refusal="", place=HERE))
    gevent.sleep(0.01)
    assert page.socket.shown.count(b"[the machine runs again]") == 1
    assert page.socket.told[-1]["state"] == "connected"


def test_a_machine_that_moved_is_followed(session, source):
    attached(session)
    session.judge(Standing(refusal="", place=THERE))
    gevent.sleep(0.01)
    assert source.streams[0].closed
    assert source.streams[1].place == THERE


def test_what_an_earlier_stream_still_says_is_not_heard(session, source):
    page = attached(session)
    session.judge(Standing(refusal="", place=THERE))
    gevent.sleep(0.01)
    source.streams[0].say(b"ghost")
    source.streams[0].end(ConsoleEnd.LOST)
    assert b"ghost" not in page.socket.shown
    assert states(page)[-1] == "connected"


def test_a_stream_that_opens_too_late_is_closed_again(session, source):
    source.gate.clear()
    attached(session)
    session.taken("bert@internal")
    source.gate.set()
    gevent.sleep(0.01)
    assert source.streams[0].closed
    gevent.sleep(0.5)
    assert len(source.streams) == 1


@pytest.mark.parametrize("known", ["bert@internal", ""])
def test_who_took_it_is_told_and_it_is_not_taken_back(session, source, opener, known):
    page = attached(session)
    opener[:] = known
    source.streams[0].end(ConsoleEnd.TAKEN_OVER)
    gevent.sleep(0.5)
    by = known or "somebody on the host itself"
    assert page.socket.ended == (sessions.TAKEN, f"Taken over by {by}.")
    assert len(source.streams) == 1
    again = attached(session)
    assert states(again) == ["connecting", "connected"]
    assert source.streams[0].closed or len(source.streams) == 2


def test_a_refusal_ends_it_for_good(session, source):
    page = attached(session)
    session.judge(Standing(refusal="You are signed out.", place=None))
    assert page.socket.ended == (sessions.GONE, "You are signed out.")
    assert source.streams[0].closed
    assert session.over


def test_records_that_fail_do_not_end_the_keeper(source):
    def broken(_admission):
        raise RuntimeError("database away")

    made = Session(admission(), source, lambda: None, broken)
    attached(made)
    source.streams[0].end(ConsoleEnd.TAKEN_OVER)
    gevent.sleep(0.1)
    made.taken_by = lambda _admission: "bert@internal"
    gevent.sleep(0.5)
    assert made.state == "elsewhere"
    made.end(sessions.GONE, "test over")

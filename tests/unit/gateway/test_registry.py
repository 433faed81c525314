"""How long a console may stay open: left, idle, and at all."""

from __future__ import annotations

import time
from types import SimpleNamespace

import gevent
import pytest

from ovcadmin.gateway import sessions
from ovcadmin.gateway.page import Page
from ovcadmin.gateway.recorders import Recorder, Recorders
from ovcadmin.gateway.registry import Consoles
from ovcadmin.services.recordings import Order
from tests.unit.gateway.test_sessions import Socket, Source, admission

MINUTE, HOUR = 60, 3600


@pytest.fixture
def consoles():
    settings = SimpleNamespace(console_keep_minutes=10, console_idle_minutes=30, console_hours=2)
    records = SimpleNamespace(settings=SimpleNamespace(recording_megabytes=1))
    made = Consoles(
        settings, Source(), Recorders(records), seek=lambda: None, taken_by=lambda _one: ""
    )
    yield made
    made.end_all(sessions.GONE, "test over")


@pytest.fixture
def opened(consoles):
    page = Page(Socket())
    session = consoles.attach(admission(), page)
    gevent.sleep(0.01)
    return session, page


@pytest.mark.parametrize(
    ("what", "seconds", "reason"),
    [
        ("typed_at", 30 * MINUTE, "Nothing was typed for a long time."),
        ("opened_at", 2 * HOUR, "A console ends after some hours. Open it again."),
    ],
)
def test_one_that_is_idle_or_old_ends_and_its_page_is_told(consoles, opened, what, seconds, reason):
    session, page = opened
    setattr(session, what, time.monotonic() - seconds + 5)
    consoles.look_after()
    assert not session.over
    setattr(session, what, time.monotonic() - seconds - 5)
    consoles.look_after()
    assert page.socket.ended == (sessions.GONE, reason)
    assert consoles.news().ended == {1: reason}


def test_one_that_was_left_ends_after_its_minutes_and_a_key_keeps_it_from_idling(consoles, opened):
    session, page = opened
    session.typed_at = time.monotonic() - 29 * MINUTE
    session.write(b"x")
    assert time.monotonic() - session.typed_at < MINUTE
    session.detach(page)
    session.detached_at -= 9 * MINUTE
    consoles.look_after()
    assert not session.over
    session.detached_at -= 2 * MINUTE
    consoles.look_after()
    assert session.reason == "Nobody came back to this console."


def test_a_recording_ends_at_its_limit_and_says_so():
    recorder = Recorder(Order(recording_id=1, keys=False, begun=False), 200)
    for _ in range(20):
        recorder.printed(b"0123456789")
    assert recorder.cut
    assert 100 < len(recorder.take()) <= 200


def test_what_the_records_cannot_take_is_bounded_and_counted():
    recorder = Recorder(Order(recording_id=1, keys=False, begun=False), 10**9)
    for _ in range(100):
        recorder.printed(b"x" * 100_000)
    kept = recorder.take()
    assert len(kept) < 5 * 1024 * 1024
    recorder.printed(b"again")
    later = recorder.take()
    assert b"bytes are missing" in later
    assert b"again" in later


def test_a_sign_that_comes_in_two_pieces_is_kept_whole():
    recorder = Recorder(Order(recording_id=1, keys=False, begun=False), 10**6)
    for piece in ("ü".encode()[:1], "ü".encode()[1:], b"\xff"):
        recorder.printed(piece)
    assert b'"\\u00fc"' in recorder.take().replace(b"\xc3\xbc", b"\\u00fc")

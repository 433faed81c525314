"""The gateway process: many consoles, live events, the embedded front.

Its guests are in memory here; everything else is the real thing.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from ovcadmin.domain.states import State
from ovcadmin.gateway import sessions as codes
from ovcadmin.models import Change, Grant, Process
from ovcadmin.models.database import announce
from ovcadmin.services import sessions
from tests.integration import fake_gateway
from tests.integration.gateway import gateway_rig
from tests.rig import console
from tests.rig.base import wait_until

PROMPT = "starter:~# "
CUT_SECONDS = 5
FAKE = Path(fake_gateway.__file__)


@pytest.fixture
def rig(tmp_path, database_url):
    with gateway_rig(tmp_path, database_url) as made:
        made.start(FAKE)
        yield made


@pytest.fixture
def lab(rig):
    """A pool, with a host and an image to make machines from."""
    rig.world.host()
    rig.world.image()
    return rig.world.pool("Lab")


def machine_in(rig, pool, name):
    return rig.world.machine(name, pool, state=State.RUNNING)


# --- consoles ----------------------------------------------------------------------------------


def test_tickets_and_consoles_on_either_database(rig, lab):
    machine = machine_in(rig, lab, "web-1")
    anna = rig.visitor("anna", "User", lab)
    page = rig.open(anna, machine)
    page.expect_state("connected")
    page.type("echo hello\r")
    page.expect("\r\nhello\r\n")
    with rig.world.work() as work:
        work.db.delete(work.db.scalars(select(Grant).where(Grant.user_id == anna.user.id)).one())
    assert page.expect_end(CUT_SECONDS)[0] == codes.GONE


# --- live events ---------------------------------------------------------------------------------


def tell(rig, kind, number, pool):
    with rig.world.work() as work:
        announce(work.db, kind, number, pool.id)


def test_a_change_is_told_within_a_second(rig, lab):
    anna = rig.visitor("anna", "Monitor", lab)
    with rig.events(anna) as events:
        assert events.next()["event"] == "hello"
        started = time.monotonic()
        tell(rig, "machine", 7, lab)
        told = events.next()
        assert time.monotonic() - started < 1
        assert (told["event"], told["data"]) == ("change", {"kind": "machine", "id": 7})


def test_fault_11_nobody_hears_of_what_he_may_not_see(rig, lab):
    other = rig.world.pool("Other")
    below = rig.world.pool("Below", lab)
    anna = rig.visitor("anna", "User", lab)
    with rig.events(anna) as events:
        events.next()
        tell(rig, "machine", 1, other)
        tell(rig, "host", 2, rig.world.root())
        tell(rig, "machine", 3, below)
        assert events.next()["data"] == {"kind": "machine", "id": 3}
        rig.world.grant(anna.user, "Monitor", other)
        tell(rig, "machine", 4, other)
        assert events.next()["data"] == {"kind": "machine", "id": 4}


def test_a_page_that_was_away_hears_what_it_missed(rig, lab):
    other = rig.world.pool("Other")
    anna = rig.visitor("anna", "User", lab)
    with rig.events(anna) as events:
        number = events.next()["id"]
    tell(rig, "machine", 1, lab)
    tell(rig, "machine", 2, other)
    tell(rig, "machine", 3, lab)
    tell(rig, "machine", 1, lab)
    for path, headers in [
        (f"/live/events?after={number}", {}),
        ("/live/events", {"Last_Event_ID": number}),
    ]:
        with rig.events(anna, path, **headers) as events:
            told = [events.next() for _ in range(3)]
            assert [one["data"].get("id") for one in told] == [3, 1, None]
            assert told[-1]["event"] == "hello"
            assert int(told[-1]["id"]) == int(told[1]["id"])


def test_a_page_that_missed_too_much_starts_afresh(rig, lab):
    anna = rig.visitor("anna", "User", lab)
    with rig.world.work() as work:
        work.db.add_all(
            Change(kind="machine", object_id=number, pool_id=lab.id) for number in range(600)
        )
    for after in ("0", "999999"):
        with rig.events(anna, f"/live/events?after={after}") as events:
            assert events.next()["event"] == "resync"
            assert events.next()["event"] == "hello"


def test_a_burst_arrives_as_one_word_for_each_object(rig, lab):
    anna = rig.visitor("anna", "User", lab)
    with rig.events(anna) as events:
        events.next()
        for _ in range(100):
            tell(rig, "machine", 1, lab)
        tell(rig, "machine", 2, lab)
        told = []
        while (event := events.next())["data"]["id"] != 2:
            told.append(event)
        assert 1 <= len(told) < 100


def test_fault_13_the_stream_ends_with_the_session(rig, lab):
    anna = rig.visitor("anna", "User", lab)
    with rig.events(anna) as events:
        events.next()
        started = time.monotonic()
        with rig.world.work() as work:
            sessions.close(work, anna.session_id)
        while (event := events.next())["event"] != "ended":
            pass
        assert event["data"] == {}
        assert events.next() is None
        assert time.monotonic() - started < CUT_SECONDS
    assert rig.get("/live/events", {"Cookie": f"ovc_session={anna.key}"}).status == 401


def test_no_events_without_a_session_or_for_a_foreign_page(rig, lab):
    anna = rig.visitor("anna", "User", lab)
    cookie = {"Cookie": f"ovc_session={anna.key}"}
    assert rig.get("/live/events").status == 401
    assert rig.get("/live/events", {"Cookie": "ovc_session=x; a=b"}).status == 401
    assert rig.get("/live/events", cookie | {"Origin": "http://evil.example"}).status == 403
    assert rig.get("/live/events", cookie | {"Sec-Fetch-Site": "cross-site"}).status == 403


def test_one_user_has_a_bounded_number_of_streams(rig, lab):
    anna = rig.visitor("anna", "User", lab)
    with ExitStack() as stack:
        for _ in range(50):
            assert stack.enter_context(rig.events(anna)).next()["event"] == "hello"
        assert rig.get("/live/events", {"Cookie": f"ovc_session={anna.key}"}).status == 429


def test_pages_that_were_left_do_not_count(rig, lab):
    anna = rig.visitor("anna", "User", lab)
    for _ in range(60):
        with rig.events(anna) as events:
            assert events.next()["event"] == "hello"


def test_a_page_that_reads_nothing_is_dropped_and_others_go_on(rig, lab):
    anna = rig.visitor("anna", "User", lab)
    slow = rig.raw_events(anna)
    with rig.events(anna) as events:
        events.next()

        def drown(number, size):
            tell(rig, f"{number}{'x' * size}", number, lab)
            while events.next()["data"]["id"] != number:
                pass
            return "live.page_too_slow" in rig.process.log

        # What the kernel takes in for the slow one, then what the gateway does.
        assert not any(drown(number, 10**6) for number in range(8))
        assert any(drown(number, 1) for number in range(8, 200))
        assert not drown(201, 1) or rig.process.log.count("live.page_too_slow") == 1
    slow.close()


# --- the front -----------------------------------------------------------------------------------


class TestFront:
    @pytest.fixture
    def database_url(self, sqlite_url):
        return sqlite_url

    @pytest.fixture
    def web(self, rig):
        """The real web process, where the gateway looks for it."""
        log = rig.directory / "web.log"
        process = console.Process((sys.executable, "-m", "ovcadmin.manage.web", rig.ini), log)
        process.said("web.listening")
        yield process
        process.stop()

    def test_pages_and_forms_come_through(self, rig, web):
        page = rig.get("/signin")
        assert page.status == 200
        assert b"OpenvCloud" in page.body
        assert "Content-Security-Policy" in page.headers
        assert rig.get("/machines").headers["Location"].startswith(("/", rig.origin))
        assert rig.request("HEAD", "/signin").body == b""
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": rig.origin}
        assert rig.request("POST", "/signin", form, b"name=x&password=y").status in (400, 403, 422)

    def test_bodies_are_streamed_and_bounded(self, rig, web):
        json_body = {"Content-Type": "application/json"}
        whole = rig.request("POST", "/api/v1/pools", json_body, b'{"name": "x"}')
        parts = rig.request("POST", "/api/v1/pools", json_body, iter([b'{"name":', b'"x"}']))
        for answer in (whole, parts):
            assert answer.status == 401
            assert answer.headers["Content-Type"].startswith("application/problem+json")
        too_long = {"Content-Length": str(17 * 2**20)}
        assert rig.request("POST", "/signin", too_long).status == 413
        endless = (b"x" * 65536 for _ in range(300))
        assert rig.request("POST", "/api/v1/pools", json_body, endless).status == 413
        broken = json_body | {"Transfer-Encoding": "chunked"}
        assert rig.request("POST", "/api/v1/pools", broken, b"zz\r\n").status == 400
        assert rig.get("/signin").status == 200

    def test_fault_24_what_a_browser_claims_of_itself_is_not_passed_on(self, rig, web):
        claims = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "https",
            "Forwarded": "for=203.0.113.9;host=evil.example",
        }
        page = rig.get("/signin", claims)
        assert "Strict-Transport-Security" not in page.headers
        assert "evil.example" not in rig.get("/machines", claims).headers["Location"]
        web.said("answered")
        assert "203.0.113.9" not in web.log
        assert "address=127.0.0.1" in web.log

    def test_many_at_once_and_the_web_process_starting_again(self, rig, web):
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: rig.get("/signin").status, range(100)))
        assert answers == [200] * 100
        web.stop()
        page = rig.get("/")
        assert page.status == 502
        assert b"not available at the moment" in page.body
        assert page.headers["Retry-After"] == "5"
        problem = rig.get("/api/v1/pools")
        assert problem.headers["Content-Type"] == "application/problem+json"
        assert json.loads(problem.body)["status"] == 502
        assert rig.get("/live/health").status == 200

    @pytest.mark.parametrize("path", ["/live/", "/live/nothing", "http://evil/", "*"])
    def test_what_is_not_there_is_404(self, rig, path):
        assert rig.get(path).status == 404


# --- the process ----------------------------------------------------------------------------------


def test_the_process_says_that_it_is_up_and_takes_its_leave(rig):
    def beats():
        with rig.world.work() as work:
            return work.db.scalars(select(Process).where(Process.kind == "gateway")).all()

    row = wait_until(beats, "the process's word")[0]
    assert row.pid == rig.process.pid
    assert row.address == f"127.0.0.1:{rig.port}"
    assert rig.process.stop() == 0
    assert beats() == []
    assert rig.process.log.rstrip().endswith("gateway.stopped")

"""The border between native threads and greenlets, without any hypervisor."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time

import gevent
import pytest

from ovcadmin import green
from ovcadmin.errors import HostUnresponsive
from tests.rig.base import ROOT

SOON = 0.05


class Gate:
    """A function that hangs until it is let go."""

    def __init__(self, answer: object = "late") -> None:
        self.answer = answer
        self._open = threading.Event()

    def __call__(self) -> object:
        self._open.wait(20)
        return self.answer

    def let_go(self) -> None:
        self._open.set()


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.let_go()


def until(condition) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        green.sleep(0.005)


def test_a_call_returns_what_the_function_returns():
    assert green.HostThreads("h").call(lambda: 42, deadline=1) == 42


def test_a_call_raises_what_the_function_raises(capfd):
    with pytest.raises(ZeroDivisionError):
        green.HostThreads("h").call(lambda: 1 / 0, deadline=1)
    assert capfd.readouterr().err == ""


def test_a_call_runs_in_another_thread_while_greenlets_go_on(gate):
    threads = green.HostThreads("h")
    green.later(SOON, gate.let_go)
    assert threads.call(gate, deadline=5) == "late"


def test_a_call_that_passes_its_deadline_is_abandoned(gate):
    threads = green.HostThreads("h", ceiling=2)
    with pytest.raises(HostUnresponsive, match=r"h did not answer within 0\.05 seconds"):
        threads.call(gate, deadline=SOON)
    assert threads.stuck == 1


def test_a_stuck_thread_is_replaced(gate):
    threads = green.HostThreads("h", size=1, ceiling=2)
    with pytest.raises(HostUnresponsive):
        threads.call(gate, deadline=SOON)
    assert threads.call(lambda: "next", deadline=1) == "next"


def test_at_the_ceiling_calls_fail_at_once_and_relief_is_asked_for(gate):
    asked = []
    threads = green.HostThreads("h", size=2, ceiling=2, relieve=lambda: asked.append(1))
    for _ in range(2):
        with pytest.raises(HostUnresponsive, match="within"):
            threads.call(gate, deadline=SOON)
    assert asked == [1]
    begun = time.monotonic()
    with pytest.raises(HostUnresponsive, match="2 calls to it hang"):
        threads.call(lambda: 1, deadline=5)
    assert time.monotonic() - begun < SOON


def test_when_a_stuck_call_returns_the_circuit_closes(gate):
    threads = green.HostThreads("h", size=1, ceiling=1)
    with pytest.raises(HostUnresponsive):
        threads.call(gate, deadline=SOON)
    gate.let_go()
    until(lambda: threads.stuck == 0)
    assert threads.call(lambda: "well", deadline=1) == "well"


def test_no_more_calls_run_at_once_than_there_are_threads(gate):
    threads = green.HostThreads("h", size=2)
    calls = [threads.start(gate) for _ in range(2)]
    third = threads.start(lambda: "third")
    assert not third.wait(SOON)
    gate.let_go()
    assert third.wait(5)
    assert [call.wait(5) for call in calls] == [True, True]


def test_more_calls_than_may_wait_are_refused(gate):
    threads = green.HostThreads("h", size=1, limit=2)
    held = threads.start(gate)
    until(lambda: not threads._waiting)
    for _ in range(2):
        threads.start(gate)
    with pytest.raises(HostUnresponsive, match="busy"):
        threads.start(gate)
    gate.let_go()
    assert threads.result(held, deadline=5) == "late"


def test_a_call_that_never_ran_never_runs(gate):
    ran = []
    threads = green.HostThreads("h", size=1)
    threads.start(gate)
    with pytest.raises(HostUnresponsive):
        threads.call(lambda: ran.append(1), deadline=SOON)
    assert threads.stuck == 0
    gate.let_go()
    assert threads.call(lambda: "after", deadline=5) == "after"
    assert ran == []


def test_a_late_result_is_given_away(gate):
    late = []
    threads = green.HostThreads("h")
    with pytest.raises(HostUnresponsive):
        threads.call(gate, deadline=SOON, late=late.append)
    gate.let_go()
    until(lambda: late == ["late"])


def test_threads_go_home_when_there_is_nothing_to_do():
    threads = green.HostThreads("h", size=4)
    for _ in range(50):
        threads.call(lambda: None, deadline=1)
    until(lambda: threads._busy == 0)


def test_a_mailbox_keeps_the_order_of_its_facts():
    heard = []
    box = green.Mailbox(heard.append)
    sent = list(range(1000))

    def send() -> None:
        for number in sent:
            box.put(number)

    green.native_thread(send)
    until(lambda: len(heard) == len(sent))
    assert heard == sent


def test_a_mailbox_goes_on_after_a_handler_that_fails(capfd):
    heard = []

    def handle(number: int) -> None:
        if number == 1:
            raise ValueError("one")
        heard.append(number)

    box = green.Mailbox(handle)
    for number in range(3):
        box.put(number)
    until(lambda: len(heard) == 2)
    assert heard == [0, 2]
    assert "ValueError: one" in capfd.readouterr().err


def test_a_background_task_can_be_stopped():
    turns = []

    def turn() -> None:
        while True:
            turns.append(1)
            green.sleep(0.001)

    stop = green.background(turn)
    until(lambda: turns)
    stop()
    green.sleep(0.01)
    counted = len(turns)
    green.sleep(SOON)
    assert len(turns) == counted


def in_a_fresh_process(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=False, capture_output=True, text=True, cwd=ROOT, timeout=30,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_in_a_patched_process_calls_run_in_native_threads_and_hold_up_nobody():
    said = in_a_fresh_process("""
        from ovcadmin import green
        green.patch()
        import threading, time
        blocking_sleep = green.native("time", "sleep")
        turns = []
        def tick():
            while True:
                turns.append(1)
                time.sleep(0.01)
        green.background(tick)
        green.HostThreads("h").call(lambda: blocking_sleep(0.5), deadline=5)
        print(len(turns) > 20)
    """)
    assert said == "True\n"


def test_patching_comes_before_what_decides_at_import():
    said = in_a_fresh_process("""
        import psycopg
        from ovcadmin import green
        green.patch()
    """)
    assert "must run before psycopg is imported" in said


def test_ringing_from_another_thread_counts_nothing_that_the_hub_waits_for():
    """A count that is written without the loop's knowing is lost one day."""
    bell, loop = green.Doorbell.here(), gevent.get_hub().loop

    def counted_while(ring) -> tuple[int, int]:
        counts = []

        def from_outside() -> None:
            counts.append(loop.activecnt)
            ring(lambda: None)
            counts.append(loop.activecnt)

        thread = threading.Thread(target=from_outside)
        thread.start()
        thread.join()  # the hub does not run meanwhile
        return counts[0], counts[1]

    before, after = counted_while(loop.run_callback_threadsafe)
    assert after == before + 1, "what gevent's own does, and the reason for the bell"
    gevent.sleep(SOON)
    before, after = counted_while(bell.ring)
    assert after == before

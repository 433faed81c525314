"""The vital greenlets of a worker: failures are shrugged off for a while, death is not."""

from __future__ import annotations

import gevent
import pytest

from ovcadmin.worker import crew
from ovcadmin.worker.crew import Crew


def test_a_task_is_repeated_and_may_fail_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "FAILED_PAUSE", 0)
    team = Crew()
    calls = []

    def task() -> None:
        calls.append(len(calls))
        if len(calls) == 2:
            raise ZeroDivisionError
        if len(calls) == 4:
            team.stop()

    team.every(0, "task", task)
    with gevent.Timeout(5):
        team.wait()
    assert (len(calls), team.lost) == (4, "")


def test_a_task_that_only_fails_is_lost_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "FAILED_PAUSE", 0)
    monkeypatch.setattr(crew, "PATIENCE_SECONDS", 0.05)

    def task() -> None:
        raise ZeroDivisionError

    team = Crew()
    team.every(0, "task", task)
    with gevent.Timeout(5):
        team.wait()
    assert team.lost == "task"


def test_a_task_that_is_killed_is_lost() -> None:
    def task() -> None:
        raise gevent.GreenletExit

    team = Crew()
    team.every(0, "task", task)
    with gevent.Timeout(5):
        team.wait()
    assert team.lost == "task"

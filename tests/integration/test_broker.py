"""The carrier `celery` with a real broker: several worker machines, and what may happen to them."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovcadmin.engine.broker import Post
from ovcadmin.manage import status
from ovcadmin.models import OperationState
from ovcadmin.services import hosts, operations, pools, watches
from tests.integration import trial
from tests.integration.test_engine import LOCKS, Trial
from tests.rig.base import wait_until
from tests.rig.console import console
from tests.rig.rabbitmq import RabbitMq, rabbitmq

SILENT = "qemu+tcp://127.0.0.1:1/system?"
"""Nobody listens there: its monitor says so, and by that who watches it can be told."""


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMq]:
    with rabbitmq() as made:
        yield made


@pytest.fixture
def engine(tmp_path: Path, database_url: str, broker: RabbitMq) -> Iterator[Trial]:
    with console(tmp_path, database_url, dispatch="celery", broker_url=broker.url) as made:
        yield Trial(made)


def machine(engine: Trial, name: str, **settings: object):
    """Start the worker of another machine, with a settings file of its own."""
    ini = engine.console.variant(name, **settings)
    process = engine.console.worker(Path(trial.__file__), ini=ini)
    process.said("broker.listening")
    return process


def troubles(engine: Trial) -> list[str]:
    with engine.console.work() as work:
        return [line.trouble for line in status.lines(work) if line.kind == "worker"]


@pytest.mark.requirement("OVM-10")
def test_of_two_worker_machines_one_dies_and_nothing_is_lost_or_run_twice(engine: Trial) -> None:
    """Operations wait while no worker is up; then one is killed in the middle of its work."""
    waiting = [engine.submit("mark", lock) for lock in range(LOCKS)]
    first = engine.worker()
    first.said("broker.listening")
    held = engine.submit("wait", lock=0)
    engine.waits(held)
    second = engine.worker()
    second.said("broker.listening")
    others = [engine.submit("mark", 1 + n % (LOCKS - 1), seconds=0.01) for n in range(30)]
    # Doubled words, and some for which there is nothing to do.
    Post(engine.console.settings).send(["", "main", "", "nowhere"] * 5)

    assert engine.begun(held).pid == first.pid
    first.kill()
    assert first.code == -signal.SIGKILL
    begun = engine.begun(held, attempt=2)
    assert begun.pid == second.pid
    engine.release.touch()

    for operation in (*waiting, held, *others):
        assert engine.console.ended(operation).state == OperationState.DONE
    runs = Counter(entry.operation for entry in engine.journal("end"))
    for number in (*waiting, *others):
        # What was in the hands of the one that was killed may be done again, nothing else.
        assert 1 <= runs[number] <= engine.console.operation(number).attempt
    assert engine.endings(held) == 1
    log = " ".join(line.text for line in engine.console.operation(held).log)
    assert "The worker went away; the operation runs again." in log


def test_the_broker_goes_and_comes_and_operations_run_all_the_while(
    engine: Trial, broker: RabbitMq
) -> None:
    engine.worker().said("broker.listening")
    assert engine.console.ended(engine.submit("mark")).state == OperationState.DONE
    wait_until(lambda: troubles(engine) == [""], "a worker without trouble")

    broker.kill()
    late = engine.submit("mark")
    assert engine.console.ended(late).state == OperationState.DONE
    wait_until(lambda: "does not answer" in troubles(engine)[0], "the trouble in the status", 30)
    assert "guest:guest" not in troubles(engine)[0]

    broker.start()
    wait_until(lambda: troubles(engine) == [""], "the broker in the status", 30)
    worker = engine.console.processes[-1]
    wait_until(lambda: worker.log.count("broker.listening") == 2, "a new ear", 30)
    assert engine.console.ended(engine.submit("mark")).state == OperationState.DONE


def test_operations_go_to_the_workers_of_their_host_group(engine: Trial) -> None:
    with engine.console.work(write=True) as work:
        root = pools.root(work)
        for group in ("east", "west"):
            hosts.enroll(work, root, name=group, uri=SILENT + group).worker_group = group
    east = machine(engine, "a", worker_groups="east")

    def submit(group: str) -> int:
        values = {"journal": str(engine.file)}
        with engine.console.work(write=True) as work:
            host = next(row for row in hosts.watched(work) if row.name == group)
            request = operations.Request(
                type="trial.mark", pool=host.pool, name=group, host=host, params=values
            )
            return operations.submit(work, request).id

    far, near = submit("west"), submit("east")
    assert engine.console.ended(near).state == OperationState.DONE
    assert engine.console.operation(far).state == OperationState.QUEUED
    with engine.console.work() as work:
        assert watches.unserved(work) == ["west"]

    west = machine(engine, "b", worker_groups="west main")
    assert engine.console.ended(far).state == OperationState.DONE
    ran = {entry.operation: entry.pid for entry in engine.journal("end")}
    assert ran == {near: east.pid, far: west.pid}


def test_each_host_has_one_monitor_and_another_worker_takes_over(
    tmp_path: Path, database_url: str
) -> None:
    with console(tmp_path, database_url) as made:
        with made.work(write=True) as work:
            for name in ("one", "two", "three", "four"):
                hosts.enroll(work, pools.root(work), name=name, uri=SILENT + name)

        def watched() -> Counter[str]:
            with made.work() as work:
                return Counter(held.worker for held in work.db.query(watches.HostWatch))

        first = made.worker()
        wait_until(lambda: sum(watched().values()) == 4, "one worker with all hosts")
        second = made.worker()
        wait_until(lambda: sorted(watched().values()) == [2, 2], "an even share")
        wait_until(lambda: second.log.count("host.watched") == 2, "its two monitors")
        assert first.log.count("host.handed_over") == 2

        first.kill()
        wait_until(lambda: list(watched().values()) == [4], "all hosts with the one left", 30)
        wait_until(lambda: second.log.count("host.watched") == 4, "all four monitors")
        assert second.stop() == 0
        assert not watched(), "at a clean end nobody waits for a lease to run out"

"""A worker that dies at any point of a create leaves one machine or none, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ovcadmin.domain.resources import Resources
from ovcadmin.domain.states import Action
from ovcadmin.models import Operation, OperationState, utcnow
from ovcadmin.services import quota_check
from tests.integration import crashing
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import LIBVIRT_POOL, Cloud, cloud


@pytest.fixture
def prepared(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> Iterator[Cloud]:
    """A cloud with a host and an image; its worker is frozen."""
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as made:
        made.worker()
        made.ready()
        made.freeze(made.processes[0])
        yield made


@pytest.mark.timeout(600)
@pytest.mark.requirement("OVM-10")
def test_fault_07_a_worker_killed_at_every_point_of_a_create_makes_exactly_one_machine(
    prepared: Cloud,
) -> None:
    attempts = []
    for at in count(1):
        machine_id, crashed = crash(prepared, at)
        if not crashed:
            break
        ended = prepared.ended(create_operation(prepared, machine_id))
        assert ended.state == OperationState.DONE, (at, ended.error_text)
        attempts.append(ended.attempt)
        again = [row.text for row in ended.log if "the operation runs again" in row.text]
        assert len(again) == ended.attempt - 1, "people see that it was tried again"
        machine = prepared.machine(machine_id)
        assert machine.state == "stopped"
        assert remains(prepared) == ([machine.domain_name], [f"machine-{machine.uuid}-vda"]), at
        assert prepared.used() == Resources(storage=machine.storage), at
        assert_books_agree(prepared)
        prepared.ended(prepared.act(machine_id, Action.DELETE))
        assert_nothing_remains(prepared)
        prepared.freeze(prepared.processes[0])
    assert len(attempts) > 12, "there are points before and after every commit"
    assert attempts == [2] * (len(attempts) - 1) + [1], "the last point is after the end"


@pytest.mark.timeout(600)
def test_fault_07_a_worker_killed_while_it_takes_a_create_back_leaves_one_machine_or_none(
    prepared: Cloud,
) -> None:
    outcomes = set()
    for at in count(1):
        machine_id, crashed = crash(prepared, at, cancel=True)
        if not crashed:
            break
        ended = prepared.ended(create_operation(prepared, machine_id))
        outcomes.add(ended.state)
        if ended.state == OperationState.DONE:  # it died before anybody asked to cancel
            prepared.ended(prepared.act(machine_id, Action.DELETE))
        else:
            assert ended.error_code == "operation.cancelled", (at, ended.error_text)
        assert prepared.machine(machine_id).deleted_at is not None
        assert_nothing_remains(prepared)
        prepared.freeze(prepared.processes[0])
    assert outcomes == {OperationState.DONE, OperationState.CANCELLED}


def crash(cloud: Cloud, at: int, *, cancel: bool = False) -> tuple[int, bool]:
    """Create a machine with a worker that dies at point `at`; False when there is no such point."""
    dying = cloud.worker(Path(crashing.__file__), AT=str(at), CANCEL=str(int(cancel)))
    machine_id = cloud.create(f"machine {at}")
    wait_until(
        lambda: dying.code is not None or "points.passed" in dying.log, "the crash or the end"
    )
    crashed = dying.code is not None
    dying.kill()
    with cloud.work(write=True) as work:  # the time of its leases passes
        for operation in work.db.query(Operation).filter_by(state=OperationState.RUNNING):
            operation.lease_until = utcnow()
    cloud.processes[0].thaw()
    return machine_id, crashed


def create_operation(cloud: Cloud, machine_id: int) -> int:
    with cloud.work() as work:
        found = work.db.query(Operation).filter_by(machine_id=machine_id, type="machine.create")
        return found.one().id


def remains(cloud: Cloud) -> tuple[list[str], list[str]]:
    """Domains, and volumes of machines, that are on the host."""
    volumes = cloud.host.virsh("vol-list", LIBVIRT_POOL).split()[::2]
    return (
        cloud.host.virsh("list", "--all", "--name").split(),
        [name for name in volumes if name.startswith("machine-")],
    )


def assert_nothing_remains(cloud: Cloud) -> None:
    assert remains(cloud) == ([], [])
    assert cloud.used() == Resources()
    assert_books_agree(cloud)


def assert_books_agree(cloud: Cloud) -> None:
    """Everything that is counted is what the machines' states and volumes say."""
    with cloud.work() as work:
        assert quota_check.differences(work) == []

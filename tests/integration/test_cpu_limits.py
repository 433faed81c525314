"""A hard limit of CPU time, set while the guest is busy, and measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ovcadmin.models import OperationState
from ovcadmin.services import devices, machines
from tests import rig
from tests.rig.cloud import Cloud, cloud
from tests.rig.guest import Guest

pytestmark = pytest.mark.timeout(300)
LOOK_SECONDS = 4.0


@pytest.fixture
def made(tmp_path: Path, sqlite_url: str, starter_image: Path) -> Iterator[Cloud]:
    with (
        rig.libvirt_host("limited", limits_cpu=True) as host,
        cloud(tmp_path, sqlite_url, host, starter_image) as found,
    ):
        found.worker()
        found.ready()
        yield found


def limit(made: Cloud, machine_id: int, percent: int) -> None:
    with made.work(write=True) as work:
        operation = devices.limit_cpu(work, machines.get(work, machine_id), percent).id
    ended = made.ended(operation)
    assert ended.state == OperationState.DONE, ended.error_text


def quota(made: Cloud, domain: str) -> int:
    """Microseconds of CPU time in each period, as the host says."""
    told = made.host.virsh("schedinfo", domain)
    return int(told.split("global_quota")[1].split(":")[1].split()[0])


def busy(uuid: str) -> float:
    """CPUs that the guest takes, over some seconds."""
    process = next(
        one for one in psutil.process_iter(["cmdline"])
        if "qemu-system" in "".join(one.info["cmdline"] or [])[:60]
        and uuid in " ".join(one.info["cmdline"])
    )  # fmt: skip
    before, begun = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(LOOK_SECONDS)  # what is measured is the time
    return (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - begun)


@pytest.mark.requirement("OVT-73")
def test_a_busy_guest_stays_under_its_limit(made: Cloud) -> None:
    machine_id = made.made("web01", start=True)
    machine = made.machine(machine_id)
    guest = Guest(made.host, machine.domain_name)
    guest.run("(while :; do :; done) & (while :; do :; done) & true")
    limit(made, machine_id, 5)
    assert quota(made, machine.domain_name) == 5000
    limited = busy(machine.uuid)
    assert limited < 0.08
    limit(made, machine_id, 10)
    assert quota(made, machine.domain_name) == 10_000
    assert busy(machine.uuid) < 0.15

"""Maintenance of a real host: its guests leave for another one, or stop; and a way that is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovcadmin.models import OperationState
from ovcadmin.services import host_changes, hosts, maintenance, operations, pools
from ovcadmin.services.host_changes import Details
from tests.integration.test_migration import other_host, pair
from tests.rig.base import wait_until
from tests.rig.network import LOOPBACK, free_port

__all__ = ["other_host", "pair"]


def begin(made, host_id: int, mode: str) -> int:
    with made.work(write=True) as work:
        for row in hosts.listing(work):
            row.enabled = True
        return maintenance.begin(work, hosts.get(work, host_id), mode).id


@pytest.mark.requirement("PEER-19")
@pytest.mark.timeout(300)
def test_a_host_is_evacuated_and_takes_no_machine_until_the_maintenance_ends(
    pair, libvirt_host, other_host
):
    made, first, second = pair
    ids = [made.made(f"web0{number}", start=True, host_id=first) for number in (1, 2)]
    operation = begin(made, first, "evacuate")
    done = made.ended(operation, 150)
    assert done.state == OperationState.DONE, done.error_text
    assert [made.machine(number).host_id for number in ids] == [second, second]
    assert libvirt_host.virsh("list", "--all", "--name") == ""
    assert len(other_host.virsh("list", "--name").split()) == 2
    machine_id = made.made("web03")
    assert made.machine(machine_id).host_id == second
    stops = begin(made, second, "stop")
    ended = made.ended(stops, 120)
    assert ended.state == OperationState.DONE, ended.error_text
    assert other_host.virsh("list", "--name") == ""


def test_what_cannot_leave_is_named_with_its_reason(pair):
    made, first, second = pair
    made.made("web01", start=True, host_id=first)
    with made.work(write=True) as work:
        hosts.get(work, second).memory_reserve = hosts.get(work, second).memory
    ended = made.ended(begin(made, first, "evacuate"), 60)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "host.maintenance")
    assert "web01" in ended.error_text
    assert "memory free, the machine wants" in ended.error_text


def test_the_way_to_a_host_is_tried_step_by_step_and_told(pair):
    made, first, _ = pair
    with made.work(write=True) as work:
        fine = host_changes.check(work, hosts.get(work, first)).id
    ended = made.ended(fine)
    assert ended.state == OperationState.DONE
    told = [row.text for row in ended.log]
    assert any("The socket" in text for text in told)
    assert any("libvirt 9" in text for text in told)
    port = free_port()
    with made.work(write=True) as work:
        uri = f"qemu+tcp://{LOOPBACK}:{port}/system"
        host, check = host_changes.enroll(work, pools.root(work), Details(name="shut", uri=uri))
        shut, check_id = host.id, check.id
    ended = made.ended(check_id)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "host.unreachable")
    assert f"Nobody listens at {LOOPBACK}:{port}" in ended.error_text
    with made.work(write=True) as work:
        host_changes.retire(work, hosts.get(work, shut))
        assert all(row.id != shut for row in hosts.watched(work))
        assert operations.listing(work, operations.Filter(host_id=shut))


def test_a_host_is_measured_and_its_memory_is_what_it_says_itself(pair):
    made, first, _ = pair
    wait_until(lambda: made.host_row(first).measured_at is not None, "a measurement", 40)
    row = made.host_row(first)
    assert 0 < row.load <= 1
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    kib = {name: int(meminfo[name].split()[0]) for name in ("MemTotal", "MemFree", "Cached")}
    assert 0 < row.memory_used < kib["MemTotal"]
    assert abs(row.memory_used - (kib["MemTotal"] - kib["MemFree"] - kib["Cached"])) < 2**21

"""Hosts that are silent, restarted or changed behind the console's back; real libvirtd and QEMU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.errors import HostUnresponsive
from ovcadmin.models import OperationState
from ovcadmin.services import hosts, operations, pools, retries
from tests import rig
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.network import LOOPBACK, black_hole

MARKED_SECONDS = 15
"""A host that hangs is marked within this time."""


@pytest.fixture
def live(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> Iterator[Cloud]:
    """A cloud with one host and a worker."""
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as made:
        made.worker()
        made.ready()
        yield made


@pytest.fixture
def deaf_to_sweeps(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> Iterator[Cloud]:
    """The same, but it sweeps so rarely that only events can tell it anything."""
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image, sweep_seconds=300) as made:
        made.worker()
        made.ready()
        yield made


def becomes(cloud: Cloud, state: str, host_id: int | None = None, seconds: float = 20) -> None:
    wait_until(lambda: cloud.host_row(host_id).state == state, f"the host {state}", seconds)


@pytest.mark.requirement("OVT-51")
def test_fault_40_what_virsh_does_to_a_guest_is_seen_within_two_seconds(
    deaf_to_sweeps: Cloud,
) -> None:
    cloud = deaf_to_sweeps
    machine_id = cloud.made("web01", start=True)
    name = cloud.machine(machine_id).domain_name
    for command, word in (
        ("suspend", "suspended"),
        ("resume", "running"),
        ("destroy", "stopped"),
        ("start", "running"),
    ):
        cloud.host.virsh(command, name)
        cloud.shows(machine_id, word, seconds=2)
        assert cloud.machine(machine_id).power_source == "event"


def test_fault_40_what_virsh_does_counts_for_quota_and_consumption(live: Cloud) -> None:
    machine_id = live.made("web01", start=True)
    before = live.used()
    live.host.virsh("destroy", live.machine(machine_id).domain_name)
    live.shows(machine_id, "stopped")
    after = live.used()
    assert (after.machines, after.vcpus, after.memory) == (0, 0, 0)
    assert after.storage == before.storage
    live.host.virsh("start", live.machine(machine_id).domain_name)
    live.shows(machine_id, "running")
    assert live.used() == before


def test_fault_40_an_undefined_machine_is_missing_not_forgotten_and_starts_again(
    live: Cloud,
) -> None:
    machine_id = live.made("web01")
    name = live.machine(machine_id).domain_name
    live.host.virsh("undefine", name)
    live.shows(machine_id, "missing")
    assert live.ended(live.act(machine_id, Action.START)).state == OperationState.DONE
    live.shows(machine_id, "running")
    assert name in live.host.virsh("list", "--name").split()


def test_fault_40_a_stranger_is_listed_and_never_touched(live: Cloud) -> None:
    definition = live.directory / "stranger.xml"
    definition.write_text(
        "<domain type='qemu'><name>stranger</name><memory unit='MiB'>32</memory>"
        "<os><type arch='x86_64'>hvm</type></os></domain>"
    )
    live.host.virsh("define", str(definition))
    live.host.virsh("start", "stranger")

    def strangers() -> list[tuple[str, str]]:
        with live.work() as work:
            row = hosts.get(work, live.host_row().id)
            return [(domain.name, domain.power) for domain in hosts.strangers(work, row)]

    wait_until(lambda: strangers() == [("stranger", "running")], "the stranger in the list")
    machine_id = live.made("web01", start=True)
    live.ended(live.act(machine_id, Action.POWER_OFF))
    live.ended(live.act(machine_id, Action.DELETE))
    live.processes[0].stop()
    live.worker()
    becomes(live, "up")
    assert live.host.virsh("list", "--all", "--name").split() == ["stranger"]
    assert live.host.virsh("domstate", "stranger") == "running"

    live.host.virsh("destroy", "stranger")
    live.host.virsh("undefine", "stranger")
    wait_until(lambda: strangers() == [], "the stranger gone from the list")


def test_fault_36_a_wedged_host_is_marked_in_time_and_refuses_with_a_reason(live: Cloud) -> None:
    machine_id = live.made("web01", start=True)
    idle = live.made("web02")
    before = live.used()
    live.host.freeze()
    becomes(live, "unresponsive", seconds=MARKED_SECONDS)
    assert live.word(machine_id) == "unknown"
    assert live.machine(machine_id).state == "running", "silence says nothing about the machine"
    assert live.used() == before
    begun = time.monotonic()
    with pytest.raises(HostUnresponsive, match="does not answer"):
        live.act(idle, Action.START)
    assert time.monotonic() - begun < 1

    live.host.thaw()
    becomes(live, "up")
    live.shows(machine_id, "running")
    assert live.ended(live.act(idle, Action.START)).state == OperationState.DONE


def test_fault_36_an_operation_in_the_middle_ends_when_its_host_hangs(live: Cloud) -> None:
    machine_id = live.made("web01")
    live.host.freeze()
    ended = live.ended(live.act(machine_id, Action.START), seconds=120)
    assert (ended.state, ended.error_code[:5]) == (OperationState.FAILED, "host.")
    assert "answer" in ended.error_text
    live.host.thaw()
    becomes(live, "up", seconds=30)
    live.shows(machine_id, "stopped")
    with live.work(write=True) as work:
        again = retries.retry(work, operations.get(work, ended.id)).id
    assert live.ended(again).state == OperationState.DONE


def test_fault_36_a_restarted_libvirtd_is_found_again_and_guests_go_on(
    deaf_to_sweeps: Cloud,
) -> None:
    cloud = deaf_to_sweeps
    machine_id = cloud.made("web01", start=True)
    cloud.host.kill_daemon()
    cloud.host.start_daemon()
    wait_until(lambda: cloud.processes[0].log.count("host.up") == 2, "the new connection")
    cloud.ended(cloud.act(machine_id, Action.SUSPEND))
    cloud.host.virsh("resume", cloud.machine(machine_id).domain_name)
    cloud.shows(machine_id, "running")
    assert cloud.machine(machine_id).power_source == "event"


def test_fault_06_a_host_that_dies_keeps_what_its_machines_hold(
    tmp_path: Path, sqlite_url: str, starter_image: Path
) -> None:
    with (
        rig.libvirt_host() as host,
        cloud(tmp_path, sqlite_url, host, starter_image) as made,
    ):
        made.worker()
        made.ready()
        machine_id = made.made("web01", start=True)
        before = made.used()
        host.power_off()
        becomes(made, "unresponsive", seconds=MARKED_SECONDS)
        assert made.word(machine_id) == "unknown"
        assert made.used() == before

        host.power_on()
        host.start_daemon()
        becomes(made, "up", seconds=30)
        made.shows(machine_id, "stopped")
        assert made.used().machines == 0


def test_fault_36_a_black_holed_address_is_marked_and_disturbs_nobody(live: Cloud) -> None:
    with black_hole() as port:
        uri = f"qemu+tcp://{LOOPBACK}:{port}/system"
        with live.work(write=True) as work:
            hole = hosts.enroll(work, pools.root(work), name="hole", uri=uri).id
        becomes(live, "unresponsive", hole, seconds=MARKED_SECONDS)
        begun = time.monotonic()
        machine_id = live.made("web01", start=True)
        assert time.monotonic() - begun < 15
        live.host.virsh("destroy", live.machine(machine_id).domain_name)
        live.shows(machine_id, "stopped", seconds=2)


def test_a_hung_host_takes_neither_the_slots_nor_the_time_of_another(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> None:
    settings = {"operation_slots": 4, "host_slots": 3}
    with (
        rig.libvirt_host() as second,
        cloud(tmp_path, sqlite_url, libvirt_host, starter_image, **settings) as made,
    ):
        worker = made.worker()
        made.ready()
        first_id = made.host_row().id
        second_id = made.add_host(second, "second")
        made.ready()
        stuck = [made.made(f"stuck {n}", host_id=first_id) for n in range(6)]
        fine = [made.made(f"fine {n}", host_id=second_id) for n in range(2)]
        libvirt_host.freeze()
        hanging = [made.act(machine_id, Action.START) for machine_id in stuck]
        worker.said("type=machine.start")
        begun = time.monotonic()
        for machine_id in fine:
            assert made.ended(made.act(machine_id, Action.START)).state == OperationState.DONE
        assert time.monotonic() - begun < 8, "less than one deadline of the hung host"
        for operation in hanging:
            assert made.ended(operation, seconds=120).state == OperationState.FAILED
        libvirt_host.thaw()

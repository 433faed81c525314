"""Machines that move between two real hosts, stopped and running."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ovcadmin.domain.resources import Limits
from ovcadmin.domain.states import Action
from ovcadmin.errors import InvalidInput, PlacementFailed, RunsElsewhere, StateConflict
from ovcadmin.models import HostStoragePool, Machine, MachineEvent, OperationState
from ovcadmin.security.headers import SESSION_COOKIE
from ovcadmin.services import (
    consoles,
    hosts,
    machine_states,
    machines,
    migrations,
    operations,
    people,
    pool_limits,
    sessions,
)
from tests import rig
from tests.integration.gateway import PROMPT
from tests.rig import LibvirtHost, vcloud
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.network import LOOPBACK, free_port
from tests.rig.openvstorage import simulator
from tests.rig.terminal import Terminal
from tests.rig.websocket import WebSocketClient


@pytest.fixture(scope="module")
def other_host() -> Iterator[LibvirtHost]:
    with rig.libvirt_host("other") as host:
        yield host


@pytest.fixture
def pair(
    tmp_path: Path,
    sqlite_url: str,
    libvirt_host: LibvirtHost,
    other_host: LibvirtHost,
    starter_image: Path,
    request: pytest.FixtureRequest,
) -> Iterator[tuple[Cloud, int, int]]:
    """A cloud with two hosts and a cable between them; their ids."""
    if not hasattr(other_host, "wired"):
        other_host.wired = libvirt_host.wire(other_host)
    settings = getattr(request, "param", {})
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image, **settings) as made:
        made.worker()
        made.ready()
        first = made.host_row().id
        second = made.add_host(other_host, "second")
        with made.work(write=True) as work:
            for host_id, address in zip((first, second), other_host.wired, strict=True):
                hosts.get(work, host_id).migration_uri = f"tcp://{address}"
        made.ready()
        yield made, first, second
    other_host.recover()


slowly = pytest.mark.parametrize("pair", [{"migration_speed": 8}], indirect=True)
"""Migrations take long enough to be looked at."""


def migrate(made: Cloud, machine_id: int, host_id: int | None = None) -> int:
    with made.work(write=True) as work:
        for row in hosts.listing(work):
            row.enabled = True
        return migrations.migrate(work, machines.get(work, machine_id), host_id).id


def events(made: Cloud, machine_id: int) -> list[str]:
    with made.work() as work:
        rows = work.db.query(MachineEvent).filter_by(machine_id=machine_id)
        return [row.kind for row in rows.order_by(MachineEvent.id)]


def in_order(made: Cloud) -> bool:
    with made.work() as work:
        return machine_states.reservation_differences(work) == []


def console_of(made: Cloud, machine_id: int) -> Terminal:
    """Open the machine's console through a gateway, as the administrator's page does."""
    listen = f"{LOOPBACK}:{free_port()}"
    ini = made.variant("gateway", gateway_listen=listen)
    made.start(sys.executable, "-m", "ovcadmin.gateway", ini).said("gateway.listening")
    with made.work(write=True) as work:
        key = sessions.begin(work, people.get(work, work.actor.user_id))
        found = sessions.by_key(work, key)
        actor = replace(work.actor, session_id=found.id)
        ticket = consoles.issue(replace(work, actor=actor), machines.get(work, machine_id))
    headers = {"Origin": f"http://{listen}", "Cookie": f"{SESSION_COOKIE}={key}"}
    host, port = listen.split(":")
    return Terminal(WebSocketClient((host, int(port)), "/live/console", headers), ticket=ticket)


@pytest.mark.requirement("KVM-36")
def test_a_stopped_machine_moves_with_its_disk_and_starts_there(pair, libvirt_host, other_host):
    made, first, second = pair
    machine_id = made.made("web01", host_id=first)
    name, before = made.machine(machine_id).domain_name, made.used()
    done = made.ended(migrate(made, machine_id, second))
    assert done.state == OperationState.DONE, done.error_text
    assert made.machine(machine_id).host_id == second
    assert libvirt_host.virsh("list", "--all", "--name") == ""
    assert name in other_host.virsh("list", "--all", "--name").split()
    assert "machine-" not in libvirt_host.virsh("vol-list", "openvcloud")
    assert made.used() == before
    assert made.ended(made.act(machine_id, Action.START)).state == OperationState.DONE
    assert name in other_host.virsh("list", "--name").split()
    assert events(made, machine_id) == ["created", "started"]
    assert in_order(made)


@pytest.mark.requirement("KVM-45", "PEER-07")
def test_fault_05_a_running_machine_moves_at_full_quota_and_nothing_is_counted_twice(
    pair, libvirt_host, other_host
):
    made, first, second = pair
    machine_id = made.made("web01", start=True, host_id=first)
    name, before = made.machine(machine_id).domain_name, made.used()
    page = console_of(made, machine_id)
    page.press_enter_until(PROMPT, 120)
    page.type("mark=$((40 + 2)); echo set-$mark\r")
    page.expect("set-42")
    with made.work(write=True) as work:
        pool = machines.get(work, machine_id).pool
        pool_limits.set_limits(work, pool, Limits(**dict(before.items())))
    operation = migrate(made, machine_id, second)
    used = set()

    def over() -> bool:
        used.add(made.used())
        return made.operation(operation).ended

    wait_until(over, "the end of the migration", 60)
    done = made.operation(operation)
    assert done.state == OperationState.DONE, done.error_text
    assert used == {before}, "not for a moment was more or less counted"
    made.shows(machine_id, "running")
    with suppress(TimeoutError):
        while page.read(1):
            pass
    page.press_enter_until(PROMPT, 60)  # fault 29: the same page, the same guest, another host
    page.type("echo still-$mark\r")
    page.expect("still-42")
    page.close()
    assert name in other_host.virsh("list", "--name").split()
    assert libvirt_host.virsh("list", "--all", "--name") == ""
    assert events(made, machine_id) == ["created", "started"]
    assert made.used() == before
    assert in_order(made)
    back = made.ended(migrate(made, machine_id, first))
    assert back.state == OperationState.DONE, back.error_text
    assert name in libvirt_host.virsh("list", "--name").split()
    made.ended(made.act(machine_id, Action.POWER_OFF))
    assert made.ended(made.act(machine_id, Action.DELETE)).state == OperationState.DONE
    assert libvirt_host.virsh("list", "--all", "--name") == ""
    assert made.used().storage == 0


@slowly
def test_a_migration_shows_its_progress_and_is_given_up_on_request(pair, libvirt_host, other_host):
    made, first, second = pair
    machine_id = made.made("web01", start=True, host_id=first)
    name, before = made.machine(machine_id).domain_name, made.used()
    operation = migrate(made, machine_id, second)
    seen = set()

    def half_way() -> bool:
        seen.add(made.operation(operation).progress)
        return len({percent for percent in seen if 66 < percent < 100}) >= 2

    wait_until(half_way, "progress of the move", 60)
    made.shows(machine_id, "migrating")
    with made.work(write=True) as work:
        operations.cancel(work, operations.get(work, operation))
    ended = made.ended(operation, 60)
    assert ended.state == OperationState.CANCELLED
    made.shows(machine_id, "running")
    assert made.machine(machine_id).host_id == first
    assert name in libvirt_host.virsh("list", "--name").split()
    assert other_host.virsh("list", "--all", "--name") == ""
    assert "machine-" not in other_host.virsh("vol-list", "openvcloud"), "no half disk stays"
    assert made.used() == before
    assert in_order(made)


@slowly
@pytest.mark.timeout(300)
def test_fault_39_a_worker_killed_in_the_middle_of_a_move_leaves_one_guest(
    pair, libvirt_host, other_host
):
    made, first, second = pair
    machine_id = made.made("web01", start=True, host_id=first)
    name, before = made.machine(machine_id).domain_name, made.used()
    operation = migrate(made, machine_id, second)
    wait_until(lambda: made.operation(operation).progress > 66, "the move under way", 60)
    made.processes[0].kill()
    made.worker(ini=made.variant("quick", migration_speed=0))
    ended = made.ended(operation, 200)
    assert (ended.state, ended.attempt) == (OperationState.DONE, 2), ended.error_text
    assert libvirt_host.virsh("list", "--all", "--name") == ""
    assert name in other_host.virsh("list", "--name").split()
    assert made.machine(machine_id).host_id == second
    assert made.used() == before
    assert in_order(made)


@pytest.mark.requirement("OVT-63")
def test_only_hosts_that_can_take_the_machine_are_offered_and_taken(pair):
    made, first, second = pair
    machine_id = made.made("web01", start=True, host_id=first)
    with made.work(write=True) as work:
        for row in hosts.listing(work):
            row.enabled = True
        hosts.get(work, second).memory_reserve = hosts.get(work, second).memory
    with made.work() as work:
        found = migrations.outlook(work, machines.get(work, machine_id))
        assert found.able == []
        assert [v.candidate.host_id for v in found.verdicts] == [second]
        (reason,) = found.verdicts[0].reasons
        assert "memory free, the machine wants" in reason
    for host_id, error in (
        (second, PlacementFailed),
        (first, InvalidInput),
        (None, PlacementFailed),
    ):
        with pytest.raises(error):
            migrate(made, machine_id, host_id)
    made.ended(made.act(machine_id, Action.SUSPEND))
    with made.work(write=True) as work:
        hosts.get(work, second).memory_reserve = 0
    with pytest.raises(StateConflict):
        migrate(made, machine_id, second)


def test_a_machine_on_shared_storage_moves_without_its_disk_being_copied(
    pair, libvirt_host, other_host
):
    """Both hosts have the same directory in a pool of the same name."""
    made, first, second = pair
    machine_id = made.made("web01", start=True, host_id=first)
    shared = libvirt_host.images / "volumes"
    other_host.virsh("pool-destroy", "openvcloud")
    other_host.virsh("pool-undefine", "openvcloud")
    other_host.virsh("pool-define-as", "openvcloud", "dir", "--target", str(shared))
    other_host.virsh("pool-start", "openvcloud")
    with made.work(write=True) as work:
        store = work.db.get_one(Machine, machine_id).volumes[0].storage_pool_id
        work.db.add(HostStoragePool(host_id=second, storage_pool_id=store))
    wait_until(lambda: made.host_row(second).state == "up", "the host")
    done = made.ended(migrate(made, machine_id, second), 60)
    assert done.state == OperationState.DONE, done.error_text
    assert not any("Made" in row.text for row in done.log)
    made.shows(machine_id, "running")
    with made.work() as work:
        (volume,) = work.db.get_one(Machine, machine_id).volumes
        assert volume.storage_pool_id == store
    assert volume.key in other_host.virsh("vol-list", "openvcloud")


def test_fault_37_what_a_machine_left_behind_is_shown_and_never_runs_beside_it(
    pair, libvirt_host, other_host
):
    made, first, second = pair
    machine_id = made.made("web01", host_id=first)
    name = made.machine(machine_id).domain_name
    definition = made.directory / "left.xml"
    definition.write_text(libvirt_host.virsh("dumpxml", name))
    assert made.ended(migrate(made, machine_id, second)).state == OperationState.DONE
    text = definition.read_text()
    start, end = text.index("<disk "), text.index("</disk>") + len("</disk>")
    definition.write_text(text[:start] + text[end:])
    libvirt_host.virsh("define", str(definition))
    libvirt_host.virsh("start", name)

    def left() -> list[tuple[int | None, str]]:
        with made.work() as work:
            found = hosts.strangers(work, hosts.get(work, first))
            return [(row.machine_id, row.power) for row in found]

    wait_until(lambda: left() == [(machine_id, "running")], "what was left behind")
    with pytest.raises(RunsElsewhere, match="two would destroy the data"):
        made.act(machine_id, Action.START)
    libvirt_host.virsh("destroy", name)
    wait_until(lambda: left() == [(machine_id, "shutoff")], "its end")
    assert made.ended(made.act(machine_id, Action.START)).state == OperationState.DONE


@pytest.mark.parametrize("running", [True, False])
def test_after_a_migration_the_volume_is_served_where_the_machine_is(
    pair, libvirt_host, other_host, tmp_path, running
):
    made, first, second = pair
    names = (libvirt_host.name, other_host.name)
    routers = dict.fromkeys(names, "127.0.0.1:0")
    with simulator(tmp_path / "cluster", routers=routers) as cluster:
        vcloud.prepare(made, cluster)
        machine_id = made.made("web01", start=running, host_id=first)
        disk = cluster.cluster.named(f"machine-{made.machine(machine_id).uuid}-vda")
        assert cluster.cluster.routers[disk.router_guid].name == names[0]
        moved = made.ended(migrate(made, machine_id, second))
        assert moved.state == OperationState.DONE, moved.error_text
        assert cluster.cluster.routers[disk.router_guid].name == names[1]
        assert len([one for one in cluster.cluster.disks.values() if not one.template]) == 1
        if running:
            cluster.faults.fail_tasks = ["Failed to move"]
            back = made.ended(migrate(made, machine_id, first))
            assert back.state == OperationState.DONE, "the machine has moved all the same"
            assert any("Failed to move" in line.text for line in back.log)
            made.ended(made.act(machine_id, Action.POWER_OFF))
        assert made.ended(made.act(machine_id, Action.DELETE)).state == OperationState.DONE
        assert [one for one in cluster.cluster.disks.values() if not one.template] == []

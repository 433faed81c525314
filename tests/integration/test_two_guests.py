"""Fault 37: a host is silent, its machine runs elsewhere, the host returns; two real hosts.

Both reach one directory, as by NFS.  Never may the console be what gives a disk a second guest, and
what somebody else started is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.errors import (
    Conflict,
    HostUnresponsive,
    ObjectInUse,
    RunsElsewhere,
)
from ovcadmin.models import Audit, HostStoragePool, Machine, OperationState, Volume
from ovcadmin.services import (
    adoptions,
    clones,
    drives,
    host_changes,
    hosts,
    machines,
    migrations,
    pools,
    rivals,
    snapshots,
    volumes,
)
from ovcadmin.work import Work
from tests import rig
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import LIBVIRT_POOL, Cloud, cloud

THIEF = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def other_host() -> Iterator[LibvirtHost]:
    with rig.libvirt_host("other") as host:
        yield host


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory,
    shared_host: LibvirtHost,
    other_host: LibvirtHost,
    starter_image: Path,
) -> Iterator[tuple[Cloud, int, int]]:
    """A cloud with two hosts and one directory that both reach; their ids."""
    directory = tmp_path_factory.mktemp("pair")
    url = f"sqlite:///{directory}/ovcadmin.db"
    try:
        with cloud(directory, url, shared_host, starter_image) as made:
            made.worker()
            made.ready()
            first = made.host_row().id
            shared = str(shared_host.images / "volumes")
            other_host.virsh("pool-create-as", LIBVIRT_POOL, "dir", "--target", shared)
            with made.work(write=True) as work:
                row = hosts.enroll(
                    work, pools.root(work), name="second", uri=other_host.uri, virt_type="qemu"
                )
                store = hosts.storage_pools(work, hosts.get(work, first))[0]
                work.db.add(HostStoragePool(host_id=row.id, storage_pool_id=store.id))
                second = row.id
            made.ready()
            yield made, first, second
    finally:
        other_host.recover()
        shared_host.recover()


def by_hand(made: Cloud, host: LibvirtHost, text: str) -> None:
    """Start a guest past the console."""
    definition = made.directory / "by-hand.xml"
    definition.write_text(text)
    host.virsh("define", str(definition))
    host.virsh("start", text.split("<name>")[1].split("</name>", maxsplit=1)[0])


def becomes(made: Cloud, host_id: int, state: str) -> None:
    wait_until(lambda: made.host_row(host_id).state == state, f"the host {state}", 30)


def beside(made: Cloud, machine_id: int) -> list[tuple[str, str]]:
    with made.work() as work:
        found = rivals.of(work, machines.get(work, machine_id))
        return [(row.host.name, row.name) for row in found]


def thief(disk: Path) -> str:
    """Return the definition of another guest that has this disk."""
    return (
        f"<domain type='qemu'><name>thief</name><uuid>{THIEF}</uuid><memory unit='MiB'>32</memory>"
        "<os><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'>"
        f"<driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda'/></disk>"
        "</devices></domain>"
    )


def doors() -> dict[str, Callable[[Work, Machine], object]]:
    """Return every way to let a machine run, move, or its disk be written by another guest."""
    return {
        "start": lambda work, machine: machines.act(work, machine, Action.START),
        "move": migrations.migrate,
        "bin": lambda work, machine: machines.act(work, machine, Action.BIN),
        "delete": lambda work, machine: machines.act(work, machine, Action.DELETE),
        "clone": lambda work, machine: clones.clone(work, machine, machine.pool, "copy"),
        "snapshot": lambda work, machine: snapshots.take(work, machine, "before"),
        "more": lambda work, machine: drives.add(work, machine, 16 << 20),
    }


def refused(
    made: Cloud, machine_id: int, ways: dict[str, Callable[[Work, Machine], object]], error: type
) -> None:
    for word, way in ways.items():
        with pytest.raises(error) as told, made.work(write=True) as work:
            way(work, machines.get(work, machine_id))
        assert told.value.text, word


@pytest.mark.timeout(300)
def test_fault_37_a_silent_host_that_returns_never_gets_a_second_writer(
    pair, shared_host, other_host
):
    made, first, second = pair
    machine_id = made.made("web01", host_id=first)
    rest = made.made("web02", host_id=second)
    name = made.machine(machine_id).domain_name
    definition = shared_host.virsh("dumpxml", name)
    ways = doors()

    shared_host.freeze()
    becomes(made, first, "unresponsive")
    # While it is silent nobody knows whether its guests run: every door is shut.
    refused(made, machine_id, ways, HostUnresponsive)
    with made.work() as work:
        machine, (volume,) = machines.get(work, rest), machines.get(work, machine_id).volumes
        wish, row = volumes.Wish(machine=machine, target="vdb"), hosts.get(work, first)
        with pytest.raises(Conflict, match="is in use"):
            volumes.attach(work, volume, wish)
        with pytest.raises(ObjectInUse, match="machines live on"):
            host_changes.retire(work, row)

    # Somebody helps himself: the machine runs on the other host now.
    by_hand(made, other_host, definition)
    wait_until(lambda: beside(made, machine_id) == [("second", name)], "the second guest")
    with made.work() as work:
        told = work.db.query(Audit).filter_by(action="machine.elsewhere", object_id=machine_id)
        # On a busy machine it is seen before its processors run.
        assert [row.after["host"] for row in told] == ["second"]
        row, uuid = hosts.get(work, second), machines.get(work, machine_id).uuid
        wish = adoptions.Wish(name="mine")
        with pytest.raises(Conflict):
            adoptions.adopt(work, row, uuid, pools.root(work), wish)

    # The host returns and says truthfully that it has the machine, stopped.
    shared_host.thaw()
    becomes(made, first, "up")
    made.shows(machine_id, "stopped")
    refused(made, machine_id, ways, RunsElsewhere)
    assert shared_host.virsh("domstate", name) == "shut off"

    # What is clear again is done again.
    other_host.virsh("destroy", name)
    wait_until(lambda: beside(made, machine_id) == [], "its end")
    assert made.ended(made.act(machine_id, Action.START)).state == OperationState.DONE
    made.shows(machine_id, "running")


@pytest.mark.timeout(300)
def test_fault_37_a_volume_that_a_guest_past_the_console_has_is_given_to_nobody(
    pair, shared_host, other_host
):
    """Neither by its uuid nor by its name is that guest a machine's: only the disk tells."""
    made, first, second = pair
    machine_id = made.made("web21", host_id=first)
    rest = made.made("web22", host_id=first)
    with made.work(write=True) as work:
        added = drives.add(work, machines.get(work, machine_id), 16 << 20).id
    assert made.ended(added).state == OperationState.DONE
    with made.work() as work:
        disk = machines.get(work, machine_id).volumes[1].name
    by_hand(made, other_host, thief(shared_host.images / "volumes" / disk))
    wait_until(lambda: beside(made, machine_id) == [("second", "thief")], "the guest's disk", 30)
    with pytest.raises(RunsElsewhere, match="the guest thief on second"):
        made.act(machine_id, Action.START)
    with made.work() as work:
        finding = adoptions.judge(work, hosts.get(work, second), THIEF, pools.root(work))
    assert "The drive vda (" in finding.obstacles[0], "nor may it be adopted with that disk"

    # Its disk is nobody's: still the console does not hand it out while that guest has it.
    other_host.virsh("destroy", "thief")
    wait_until(lambda: beside(made, machine_id) == [], "its end")
    with made.work(write=True) as work:
        machine = machines.get(work, machine_id)
        gone = drives.remove(work, machine, machine.volumes[1], keep=True).id
    assert made.ended(gone).state == OperationState.DONE
    with made.work() as work:
        machine = machines.get(work, rest)
        volume = work.db.query(Volume).filter_by(name=disk).one()
        assert disk not in [row.name for row in volumes.free(work, machine.pool, first)]
        with pytest.raises(Conflict, match="the guest thief on second has it"):
            volumes.attach(work, volume, volumes.Wish(machine=machine, target="vdb"))
    other_host.virsh("undefine", "thief")

    def free() -> bool:
        with made.work() as work:
            return disk in [row.name for row in volumes.free(work, pools.root(work), first)]

    wait_until(free, "the volume that is free again")


@pytest.mark.timeout(300)
def test_fault_37_another_host_at_the_address_does_not_get_the_machines(
    pair, shared_host, other_host
):
    made, first, _ = pair
    machine_id = made.made("web31", host_id=first, start=True)
    name = made.machine(machine_id).domain_name
    with made.work(write=True) as work:
        row = hosts.get(work, first)
        right = host_changes.details(row)
        wrong = other_host.uri.replace("libvirt-sock", "./libvirt-sock")
        host_changes.edit(work, row, host_changes.Details(**{**vars(right), "uri": wrong}))
    becomes(made, first, "unresponsive")
    reason = made.host_row(first).state_reason
    assert shared_host.uuid in reason
    assert other_host.uuid in reason
    with pytest.raises(HostUnresponsive):
        made.act(machine_id, Action.RESET)
    assert made.machine(machine_id).missing_at is None
    with made.work(write=True) as work:
        host_changes.edit(work, hosts.get(work, first), right)
    becomes(made, first, "up")
    made.shows(machine_id, "running")
    assert name not in other_host.virsh("list", "--all", "--name").split()

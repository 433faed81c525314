"""Fault 38: storage whose server takes connections and never answers, behind a real libvirtd.

libvirt's call into such a pool never returns, and holds the pool and a worker of the daemon.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from ovcadmin import green
from ovcadmin.drivers.hypervisor import hanging
from ovcadmin.drivers.hypervisor.connection import Lane, Link
from ovcadmin.drivers.hypervisor.pools import PoolSpec
from ovcadmin.drivers.storage import libvirt_pool as module
from ovcadmin.drivers.storage.libvirt_blocks import LibvirtBlocks
from ovcadmin.drivers.storage.libvirt_pool import LibvirtPool, ensure_pool
from ovcadmin.errors import HostUnresponsive
from tests.contract.conftest import timed, until
from tests.contract.storing import MIB, Notes
from tests.rig import LibvirtHost
from tests.rig.tgt import INITIATOR, IQN, Target, iscsi_target

DEADLINE = 1.0
WORKERS = 20
"""As many calls does libvirtd carry out at once."""


@pytest.fixture
def links(libvirt_host: LibvirtHost, monkeypatch) -> Iterator[list[Link]]:
    monkeypatch.setattr(module, "CALL_SECONDS", DEADLINE)
    made = [Link("kvm-a", libvirt_host.uri, lane) for lane in (Lane.STORE, Lane.COPY)]
    yield made
    for link in made:
        link.close()


@pytest.fixture
def target(libvirt_host: LibvirtHost) -> Iterator[Target]:
    with iscsi_target(libvirt_host) as made:
        made.add_lun(1, 64 * MIB)
        yield made


@pytest.fixture
def array(links: list[Link], target: Target) -> LibvirtBlocks:
    values = {"host": "127.0.0.1", "port": 3260, "device": IQN, "initiator": INITIATOR}
    made = LibvirtBlocks(*links, PoolSpec(name="array", kind="iscsi-direct", **values))
    made.connect()
    return made


def answers(array: LibvirtBlocks) -> bool:
    try:
        array.refresh()
    except HostUnresponsive:
        return False
    return True


def test_fault_38_a_refresh_that_never_returns_is_told_in_time_and_holds_up_nothing_else(
    libvirt_host: LibvirtHost, links: list[Link], target: Target, array: LibvirtBlocks
) -> None:
    folder = str(libvirt_host.images / "here")
    ensure_pool(links[0], "here", folder)
    local = LibvirtPool(*links, "here")
    with target.frozen():
        with (
            timed() as took,
            pytest.raises(HostUnresponsive, match="pool array within 1 s"),
        ):
            array.refresh()
        assert took[0] < DEADLINE + 1
        names = count()
        for ask in (array.facts, array.volumes, array.refresh):
            with timed() as took, pytest.raises(HostUnresponsive, match="for storage pool array"):
                ask()
            assert took[0] < DEADLINE + 1
            with timed() as took:
                ensure_pool(links[0], "here", folder)
                local.create(f"disk {next(names)}", MIB, host="", memo=Notes())
            assert took[0] < DEADLINE
        assert len(local.volumes()) == 3
    until(lambda: answers(array), "an answer of the array")
    assert [volume.size for volume in array.volumes()] == [64 * MIB]


def test_fault_38_however_often_a_pool_that_hangs_is_asked_the_host_answers(
    libvirt_host: LibvirtHost, target: Target, array: LibvirtBlocks, monkeypatch
) -> None:
    """A new pool hangs by every way at first; then one call waits and all others are refused."""
    monkeypatch.setattr(module, "CALL_SECONDS", 0.2)
    monkeypatch.setattr(hanging, "FIRST_PAUSE", 0.5)
    ended: list[bool] = []
    with target.frozen():
        for _ in range(2 * WORKERS):
            green.background(lambda: ended.append(answers(array)))
            green.sleep(0.1)
        until(lambda: len(ended) == 2 * WORKERS, "the end of all")
        assert not any(ended)
        with timed() as took:
            libvirt_host.virsh("list", seconds=10)
        assert took[0] < 5
    until(lambda: answers(array), "an answer of the array")

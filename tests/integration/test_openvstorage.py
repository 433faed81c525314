"""Machines on OpenvStorage: made on the storage router of their host, booted by real QEMU."""

from __future__ import annotations

import subprocess
from itertools import count
from pathlib import Path

import pytest
from lxml import etree

from ovcadmin.domain.resources import Resources
from ovcadmin.domain.states import Action
from ovcadmin.errors import ObjectInUse
from ovcadmin.models import Image, OperationState
from ovcadmin.services import (
    clones,
    clusters,
    image_removal,
    images,
    machines,
    pools,
    sizes,
    storage,
)
from tests.integration.test_crash import assert_books_agree, crash, create_operation
from tests.rig import vcloud
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.openvstorage import simulator


@pytest.fixture
def running(tmp_path, libvirt_host):
    """A cluster of two storage routers; the first stands on the host."""
    routers = {libvirt_host.name: "127.0.0.1:0", "elsewhere": "127.0.0.1:0"}
    with simulator(tmp_path / "cluster", routers=routers) as made:
        yield made


@pytest.fixture
def prepared(tmp_path, sqlite_url, libvirt_host, starter_image, running):
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as made:
        made.worker()
        made.ready()
        made.store_id = vcloud.prepare(made, running)
        yield made


def disks(running) -> list[str]:
    """Names of the vDisks that are no templates."""
    return sorted(d.name for d in running.cluster.disks.values() if not d.template)


def boots(path: Path) -> int:
    """How often the guest on this disk says that it has booted."""
    out = subprocess.run(["mtype", "-i", path, "::BOOTS"], capture_output=True, check=False)
    return int(out.stdout or 0)


def start(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


@pytest.mark.timeout(300)
@pytest.mark.requirement("OVC-37", "OVC-39", "OVC-40", "OVC-43")
def test_a_machine_boots_from_a_clone_made_on_the_storage_router_of_its_host(
    prepared: Cloud, running, starter_image
) -> None:
    template = next(d for d in running.cluster.disks.values() if d.template)
    running.calls.clear()
    machine_id = prepared.made("first", start=True)
    made = running.cluster.named(f"machine-{prepared.machine(machine_id).uuid}-vda")
    assert made is not None
    assert running.cluster.routers[made.router_guid].name == prepared.host.name
    assert 0 <= made.size - prepared.machine(machine_id).storage < 4096, "whole blocks"
    clones = [path for _, method, path in running.calls if method == "POST" and "template" in path]
    assert clones == [f"/api/vdisks/{template.guid}/create_from_template/"]
    definition = prepared.host.virsh("dumpxml", prepared.machine(machine_id).domain_name)
    disk = etree.fromstring(definition).find("devices/disk")
    assert disk.find("driver").get("type") == "raw"
    path = Path(disk.find("source").get("file"))
    assert path == running.cluster.path(made)
    size = starter_image.stat().st_size
    original = starter_image.read_bytes()
    wait_until(lambda: boots(path) == 1, "a guest that counted its boot", 200)
    prepared.ended(prepared.act(machine_id, Action.POWER_OFF))
    assert start(path, size) != original
    assert running.cluster.path(template).read_bytes()[:size] == original
    prepared.ended(prepared.act(machine_id, Action.DELETE))
    assert disks(running) == []
    assert prepared.used() == Resources()


@pytest.mark.timeout(600)
@pytest.mark.requirement("OVC-39")
def test_fault_07_a_worker_killed_at_every_point_makes_one_volume_or_none(
    prepared: Cloud, running
) -> None:
    prepared.freeze(prepared.processes[0])
    for at in count(1, 2):
        machine_id, crashed = crash(prepared, at)
        if not crashed:
            break
        ended = prepared.ended(create_operation(prepared, machine_id))
        assert ended.state == OperationState.DONE, (at, ended.error_text)
        assert disks(running) == [f"machine-{prepared.machine(machine_id).uuid}-vda"], at
        assert_books_agree(prepared)
        prepared.ended(prepared.act(machine_id, Action.DELETE))
        assert disks(running) == []
        prepared.freeze(prepared.processes[0])
    assert at > 15


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", ["lose_tasks", "lose_answers", "forget_tasks", "fail_tasks"])
def test_trouble_of_the_cluster_ends_clearly_and_leaves_nothing(
    prepared: Cloud, running, fault
) -> None:
    setattr(running.faults, fault, ["Could not find a MDS service"] if fault == "fail_tasks" else 1)
    machine_id = prepared.create("unlucky")
    ended = prepared.settled(machine_id, 200)
    if ended.state == "done":
        assert len(disks(running)) == 1
    else:
        assert "cluster" in ended.error_text.lower()
        assert disks(running) == []
    assert_books_agree(prepared)


def test_fault_38_a_vpool_that_hangs_fails_in_bounded_time_and_others_go_on(
    prepared: Cloud, running
) -> None:
    machine_id = prepared.made("on the vPool")
    running.faults.hang = list(running.plan.routers)
    deletion = prepared.act(machine_id, Action.DELETE)
    with prepared.work(write=True) as work:
        storage.get(work, prepared.store_id).active = False
    other = prepared.create("on the host")
    assert prepared.settled(other, 20).state == "done", "local storage does not wait for it"
    ended = prepared.ended(deletion, 60)
    assert ended.error_code == "storage.unreachable"
    assert prepared.machine(machine_id).state == "stopped"
    running.faults.hang = []
    with prepared.work() as work:
        cluster_id = clusters.listing(work)[0].id
    vcloud.cluster_is(prepared, cluster_id, "up", 60)
    prepared.ended(prepared.act(machine_id, Action.DELETE))
    assert disks(running) == []


@pytest.mark.timeout(300)
@pytest.mark.requirement("OVC-42")
def test_a_template_of_a_machine_is_a_snapshot_of_its_volume_and_keeps_it(
    prepared: Cloud, running
) -> None:
    source_id = prepared.made("web01")
    source = running.cluster.named(f"machine-{prepared.machine(source_id).uuid}-vda")
    with running.cluster.path(source).open("r+b") as file:
        file.seek(source.size - 4096)
        file.write(b"mine")
    with prepared.work(write=True) as work:
        row = machines.get(work, source_id)
        operation = clones.template(work, row, row.pool, "Web server").id
    assert prepared.ended(operation).state == OperationState.DONE
    assert [snapshot.is_sticky for snapshot in source.snapshots] == [True]
    refused = prepared.ended(prepared.act(source_id, Action.DELETE))
    assert (refused.error_code, "image Web server" in refused.error_text) == ("storage.in_use", 1)
    assert prepared.host.virsh("domstate", prepared.machine(source_id).domain_name) == "shut off"
    with prepared.work(write=True) as work:
        pool = pools.root(work)
        image = next(one for one in images.offered(work, pool) if one.name == "Web server")
        size = sizes.listing(work.settings)[0]
        order = machines.Order(name="web02", image=image, size=size)
        child_id = machines.create(work, pool, order).id
    assert prepared.settled(child_id).state == OperationState.DONE
    child = running.cluster.named(f"machine-{prepared.machine(child_id).uuid}-vda")
    assert (child.parent_guid, child.parentsnapshot) == (source.guid, source.snapshots[0].guid)
    with running.cluster.path(child).open("rb") as file:
        file.seek(source.size - 4096)
        assert file.read(4) == b"mine"
    with prepared.work(write=True) as work, pytest.raises(ObjectInUse, match="web02"):
        image_removal.delete(work, work.db.get_one(Image, image.id))
    refused = prepared.ended(prepared.act(source_id, Action.DELETE))
    assert "image Web server, machine web02 were made from it" in refused.error_text
    prepared.ended(prepared.act(child_id, Action.DELETE))
    with prepared.work(write=True) as work:
        operation = image_removal.delete(work, work.db.get_one(Image, image.id)).id
    assert prepared.ended(operation).state == OperationState.DONE
    assert source.snapshots == []
    assert prepared.ended(prepared.act(source_id, Action.DELETE)).state == OperationState.DONE
    assert disks(running) == []

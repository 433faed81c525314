"""Guests that move between hosts: the fake's, and those of two real libvirtd with QEMU."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from subprocess import CalledProcessError

import psutil
import pytest
from lxml import etree
from lxml.builder import E

from ovcadmin import green
from ovcadmin.drivers.hypervisor.base import DiskSpec, PowerState, VirtType
from ovcadmin.drivers.hypervisor.fake import FakeHypervisor
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.drivers.hypervisor.migration import Route
from ovcadmin.drivers.hypervisor.xml import domain, read
from ovcadmin.errors import HypervisorFailed, OperationCancelled
from tests import rig
from tests.contract.conftest import Console, Machines, until
from tests.rig.base import spawn, wait_until

MIB = 2**20


@pytest.fixture(scope="module")
def second_host():
    with rig.libvirt_host("second") as host:
        yield host


@pytest.fixture
def pair(request):
    """Two real hosts with a cable between them: source, target, and the target's address."""
    first, second = request.getfixturevalue("libvirt_host"), request.getfixturevalue("second_host")
    if not hasattr(second, "wired"):
        second.wired = first.wire(second)[1]
    made = [
        LibvirtHypervisor(name, host.uri, deadline=5, virt_type=VirtType.QEMU)
        for name, host in (("kvm-a", first), ("kvm-b", second))
    ]
    yield (*made, f"tcp://{second.wired}")
    for one in made:
        one.close()
    second.recover()


@pytest.fixture(params=["fake", "libvirt"])
def hosts(request):
    if request.param == "fake":
        return FakeHypervisor("kvm-a"), FakeHypervisor("kvm-b"), "tcp://fake"
    return request.getfixturevalue("pair")


def silent(_part):
    pass


def test_a_running_guest_moves_and_is_gone_where_it_was(hosts):
    here, there, address = hosts
    uuid = Machines(here, None, None).running()
    here.migrate(uuid, there, Route(address=address), progress=silent)
    assert there.state(uuid).power is PowerState.RUNNING
    assert here.state(uuid) is None
    there.destroy(uuid)
    assert there.state(uuid).power is PowerState.SHUTOFF, "it stays defined over there"


def test_a_guest_that_is_off_does_not_migrate_live(hosts):
    here, there, address = hosts
    uuid = Machines(here, None, None).defined()
    with pytest.raises(HypervisorFailed, match="not running"):
        here.migrate(uuid, there, Route(address=address), progress=silent)
    assert here.state(uuid).power is PowerState.SHUTOFF
    assert there.state(uuid) is None


def test_a_definition_moves_with_all_that_was_changed_outside(hosts):
    here, there, _ = hosts
    spec = Machines(here, None, None).spec(
        disks=(DiskSpec(source="/somewhere/here", target="vda", boot_order=1),),
        title="A <machine>",
    )
    here.define(spec)
    route = Route(sources={"vda": "/elsewhere/there"})
    there.define_moved(here.xml(spec.uuid), route)
    there.define_moved(here.xml(spec.uuid), route)
    root = read(there.xml(spec.uuid))
    assert root.find("devices/disk/source").get("file") == "/elsewhere/there"
    assert root.findtext("title") == "A <machine>"
    with pytest.raises(HypervisorFailed, match="no disk vdb"):
        there.define_moved(here.xml(spec.uuid), Route(sources={"vdb": "/elsewhere/there"}))


def test_a_migration_that_is_stopped_leaves_the_guest_where_it_was(pair, starter_image):
    here, there, address = pair
    machines = Machines(here, None, None)
    uuid = machines.running(memory=192 * 1024)
    seen = []

    def stop(part):
        seen.append(part)
        if part > 0:
            raise OperationCancelled("Enough.")

    with pytest.raises(OperationCancelled):
        here.migrate(uuid, there, Route(address=address, speed=1), progress=stop)
    assert machines.power(uuid) is PowerState.RUNNING
    until(lambda: there.state(uuid) is None, "nothing over there")
    assert seen


def test_a_running_guest_asks_the_server_of_its_new_host_for_its_disk(
    pair, libvirt_host, second_host, starter_image
):
    """QEMU has no edge here; a server of network block devices on each host stands in for it."""
    here, there, address = pair
    machines = Machines(here, libvirt_host.images, starter_image)
    spec = machines.spec(bootable=True)
    file = spec.disks[0].source
    with served(libvirt_host, file, 10809), served(second_host, file, 10810):
        definition = read(domain(spec))
        (source,) = definition.iterfind("devices/disk/source")
        source.getparent().set("type", "network")
        del source.attrib["file"]
        source.set("protocol", "nbd")
        source.append(E.host({"name": "127.0.0.1", "port": "10809"}))
        text = libvirt_host.directory / "nbd.xml"
        text.write_text(etree.tostring(definition, encoding="unicode"))
        libvirt_host.virsh("define", str(text))
        libvirt_host.virsh("start", spec.name)
        console = Console(here, spec.uuid)
        console.prompt()
        route = Route(address=address, servers={"vda": ("127.0.0.1", 10810)})
        here.migrate(spec.uuid, there, route, progress=silent)
        moved_to = Console(there, spec.uuid)
        assert "vda" in moved_to.answers("cat /proc/partitions && sync")
        moved_to.stream.close()
        ports = [e.get("port") for e in read(there.xml(spec.uuid)).iterfind("devices/disk//host")]
        assert ports == ["10810"]
        there.destroy(spec.uuid)
        lasting = read(second_host.virsh("dumpxml", "--inactive", spec.name))
        assert lasting.find("devices/disk/source/host").get("port") == "10810"


@contextmanager
def served(host, file, port):
    """The file as a network block device of this host alone, until the block ends."""
    words = ["qemu-nbd", "--format=raw", "--persistent", "--shared=0", f"--port={port}", file]
    server = spawn(*host.within(*words), log=host.directory / f"log/nbd-{port}")
    try:
        wait_until(lambda: answers(host, port), "the server")
        yield
    finally:
        for inside in psutil.Process(server.pid).children():
            inside.kill()
        server.kill()
        server.wait(20)


def answers(host, port):
    with suppress(CalledProcessError):
        return host.run("qemu-img", "info", f"nbd://127.0.0.1:{port}")


def test_a_disk_is_copied_on_the_way(pair, libvirt_host, second_host, starter_image):
    here, there, address = pair
    machines = Machines(here, libvirt_host.images, starter_image)
    uuid = machines.running(bootable=True)
    console = Console(here, uuid)
    console.prompt()
    target = second_host.images / "copy.raw"
    with target.open("wb") as file:
        os.truncate(file.fileno(), 64 * MIB)
    parts = []
    here.migrate(
        uuid, there, Route(address=address, sources={"vda": str(target)}), progress=parts.append
    )
    assert there.state(uuid).power is PowerState.RUNNING
    moved_to = Console(there, uuid)
    green.sleep(0.2)
    assert "Linux" in moved_to.answers("uname -a"), "its memory came along: no boot in between"
    moved_to.stream.close()
    there.destroy(uuid)
    source = libvirt_host.images / f"{uuid}.raw"
    old, new = source.read_bytes(), target.read_bytes()
    changed = [at for at in range(0, 10 * MIB, 512) if old[at : at + 512] != new[at : at + 512]]
    assert len(changed) <= 2, "the guest goes on counting: its seconds and the date of their file"
    root = read(there.xml(uuid))
    assert root.find("devices/disk/source").get("file") == str(target)

"""libvirt's storage pools of other types: iSCSI on a real target, the rest as far as it runs here.

A test machine's kernel has no iSCSI initiator, no NFS client and no device-mapper: what needs them
is checked as the text that libvirt is told.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from ovcadmin.drivers.hypervisor import pools, xml
from ovcadmin.drivers.hypervisor.base import DiskSpec
from ovcadmin.drivers.hypervisor.connection import Lane, Link
from ovcadmin.drivers.hypervisor.pools import PoolSpec
from ovcadmin.drivers.storage.libvirt_blocks import LibvirtBlocks
from ovcadmin.drivers.storage.libvirt_pool import LibvirtPool
from ovcadmin.errors import StorageFailed
from tests.contract.conftest import Console, until
from tests.rig.tgt import INITIATOR, IQN, iscsi_target

MIB = 2**20
SECOND = "127.0.0.2:3260"


@pytest.fixture
def links(libvirt_host):
    made = [Link("kvm-a", libvirt_host.uri, lane) for lane in (Lane.STORE, Lane.COPY)]
    yield made
    for link in made:
        link.close()


@pytest.fixture
def target(libvirt_host):
    with iscsi_target(libvirt_host) as made:
        made.add_lun(1, 64 * MIB)
        made.add_lun(2, 32 * MIB)
        yield made


def luns(links, **more) -> LibvirtBlocks:
    values = {
        "name": "array",
        "kind": "iscsi-direct",
        "host": "127.0.0.1",
        "port": 3260,
        "device": IQN,
        "initiator": INITIATOR,
    }
    return LibvirtBlocks(*links, PoolSpec(**values | more))


def sizes(pool) -> dict[str, int]:
    return {volume.name: volume.size for volume in pool.volumes()}


@pytest.mark.requirement("OVT-13", "OVT-15", "OVT-68")
def test_luns_of_a_target_are_listed_come_and_go(target, links):
    pool = luns(links)
    pool.connect()
    pool.connect()
    # LUN 0 is the target's controller and no disk.
    assert sizes(pool) == {"unit:0:0:1": 64 * MIB, "unit:0:0:2": 32 * MIB}
    assert IQN in pool.volumes()[0].address
    target.add_lun(3, 16 * MIB)
    target.drop_lun(1)
    pool.refresh()
    assert sizes(pool) == {"unit:0:0:2": 32 * MIB, "unit:0:0:3": 16 * MIB}
    pool.disconnect()
    pool.disconnect()


@pytest.mark.requirement("OVT-24")
def test_chap_is_asked_for_kept_as_a_secret_and_a_wrong_one_is_refused(target, links, libvirt_host):
    def secrets() -> set[str]:
        return set(libvirt_host.virsh("secret-list").split())

    target.ask_for_chap()
    before = secrets()
    for wrong in ({}, {"user": target.user, "password": "not-the-right-one"}):
        with pytest.raises(StorageFailed, match="does not take this CHAP user and password"):
            luns(links, **wrong).connect()
        assert libvirt_host.virsh("pool-list", "--all", "--name").split() == []
        assert secrets() == before
    pool = luns(links, user=target.user, password=target.password)
    pool.connect()
    assert sizes(pool) == {"unit:0:0:1": 64 * MIB, "unit:0:0:2": 32 * MIB}
    assert target.password not in libvirt_host.virsh("pool-dumpxml", "array")
    pool.disconnect()
    assert secrets() == before


def test_a_target_that_is_not_there_is_told_with_those_that_are(target, links, libvirt_host):
    with pytest.raises(StorageFailed, match=f"It has {IQN}"):
        luns(links, device="iqn.2026-11.test:other").connect()
    with pytest.raises(StorageFailed, match="No iSCSI server answers at that address and port"):
        luns(links, port=3261).connect()
    assert libvirt_host.virsh("pool-list", "--all", "--name").split() == []


def test_what_a_target_cannot_is_said(target, links):
    pool = luns(links)
    pool.connect()
    for verb in (
        lambda: pool.create("x", MIB, host="", memo={}),
        lambda: pool.delete("unit:0:0:1"),
        lambda: pool.grow("unit:0:0:1", 128 * MIB),
    ):
        with pytest.raises(StorageFailed, match="In storage pool array"):
            verb()
    with pytest.raises(StorageFailed):
        pool.disk("unit:0:0:9", target="vdb", boot_order=None)


@pytest.mark.requirement("KVM-02", "OVT-16")
def test_a_guest_has_a_lun_as_its_disk_and_writes_to_it(
    target, links, hypervisor, machines_of, starter_image
):
    """The guest boots from the LUN, and its counter of boots is found in the array's file."""
    target.drop_lun(1)
    file = target.add_lun(1, 64 * MIB)
    with starter_image.open("rb") as image, file.open("r+b") as lun:
        lun.write(image.read())
    pool = luns(links)
    pool.connect()
    machines = machines_of(hypervisor)
    disk = pool.disk("unit:0:0:1", target="vda", boot_order=1)
    before = file.read_bytes()
    uuid = machines.running(disks=(disk,), memory=192 * 1024)
    console = Console(hypervisor, uuid)
    console.prompt()
    console.answers("sync; boots")
    until(lambda: file.read_bytes() != before, "a write on the LUN", 30)
    hypervisor.destroy(uuid)
    hypervisor.undefine(uuid)
    pool.disconnect()


@pytest.mark.requirement("KVM-11")
def test_of_two_portals_one_may_go(target, links):
    """QEMU logs in by either: a new guest gets the path that is up."""
    target.add_portal(SECOND)
    pool = luns(links, portals=(SECOND,))
    pool.connect()
    assert [(path.portal, path.up) for path in pool.facts().paths] == [
        ("127.0.0.1:3260", True), (SECOND, True)
    ]  # fmt: skip
    assert pool.disk("unit:0:0:1", target="vda", boot_order=None).pool == "array"
    target.drop_portal("127.0.0.1:3260")
    found = pool.facts()
    assert found.active, "one path is left"
    assert [path.up for path in found.paths] == [False, True]
    assert sizes(pool) == {"unit:0:0:1": 64 * MIB, "unit:0:0:2": 32 * MIB}
    assert pool.disk("unit:0:0:1", target="vda", boot_order=None).pool == "array-path-2"
    target.add_portal("127.0.0.1:3260")
    assert [path.up for path in pool.facts().paths] == [True, True], "it came back by itself"
    pool.disconnect()


def test_a_portal_that_is_away_at_first_leaves_nothing(target, links, libvirt_host):
    with pytest.raises(StorageFailed):
        luns(links, portals=(SECOND,)).connect()
    assert libvirt_host.virsh("pool-list", "--all", "--name").split() == []


@pytest.mark.requirement("KVM-11")
def test_what_libvirt_is_told_of_several_portals():
    spec = PoolSpec(
        name="p", kind="iscsi", host="10.0.0.1", port=3260, device=IQN,
        portals=("10.0.1.1", "10.0.2.1:3261", "[fd00::1]:3262"),
    )  # fmt: skip
    told = [
        (one.findtext("name"), dict(one.find("source/host").attrib))
        for one in (etree.fromstring(pools.pool_xml(path)) for path in pools.paths(spec))
    ]
    assert told == [
        ("p", {"name": "10.0.0.1", "port": "3260"}),
        ("p-path-2", {"name": "10.0.1.1", "port": "3260"}),
        ("p-path-3", {"name": "10.0.2.1", "port": "3261"}),
        ("p-path-4", {"name": "fd00::1", "port": "3262"}),
    ]


@pytest.mark.requirement("OVT-71")
def test_partitions_of_a_disk_are_listed(links, libvirt_host):
    file = libvirt_host.images / "disk.raw"
    with file.open("wb") as made:
        made.truncate(64 * MIB)
    device = subprocess.run(
        ["losetup", "--find", "--show", file], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        words = ["parted", "-s", device, "mklabel", "gpt"]
        subprocess.run([*words, "mkpart", "a", "1MiB", "33MiB"], check=True)
        subprocess.run(["parted", "-s", device, "mkpart", "b", "33MiB", "60MiB"], check=True)
        spec = PoolSpec(name="parts", kind="disk", device=device, format="gpt")
        pool = LibvirtBlocks(*links, spec)
        pool.connect()
        found = {Path(one.address).name: one.size for one in pool.volumes()}
        name = Path(device).name
        assert found == {f"{name}p1": 32 * MIB, f"{name}p2": 27 * MIB}
        disk = pool.disk(pool.volumes()[0].key, target="vdb", boot_order=None)
        assert (disk.kind, disk.source) == ("block", f"{device}p1")
        pool.disconnect()
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def test_a_file_system_on_a_device_holds_volumes(links, libvirt_host):
    file = libvirt_host.images / "fs.raw"
    with file.open("wb") as made:
        made.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", file], check=True)
    device = subprocess.run(
        ["losetup", "--find", "--show", file], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        path = str(libvirt_host.images / "mounted")
        spec = PoolSpec(name="fs", kind="fs", device=device, format="ext4", path=path)
        pool = LibvirtPool(*links, "fs", spec)
        pool.connect()

        class Notes(dict):
            set = dict.__setitem__

        pool.create("data", 8 * MIB, host="", memo=Notes())
        assert pool.volume("data").size == 8 * MIB
        pool.delete("data")
        pool.disconnect()
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def test_types_without_a_backend_are_told_before_anything_is_tried(links):
    offered = links[0].call(pools.supported, deadline=10)
    assert offered["dir"]
    assert offered["iscsi-direct"]
    missing = next(kind for kind, has in offered.items() if not has)
    spec = PoolSpec(name="x", kind=missing, host="h", device="d")
    with pytest.raises(StorageFailed, match="has no backend"):
        LibvirtBlocks(*links, spec).connect()


def test_another_pool_of_the_same_name_is_not_taken_for_ours(links, libvirt_host):
    libvirt_host.virsh("pool-define-as", "x", "dir", "--target", str(libvirt_host.images / "x"))
    spec = PoolSpec(name="x", kind="dir", path=str(libvirt_host.images / "y"))
    with pytest.raises(StorageFailed, match="is another one"):
        LibvirtPool(*links, "x", spec).connect()


NETFS = (
    '<pool type="netfs"><name>p</name><source><host name="nas"/><dir path="/export/vm"/>'
    '<format type="nfs"/></source><target><path>/mnt/vm</path></target></pool>'
)
LOGICAL = (
    '<pool type="logical"><name>p</name><source><name>vg0</name><format type="lvm2"/>'
    "</source><target><path>/dev/vg0</path></target></pool>"
)
ISCSI = (
    f'<pool type="iscsi"><name>p</name><source><host name="san" port="3260"/>'
    f'<device path="{IQN}"/><auth type="chap" username="u">'
    '<secret usage="openvcloud-p"/></auth></source>'
    "<target><path>/dev/disk/by-path</path></target></pool>"
)
TEXTS = {
    "netfs": ({"host": "nas", "device": "/export/vm", "path": "/mnt/vm"}, NETFS),
    "logical": ({"device": "vg0"}, LOGICAL),
    "iscsi": (
        {"host": "san", "port": 3260, "device": IQN, "user": "u", "password": "secret"},
        ISCSI,
    ),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_what_libvirt_is_told_of_a_pool(kind, libvirt_host):
    fields, text = TEXTS[kind]
    told = pools.pool_xml(PoolSpec(name="p", kind=kind, **fields))
    assert told == text
    file = libvirt_host.directory / "pool.xml"
    file.write_text(told)
    libvirt_host.virsh("pool-define", str(file), "--validate")
    libvirt_host.virsh("pool-undefine", "p")


def test_fault_34_words_of_people_stay_words():
    told = pools.pool_xml(
        PoolSpec(name="</name><evil/>", kind="netfs", host='"><x/>', device="&a;", path="/p")
    )
    assert etree.fromstring(told).find("evil") is None


def test_what_libvirt_is_told_of_a_disk_at_the_edge():
    spec = DiskSpec(source="web01", target="vda", kind="network", server=("10.0.0.1", 26203))
    told = xml.disk(spec)
    assert etree.tostring(told.find("source")).decode() == (
        '<source protocol="openvstorage" name="web01">'
        '<host name="10.0.0.1" port="26203" transport="tcp"/></source>'
    )
    assert (told.get("type"), told.find("driver").get("type")) == ("network", "raw")


def test_what_libvirt_is_told_of_a_disk_of_a_pool():
    spec = DiskSpec(source="unit:0:0:1", target="vdb", kind="volume", pool="array")
    told = xml.disk(spec)
    assert told.get("type") == "volume"
    assert dict(told.find("source").attrib) == {"pool": "array", "volume": "unit:0:0:1"}
    assert told.find("driver").get("type") == "raw"

"""Machines that start from a CD-ROM or the network, on a real host.

Tiny programs write a word to the serial port: they are what the machine's firmware loaded.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pycdlib
import pytest

from ovcadmin import green
from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor.base import VirtType
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.models import OperationState, Volume
from ovcadmin.services import (
    devices,
    drives,
    images,
    kickstarts,
    machines,
    pools,
    sizes,
    storage,
    storage_changes,
    storage_usage,
    uploads,
    volume_changes,
)
from tests.contract.conftest import Console, until
from tests.integration.test_devices import Devices
from tests.rig import LibvirtHost
from tests.rig.base import private_directory, wait_until
from tests.rig.cloud import LIBVIRT_POOL, cloud
from tests.rig.guest import Guest

NETWORK = """
<network><name>install</name><bridge name='ovcinst0'/>
  <ip address='10.77.0.1' netmask='255.255.255.0'>
    <tftp root='{root}'/>
    <dhcp><range start='10.77.0.10' end='10.77.0.20'/><bootp file='program'/></dhcp>
  </ip>
</network>
"""


def program(word: str) -> bytes:
    """A program for a bare PC: write the word to the first serial port again and again."""
    code = b"\xba\xf8\x03"  # mov dx, 0x3f8
    for byte in word.encode():
        code += bytes([0xB0, byte, 0xEE])  # mov al, byte; out dx, al
    # Wait for the clock, then once more: whoever listens late hears it too.
    code += b"\xfb\xb9\x09\x00\xf4\xe2\xfd"  # sti; mov cx, 9; hlt; loop
    back = -(len(code) + 3)
    return code + b"\xe9" + back.to_bytes(2, "little", signed=True)  # jmp to the start


def bootable_iso(path: Path, word: str) -> None:
    iso = pycdlib.PyCdlib()
    iso.new()
    sector = program(word).ljust(2048, b"\0")
    iso.add_fp(io.BytesIO(sector), len(sector), "/BOOT.;1")
    iso.add_eltorito("/BOOT.;1", bootcatfile="/BOOT.CAT;1")
    iso.write(str(path))
    iso.close()


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, shared_host: LibvirtHost, starter_image: Path
) -> Iterator[Devices]:
    directory = tmp_path_factory.mktemp("installing")
    url = f"sqlite:///{directory}/console.db"
    with cloud(directory, url, shared_host, starter_image) as one:
        one.__class__ = Devices
        one.worker()
        one.ready()
        yield one
    shared_host.recover()


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory for everybody's eyes: the TFTP server is nobody.  Those of pytest are private."""
    with private_directory("tftp") as path:
        yield path


def registered(made: Devices, name: str, kind: ImageKind, path: Path | None = None) -> int:
    """Register an image and wait for its copy."""
    content = path.read_bytes() if path is not None else b""
    source = str(path) if path is not None else "tftp://10.77.0.1/program"
    checksum = hashlib.sha256(content).hexdigest()
    with made.work(write=True) as work:
        raw = images.Raw(path=source, size=len(content), checksum=checksum)
        image = images.register(work, pools.root(work), name=name, raw=raw, kind=kind)
        copying = images.spread(work, image, storage.listing(work)[0]) if path else None
        image_id, operation_id = image.id, copying.id if copying else None
    if operation_id is not None:
        ended = made.ended(operation_id)
        assert ended.state == OperationState.DONE, ended.error_text
    return image_id


def ordered(made: Devices, name: str, image_id: int) -> int:
    with made.work(write=True) as work:
        root = pools.root(work)
        order = machines.Order(
            name=name,
            image=images.start(work, root, image_id),
            size=sizes.listing(work.settings)[0],
        )
        machine_id = machines.create(work, root, order).id
    assert made.settled(machine_id).state == OperationState.DONE
    return machine_id


def hears(made: Devices, machine_id: int, word: str, seconds: float = 60) -> None:
    """Start the machine and listen to its serial port."""
    started = made.ended(made.act(machine_id, Action.START))
    assert started.state == OperationState.DONE, started.error_text
    host = LibvirtHypervisor("look", made.host.uri, virt_type=VirtType.QEMU)
    console = Console(host, made.machine(machine_id).uuid)
    try:
        until(lambda: word.encode() in console.text, f"{word} on the serial port", seconds)
    finally:
        console.stream.close()
        green.sleep(0)
        host.close()


def found(made: Devices, name: str) -> int:
    """Ask what lies in the storage, and take a file that somebody put there as an ISO."""
    with made.work(write=True) as work:
        looking = storage_changes.refresh(work, storage.listing(work)[0]).id
    assert made.ended(looking).state == OperationState.DONE
    with made.work(write=True) as work:
        volume = work.db.query(Volume).filter_by(name=name).one()
        checking = volume_changes.register(work, volume, "Tools").id
    assert made.ended(checking).state == OperationState.DONE
    with made.work() as work:
        image = next(one for one in images.listing(work) if one.name == "Tools")
        assert (image.kind, image.size) == (ImageKind.ISO, volume.size)
        return image.id


@pytest.mark.requirement("KVM-13", "KVM-26")
def test_an_iso_that_lies_in_a_directory_is_put_in_and_taken_out_while_the_guest_runs(
    made: Devices, tmp_path
) -> None:
    bootable_iso(tmp_path / "tools.iso", "TOOLS")
    shared = made.host.images / "volumes"
    shutil.copy(tmp_path / "tools.iso", shared)  # as somebody does on the NFS server
    image_id = found(made, "tools.iso")
    machine_id = made.made("tools", start=True)

    def source() -> str | None:
        found = made.xml(machine_id).find("devices/disk[@device='cdrom']/source")
        return None if found is None else found.get("file")

    assert source() is None
    with made.work() as work:
        assert image_id in [
            image.id for image in devices.isos(work, machines.get(work, machine_id))
        ]
    made.done(machine_id, devices.insert, lambda w, m: devices.iso(w, m, image_id))
    assert Path(source()) == shared / "tools.iso"
    assert Path(source()).read_bytes() == (tmp_path / "tools.iso").read_bytes()
    inactive = made.xml(machine_id, "--inactive")
    assert inactive.find("devices/disk[@device='cdrom']/source") is not None
    made.done(machine_id, devices.insert, None)
    assert source() is None
    assert made.pending(machine_id) == {}


@pytest.mark.requirement("KVM-26")
def test_a_machine_from_an_iso_starts_it_on_an_empty_disk(made: Devices, tmp_path) -> None:
    bootable_iso(tmp_path / "setup.iso", "FROM-THE-CD")
    image_id = registered(made, "Setup", ImageKind.ISO, tmp_path / "setup.iso")
    machine_id = ordered(made, "from-cd", image_id)
    assert made.drives(machine_id)[0][0] == "vda"
    hears(made, machine_id, "FROM-THE-CD")


ANSWERS = "lang en_US.UTF-8\nrootpw --lock\nreboot\n"


@pytest.mark.timeout(300)
@pytest.mark.requirement("TPL-15")
def test_a_kickstart_starts_its_iso_with_the_answers_beside_it_and_then_the_disk(
    made: Devices, tmp_path, starter_image: Path
) -> None:
    setup = tmp_path / "rocky.iso"
    bootable_iso(setup, "FROM-THE-INSTALLER")
    iso_id = registered(made, "Rocky 9", ImageKind.ISO, setup)
    with made.work(write=True) as work:
        draft = uploads.Draft(name="Rocky web", kind=ImageKind.KICKSTART)
        told = {"iso_id": iso_id, "answers": ANSWERS}
        image_id = kickstarts.add(work, pools.root(work), draft, **told).id
    machine_id = ordered(made, "kicked", image_id)
    drives_ = {
        one.find("target").get("dev"): one.find("source").get("file")
        for one in made.xml(machine_id).iterfind("devices/disk")
    }
    assert Path(drives_["hda"]).read_bytes() == setup.read_bytes()
    assert read_disc(Path(drives_["hdd"])) == ("OEMDRV", {"/ks.cfg": ANSWERS})
    hears(made, machine_id, "FROM-THE-INSTALLER")

    # What an installer does, with its own means: from now on the disk has a system.
    made.done(machine_id, machines.act, Action.POWER_OFF)
    with Path(drives_["vda"]).open("r+b") as disk:
        disk.write(starter_image.read_bytes())
    made.done(machine_id, machines.act, Action.START)
    guest = Guest(made.host, made.machine(machine_id).domain_name)
    look = (
        "for d in /dev/sr*; do mount -r -t iso9660 $d /seed && cat /seed/ks.cfg; umount /seed; done"
    )
    wait_until(lambda: "rootpw --lock" in guest.run(f"({look}) 2>/dev/null"), "the answers", 60)
    made.done(machine_id, machines.act, Action.POWER_OFF)
    made.done(machine_id, machines.act, Action.DELETE)
    assert "kicked" not in made.host.virsh("list", "--all", "--title")
    assert "seed-" not in made.host.virsh("vol-list", LIBVIRT_POOL)


def read_disc(path: Path) -> tuple[str, dict[str, str]]:
    """The label of an ISO and the texts in it."""
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    found = {}
    for entry in iso.list_children(joliet_path="/"):
        name = entry.file_identifier().decode("utf-16-be")
        if entry.is_file():
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, joliet_path=f"/{name}")
            found[f"/{name}"] = content.getvalue().decode()
    label = iso.pvd.volume_identifier.decode().strip()
    iso.close()
    return label, found


@pytest.mark.timeout(400)
@pytest.mark.requirement("OVT-19", "OVT-27")
def test_a_machine_boots_from_the_network_with_the_mac_that_was_chosen(
    made: Devices, tmp_path, readable
) -> None:
    (readable / "program").write_bytes(program("FROM-THE-NETWORK"))
    definition = tmp_path / "network.xml"
    definition.write_text(NETWORK.format(root=readable))
    made.host.virsh("net-create", str(definition))
    try:
        image_id = registered(made, "Install server", ImageKind.NETWORK)
        machine_id = ordered(made, "from-network", image_id)
        mac = "52:54:00:c0:ff:ee"
        made.done(machine_id, drives.add_card, network="install", mac=mac)
        first = next(one for one in made.macs(machine_id) if one != mac)
        made.done(machine_id, drives.remove_card, lambda w, m: devices.card(w, m, first))
        xml = made.xml(machine_id)
        assert xml.find("devices/interface/mac").get("address") == mac
        assert xml.find("devices/interface/boot").get("order") == "1"
        assert xml.find("devices/disk/boot").get("order") == "2"
        hears(made, machine_id, "FROM-THE-NETWORK", 240)
        assert mac in made.host.virsh("net-dhcp-leases", "install")
    finally:
        made.host.virsh("net-destroy", "install")


@pytest.mark.requirement("KVM-37")
def test_what_a_disk_takes_and_moves_is_kept_by_the_hour(made: Devices) -> None:
    with made.work() as work:
        disks = [one for one in images.listing(work) if one.kind == ImageKind.DISK]
    machine_id = ordered(made, "mover", disks[0].id)
    made.done(machine_id, machines.act, Action.START)
    domain = made.machine(machine_id).domain_name

    def kept() -> storage_usage.Hour | None:
        with made.work() as work:
            volume = machines.get(work, machine_id).volumes[0]
            hours = storage_usage.of_volume(work, volume)
            return next((hour for hour in hours if hour.read and hour.allocated), None)

    hour = wait_until(kept, "what the guest has read of its disk", 90)
    counters = made.host.virsh("domblkstat", domain, "vda")
    read = int(re.search(r"rd_bytes (\d+)", counters)[1])
    assert 0 < hour.read <= read
    assert hour.allocated <= made.drives(machine_id)[0][1]

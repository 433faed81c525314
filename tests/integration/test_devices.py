"""What a machine consists of, changed on a real host by a real worker, and looked at with virsh."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovcadmin import green
from ovcadmin.domain.resources import Resources
from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor import xml
from ovcadmin.drivers.hypervisor.base import VirtType
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.models import Machine, MachineEvent, OperationState
from ovcadmin.services import devices, drives, quota_check
from ovcadmin.services.machine_states import reservation_differences
from tests.contract.conftest import Console as Inside
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import LIBVIRT_POOL, Cloud, cloud

MIB = 1024
GB = 10**9 // 4096 * 4096


class Devices(Cloud):
    """A cloud with verbs for devices."""

    def ask(self, machine_id: int, verb, *arguments, **named) -> int:
        with self.work(write=True) as work:
            machine = work.db.get_one(Machine, machine_id)
            found = [one(work, machine) if callable(one) else one for one in arguments]
            return verb(work, machine, *found, **named).id

    def done(self, machine_id: int, verb, *arguments, **named) -> None:
        ended = self.ended(self.ask(machine_id, verb, *arguments, **named), 60)
        assert ended.state == OperationState.DONE, ended.error_text

    def refused(self, machine_id: int, verb, *arguments, **named) -> str:
        ended = self.ended(self.ask(machine_id, verb, *arguments, **named), 60)
        assert ended.state == OperationState.FAILED
        return ended.error_text

    def xml(self, machine_id: int, *options: str):
        name = self.machine(machine_id).domain_name
        return xml.read(self.host.virsh("dumpxml", name, *options))

    def pending(self, machine_id: int) -> dict[str, tuple[str, str]]:
        with self.work() as work:
            marks = devices.pending(work.db.get_one(Machine, machine_id))
            return {mark.name: (mark.now, mark.coming) for mark in marks}

    def drives(self, machine_id: int) -> list[tuple[str, int, bool]]:
        with self.work() as work:
            volumes = work.db.get_one(Machine, machine_id).volumes
            return [(one.target, one.size, one.swap) for one in volumes]

    def macs(self, machine_id: int) -> list[str]:
        with self.work() as work:
            return [nic.mac for nic in work.db.get_one(Machine, machine_id).nics]

    def life(self, machine_id: int) -> list[tuple[str, int, int, int]]:
        with self.work() as work:
            rows = work.db.query(MachineEvent).filter_by(machine_id=machine_id)
            return [
                (row.kind, row.vcpus, row.memory, row.storage)
                for row in rows.order_by(MachineEvent.id)
            ]

    def volumes(self) -> list[str]:
        names = self.host.virsh("vol-list", LIBVIRT_POOL).split()[::2]
        return [name for name in names if name.startswith("machine-")]

    def assert_books_agree(self) -> None:
        with self.work() as work:
            assert reservation_differences(work) == []
            assert quota_check.differences(work) == []


def drive(target: str):
    return lambda work, machine: devices.drive(work, machine, target)


def card(mac: str):
    return lambda work, machine: devices.card(work, machine, mac)


@pytest.fixture
def made(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> Iterator[Devices]:
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as one:
        one.__class__ = Devices
        one.worker()
        one.ready()
        yield one


@pytest.fixture
def inside(made: Devices, libvirt_host: LibvirtHost) -> Iterator:
    """Opens the console of a machine and waits for its prompt."""
    host = LibvirtHypervisor("look", libvirt_host.uri, virt_type=VirtType.QEMU)
    opened = []

    def look(machine_id: int) -> Inside:
        console = Inside(host, made.machine(machine_id).uuid)
        opened.append(console)
        console.prompt()
        return console

    yield look
    for console in opened:
        console.stream.close()
    host.close()


def says(console: Inside, line: str, wanted: str) -> None:
    def answer() -> str:
        lines = console.answers(line).replace("\r", "").split("\n")
        green.sleep(0.2)
        return "\n".join(lines[1:-1]).strip()

    wait_until(lambda: answer() == wanted, f"{wanted} as answer to {line}", 30)


def test_a_machine_that_is_off_is_resized(made: Devices) -> None:
    machine_id = made.made("web01")
    made.done(machine_id, devices.resize, vcpus=2, memory=256 * MIB)
    machine = made.machine(machine_id)
    assert (machine.vcpus, machine.memory, made.pending(machine_id)) == (2, 256 * MIB, {})
    root = made.xml(machine_id)
    assert (root.find("vcpu").get("current"), root.findtext("memory")) == ("2", str(256 * MIB))
    assert made.used() == Resources(storage=machine.storage), "what is off takes storage only"
    made.ended(made.act(machine_id, Action.START))
    assert made.used().vcpus == 2
    assert [event[:3] for event in made.life(machine_id)][-2:] == [
        ("resized", 2, 256 * MIB), ("started", 2, 256 * MIB),
    ]  # fmt: skip
    made.assert_books_agree()


@pytest.mark.requirement("PEER-13")
def test_a_running_machine_takes_what_it_can_and_the_rest_is_pending(made: Devices, inside) -> None:
    machine_id = made.made("web01")
    made.done(machine_id, devices.resize, vcpus=1, memory=512 * MIB)
    made.ended(made.act(machine_id, Action.START))
    first = made.machine(machine_id)
    console = inside(machine_id)
    made.done(machine_id, devices.resize, vcpus=2, memory=first.memory + 128 * MIB)
    assert made.pending(machine_id) == {}
    says(console, "ls -d /sys/devices/system/cpu/cpu[0-9] | wc -l", "2")
    assert made.used().memory == first.memory + 128 * MIB

    made.done(machine_id, devices.resize, vcpus=2, memory=first.memory)
    now, coming = made.pending(machine_id)["memory"]
    assert (now, coming) != (coming, now)
    assert made.used().memory == first.memory + 128 * MIB, "it has the memory still"
    assert made.machine(machine_id).memory == first.memory
    made.assert_books_agree()
    console.stream.close()
    made.ended(made.act(machine_id, Action.POWER_OFF))
    assert made.pending(machine_id) == {}
    made.ended(made.act(machine_id, Action.START))
    assert made.used().memory == first.memory
    assert made.xml(machine_id).findtext("memory") == str(first.memory)
    assert ("resized", 2, first.memory + 128 * MIB, first.storage) in made.life(machine_id)
    made.assert_books_agree()


@pytest.mark.requirement("KVM-27", "KVM-34", "KVM-38")
def test_drives_come_grow_and_go_on_a_running_machine(made: Devices, inside) -> None:
    machine_id = made.made("web01", start=True)
    base = made.machine(machine_id).storage
    console = inside(machine_id)
    made.done(machine_id, drives.add, GB)
    assert made.drives(machine_id)[1:] == [("vdb", GB, False)]
    says(console, "cat /sys/block/vdb/size", str(GB // 512))
    assert len(made.volumes()) == 2
    assert made.used().storage == base + GB
    made.done(machine_id, drives.grow, drive("vdb"), 2 * GB)
    says(console, "cat /sys/block/vdb/size", str(2 * GB // 512))
    assert made.used().storage == base + 2 * GB
    made.assert_books_agree()
    made.done(machine_id, drives.remove, drive("vdb"))
    says(console, "ls /sys/block | grep -c vdb", "0")
    assert len(made.volumes()) == 1
    assert made.used().storage == base
    assert [event[0] for event in made.life(machine_id)][-3:] == ["resized"] * 3
    made.assert_books_agree()


@pytest.mark.requirement("TPL-02")
def test_a_kept_volume_is_attached_again_and_a_swap_disk_is_new_on_local_storage(
    made: Devices,
) -> None:
    machine_id = made.made("web01")
    made.done(machine_id, drives.add, GB)
    kept = next(name for name in made.volumes() if "vdb" in name)
    made.done(machine_id, drives.remove, drive("vdb"), keep=True)
    assert kept in made.volumes()
    made.assert_books_agree()
    made.done(machine_id, drives.add, GB, swap=True)
    assert len(made.volumes()) == 3, "a swap disk takes nobody's volume"
    made.done(machine_id, drives.add, GB)
    assert len(made.volumes()) == 3, "a free volume of that size is attached"
    assert made.drives(machine_id)[1:] == [("vdb", GB, True), ("vdc", GB, False)]
    sources = [one.get("file") for one in made.xml(machine_id).iterfind("devices/disk/source")]
    assert any(source.endswith(kept) for source in sources)
    made.done(machine_id, drives.remove, drive("vdb"))
    made.assert_books_agree()
    made.ended(made.act(machine_id, Action.DELETE))
    assert made.volumes() == []
    assert made.used() == Resources()


@pytest.mark.requirement("TPL-04")
def test_a_drive_for_which_there_is_no_room_leaves_nothing(made: Devices) -> None:
    machine_id = made.made("web01")
    before = made.used()
    why = made.refused(machine_id, drives.add, 10**15)
    assert "free" in why
    assert made.used() == before
    assert len(made.volumes()) == 1
    assert made.machine(machine_id).state == "stopped"
    made.assert_books_agree()


@pytest.mark.requirement("OVT-27")
def test_cards_with_a_chosen_mac_come_and_go_on_a_running_machine(made: Devices, inside) -> None:
    machine_id = made.made("web01", start=True)
    console = inside(machine_id)
    mac = "52:54:00:0a:0b:0c"
    made.done(machine_id, drives.add_card, mac=mac.upper())
    assert mac in made.macs(machine_id)
    says(console, f"grep -l {mac} /sys/class/net/*/address | wc -l", "1")
    assert made.used().nics == 2
    made.done(machine_id, devices.configure, boot="network,disk")
    assert made.pending(machine_id) == {"boot": ("disk,cdrom", "network,disk")}
    made.done(machine_id, drives.remove_card, card(made.macs(machine_id)[0]))
    assert made.used().nics == 1
    made.assert_books_agree()
    console.stream.close()
    made.ended(made.act(machine_id, Action.POWER_OFF))
    root = made.xml(machine_id)
    assert [one.get("address") for one in root.iterfind("devices/interface/mac")] == [mac]
    assert root.find("devices/interface/boot").get("order") == "1"
    assert root.find("devices/disk/boot").get("order") == "2"


def test_a_limit_of_a_drive_is_kept_by_the_running_guest(made: Devices, inside) -> None:
    """4 MiB at 1 MB a second take some 4 seconds, and next to none without the limit."""
    machine_id = made.made("web01", start=True)
    console = inside(machine_id)
    made.done(machine_id, devices.limit_drive, drive("vda"), byte_rate=10**6, iops=500)
    tune = made.xml(machine_id).find("devices/disk/iotune")
    assert tune.findtext("total_bytes_sec") == "1000000"
    assert tune.findtext("total_iops_sec") == "500"
    limited = seconds_to_read(console, 4)
    assert 2.5 < limited < 10
    made.done(machine_id, devices.limit_drive, drive("vda"), byte_rate=None, iops=None)
    assert made.xml(machine_id).find("devices/disk/iotune") is None
    assert seconds_to_read(console, 4) < limited / 2


def seconds_to_read(console: Inside, mib: int) -> float:
    """How long the guest takes to read so much of its disk, past its cache."""
    begun = time.monotonic()
    drop = "echo 3 > /proc/sys/vm/drop_caches"
    line = f"{drop}; dd if=/dev/vda of=/dev/null bs=64k count={mib * 16}"
    assert "records out" in console.answers(line, 60)
    return time.monotonic() - begun


@pytest.mark.requirement("PEER-21")
def test_what_was_taken_out_behind_our_back_is_added_in_place(made: Devices) -> None:
    machine_id = made.made("web01")
    root = made.xml(machine_id)
    lost = root.find("devices")
    for kind in ("serial", "console", "graphics"):
        lost.remove(lost.find(kind))
    path = made.directory / "domain.xml"
    path.write_text(xml.text_of(root))
    made.host.virsh("define", str(path))
    made.ended(made.act(machine_id, Action.START))
    assert made.xml(machine_id).find("devices/graphics") is None
    made.done(machine_id, devices.complete)
    assert made.pending(machine_id)["graphics"] == ("none", "there")
    made.ended(made.act(machine_id, Action.POWER_OFF))
    made.ended(made.act(machine_id, Action.START))
    assert made.xml(machine_id).find("devices/graphics").get("type") == "vnc"
    assert made.pending(machine_id) == {}

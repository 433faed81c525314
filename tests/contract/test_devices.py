"""Devices of running guests: one suite for the host in memory and a real libvirtd with QEMU.

On the real host the guest itself is asked over its console.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest

from ovcadmin.domain.rates import GuestRates
from ovcadmin.drivers.hypervisor.base import CdromSpec, DiskSpec, NicSpec
from ovcadmin.drivers.hypervisor.fake import FakeHypervisor
from tests.contract.conftest import Console, until

MIB = 1024
CARD = NicSpec(mac="52:54:00:aa:bb:01", network=None)


@pytest.fixture
def guest(host, machines):
    """A booted guest with 1 vcpu, 512 MiB, one drive, one card and an empty CD-ROM drive."""
    drive = CdromSpec(target="hda")
    spec = machines.spec(bootable=True, memory=512 * MIB, cdroms=(drive,))
    host.define(spec)
    host.start(spec.uuid)
    inside = Console(host, spec.uuid)
    inside.prompt()
    yield spec, inside
    inside.stream.close()


@pytest.fixture
def files(host, machines):
    """Makes files of some size for drives and CD-ROMs."""

    def make(name: str, content: bytes = b"", size: int = 2**20) -> str:
        if machines.disks is None:
            return f"/fake/{name}"
        path = machines.disks / name
        path.write_bytes(content)
        os.truncate(path, max(size, len(content)))
        return str(path)

    return make


def real(host) -> bool:
    return not isinstance(host, FakeHypervisor)


def asked(inside: Console, line: str) -> str:
    """What the guest answers, without the echo of the question and the prompt."""
    lines = inside.answers(line).replace("\r", "").split("\n")
    return "\n".join(lines[1:-1]).strip()


def inside_says(inside: Console, line: str, answer: str) -> None:
    until(lambda: asked(inside, line) == answer, f"{answer} as answer to {line}", 30)


def kib(inside: Console) -> int:
    return int(re.search(r"MemTotal: +(\d+)", asked(inside, "grep MemTotal /proc/meminfo"))[1])


def test_a_guest_gets_vcpus_and_memory_while_it_runs(host, guest):
    spec, inside = guest
    before = kib(inside) if real(host) else 0
    found = host.resize(spec.uuid, vcpus=3, memory=spec.memory + 256 * MIB)
    assert (found.vcpus, found.memory, found.refused) == (3, spec.memory + 256 * MIB, ())
    assert found.running
    if real(host):
        inside_says(inside, "ls -d /sys/devices/system/cpu/cpu[0-9] | wc -l", "3")
        # The kernel refuses for a moment after the plug: the guest asks until it is done.
        online = "for f in /sys/devices/system/{}; do echo {} > $f; done"

        def has_vcpus() -> bool:
            asked(inside, online.format("cpu/cpu[12]/online", 1))
            return asked(inside, "nproc") == "3"

        def has_memory() -> bool:
            asked(inside, online.format("memory/*/state", "online"))
            return kib(inside) > before + 200 * MIB

        until(has_vcpus, "the vCPUs in the guest", 30)
        until(has_memory, "the memory in the guest", 30)


def test_what_a_running_guest_cannot_take_is_told_and_nothing_breaks(host, guest):
    spec, inside = guest
    found = host.resize(spec.uuid, vcpus=200, memory=spec.memory + 5 * MIB)
    assert (found.vcpus, found.memory) == (1, spec.memory)
    assert len(found.refused) == 2
    found = host.resize(spec.uuid, vcpus=1, memory=spec.memory - 64 * MIB)
    assert found.memory == spec.memory
    assert len(found.refused) == 1
    assert "Linux" in inside.answers("uname -a")


def test_the_size_of_a_machine_that_is_off_is_that_of_its_definition(host, machines):
    spec = machines.spec()
    host.define(spec)
    found = host.resize(spec.uuid, vcpus=4, memory=spec.memory * 2)
    assert (found.running, found.vcpus, found.memory) == (False, 1, spec.memory)
    host.define(replace(spec, vcpus=4, memory=spec.memory * 2))
    assert host.present(spec.uuid).vcpus == 4


def test_a_drive_comes_grows_and_goes_while_the_guest_runs(host, guest, files):
    spec, inside = guest
    drive = DiskSpec(source=files("data"), target="vdb")
    host.attach(spec.uuid, drive)
    host.attach(spec.uuid, drive)  # again, as after a crash
    assert host.present(spec.uuid).disks == {"vda", "vdb"}
    if real(host):
        inside_says(inside, "cat /sys/block/vdb/size", "2048")
    host.grow_disk(spec.uuid, "vdb", 2**21)
    host.grow_disk(spec.uuid, "vdb", 2**21)
    if real(host):
        inside_says(inside, "cat /sys/block/vdb/size", "4096")
    host.detach(spec.uuid, drive)
    host.detach(spec.uuid, drive)
    assert host.present(spec.uuid).disks == {"vda"}
    if real(host):
        inside_says(inside, "ls /sys/block | grep -c vdb", "0")


def test_a_card_comes_and_goes_while_the_guest_runs(host, guest):
    spec, inside = guest
    host.attach(spec.uuid, CARD)
    host.attach(spec.uuid, CARD)
    assert CARD.mac in host.present(spec.uuid).nics
    if real(host):
        inside_says(inside, f"grep -l {CARD.mac} /sys/class/net/*/address | wc -l", "1")
    host.detach(spec.uuid, CARD)
    host.detach(spec.uuid, CARD)
    assert CARD.mac not in host.present(spec.uuid).nics
    if real(host):
        inside_says(inside, f"grep -l {CARD.mac} /sys/class/net/*/address | wc -l", "0")


def test_a_medium_is_changed_while_the_guest_runs(host, guest, files):
    spec, _ = guest
    iso = files("tools.iso", b"MARK" * 512)
    assert host.insert(spec.uuid, CdromSpec(target="hda", source=iso))
    assert host.insert(spec.uuid, CdromSpec(target="hda", source=iso))
    assert host.present(spec.uuid).media == {"hda": iso}
    assert host.insert(spec.uuid, CdromSpec(target="hda"))
    assert host.present(spec.uuid).media == {"hda": None}


def test_a_drive_that_the_running_guest_does_not_have_is_told(host, guest):
    spec, _ = guest
    assert not host.insert(spec.uuid, CdromSpec(target="hdb", source="/x.iso"))


def test_on_a_machine_that_is_off_only_its_definition_counts(host, machines, files):
    spec = machines.spec(cdroms=(CdromSpec(target="hda"),))
    host.define(spec)
    host.attach(spec.uuid, CARD)
    host.detach(spec.uuid, DiskSpec(source=files("none"), target="vdz"))
    host.grow_disk(spec.uuid, "vda", 2**30)
    host.limit(spec.uuid, spec)
    assert host.set_rates(spec.uuid, GuestRates(cpu=50, drives={}, cards={})) == ()
    assert host.insert(spec.uuid, CdromSpec(target="hda", source="/x.iso"))
    assert CARD.mac not in host.present(spec.uuid).nics
    host.define(replace(spec, nics=(*spec.nics, CARD)))
    assert CARD.mac in host.present(spec.uuid).nics


def test_defining_a_running_machine_again_changes_only_what_comes(host, guest):
    spec, _ = guest
    host.define(replace(spec, vcpus=2, nics=(*spec.nics, CARD)))
    found = host.present(spec.uuid)
    assert (found.vcpus, CARD.mac in found.nics) == (1, False)
    host.destroy(spec.uuid)
    found = host.present(spec.uuid)
    assert (found.vcpus, CARD.mac in found.nics) == (2, True)

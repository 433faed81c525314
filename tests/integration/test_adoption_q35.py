"""A guest with a board, firmware and devices that the console never writes: all of it stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from ovcadmin.domain.states import Action
from ovcadmin.services import devices, drives, machines
from tests.integration.test_adoption import MIB, adopt, done, finding, lasting, volume
from tests.rig import LibvirtHost
from tests.rig.cloud import LIBVIRT_POOL, Cloud, cloud
from tests.rig.guest import Guest

pytestmark = pytest.mark.timeout(300)

FIRMWARE = Path("/usr/share/seabios/bios-256k.bin")
"""Any firmware in flash memory has the same definition as UEFI: a loader, and variables beside."""
DOMAIN = """
<domain type='qemu'>
  <name>odd</name>
  <metadata><note xmlns='urn:owner'>of long ago</note></metadata>
  <memory unit='MiB'>192</memory><vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash'>{directory}/code.fd</loader>
    <nvram>{directory}/odd_VARS.fd</nvram>
    <bootmenu enable='no'/>
  </os>
  <features><acpi/><apic/><vmport state='off'/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <pm><suspend-to-mem enabled='no'/></pm>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw' io='threads'/>
      <source file='{disk}'/><target dev='vda' bus='virtio'/><boot order='1'/><serial>ROOT</serial>
    </disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file='{second}'/><target dev='sda' bus='sata'/></disk>
    <controller type='usb' model='qemu-xhci'/>
    <controller type='pci' index='0' model='pcie-root'/>
    {ports}
    <interface type='user'><mac address='52:54:00:aa:bb:35'/><model type='e1000e'/></interface>
    <serial type='pty'><target port='0'/></serial>
    <channel type='pty'><target type='virtio' name='org.example.0'/></channel>
    <input type='tablet' bus='usb'/>
    <sound model='ich9'/>
    <watchdog model='i6300esb' action='none'/>
    <panic model='isa'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='none'/>
  </devices>
</domain>
"""


PORTS = "".join(
    f"<controller type='pci' index='{number}' model='pcie-root-port'/>" for number in range(1, 13)
)
"""Free ones are what a device can be plugged into while the guest runs."""


@pytest.fixture
def made(
    tmp_path: Path, sqlite_url: str, shared_host: LibvirtHost, starter_image: Path
) -> Iterator[Cloud]:
    with cloud(tmp_path, sqlite_url, shared_host, starter_image, sweep_seconds=1) as found:
        found.worker()
        found.ready()
        yield found
    shared_host.recover()


def pieces(definition: str) -> set[str]:
    """Every element with its attributes and where it stands: what may not get lost."""
    found = set()
    for element in etree.fromstring(definition).iter():
        steps = [element.tag, *(above.tag for above in element.iterancestors())]
        text = (element.text or "").strip()
        found.add(f"{'/'.join(reversed(steps))} {sorted(element.attrib.items())} {text}")
    return found


def test_a_guest_of_another_board_and_firmware_is_adopted_and_keeps_it_all(
    made: Cloud, starter_image: Path
) -> None:
    directory = made.host.directory
    shutil.copy(FIRMWARE, directory / "code.fd")
    (directory / "odd_VARS.fd").write_bytes(bytes(128 * 1024))
    file = made.directory / "odd.xml"
    disk, second = volume(made, "odd.img", content=starter_image), volume(made, "odd2.img")
    file.write_text(DOMAIN.format(directory=directory, disk=disk, second=second, ports=PORTS))
    made.host.virsh("define", str(file))
    made.host.virsh("start", "odd")
    uuid, boot = made.host.virsh("domuuid", "odd"), "cat /proc/sys/kernel/random/boot_id"
    booted = Guest(made.host, "odd").run(boot)
    before = lasting(made, "odd")
    found = finding(made, uuid)
    assert found.fits, found
    assert "its firmware; it cannot be cloned or made a template" in found.found.kept
    machine_id = adopt(made, uuid, "Odd")
    made.settled(machine_id)
    assert lasting(made, "odd") == before
    assert Guest(made.host, "odd").run(boot) == booted
    with made.work(write=True) as work:
        machine = machines.get(work, machine_id)
        added = drives.add(work, machine, 16 * MIB).id
    done(made, added)
    done(made, made.act(machine_id, Action.POWER_OFF))
    assert pieces(before) <= pieces(lasting(made, "odd"))
    done(made, made.act(machine_id, Action.START))
    guest = Guest(made.host, "odd")
    assert guest.run(boot) != booted
    assert int(guest.run("cat /sys/block/vdb/size")) * 512 == 16 * MIB
    with made.work(write=True) as work:
        machine = machines.get(work, machine_id)
        gone = drives.remove(work, machine, devices.drive(work, machine, "vdb"), keep=False).id
    done(made, gone)
    done(made, made.act(machine_id, Action.POWER_OFF))
    assert lasting(made, "odd") == before
    done(made, made.act(machine_id, Action.DELETE))
    assert "odd" not in made.host.virsh("list", "--all", "--name").split()
    assert "odd.img " in made.host.virsh("vol-list", LIBVIRT_POOL)

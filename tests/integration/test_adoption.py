"""Guests that somebody made with virsh become machines as they are; real libvirtd and QEMU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovcadmin.domain.resources import Limits, Resources
from ovcadmin.domain.states import Action
from ovcadmin.errors import AdoptionRefused, Conflict, NotFound, QuotaExceeded
from ovcadmin.models import MachineEvent, OperationState
from ovcadmin.services import (
    adoptions,
    devices,
    drives,
    hosts,
    machines,
    pool_limits,
    pools,
    snapshots,
    volumes,
)
from ovcadmin.services.adoptions import Finding, Wish
from ovcadmin.services.machine_states import reservation_differences
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import LIBVIRT_POOL, Cloud, cloud
from tests.rig.guest import Guest

pytestmark = pytest.mark.timeout(300)

MIB = 2**20
MAC = "52:54:00:aa:bb:01"
DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <title>Old web server</title>
  <metadata><note xmlns='urn:owner'>of long ago</note></metadata>
  <memory unit='MiB'>128</memory><vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <on_reboot>restart</on_reboot><on_crash>preserve</on_crash>
  <devices>
    {disk}
    <interface type='user'><mac address='{mac}'/><model type='virtio'/></interface>
    <serial type='pty'><target port='0'/></serial><console type='pty'/>
    <watchdog model='i6300esb' action='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""
DISK = """<disk type='file' device='disk'><driver name='qemu' type='{format}'/>
<source file='{path}'/><target dev='vda' bus='virtio'/></disk>"""


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, shared_host: LibvirtHost, starter_image: Path
) -> Iterator[Cloud]:
    directory = tmp_path_factory.mktemp("adoption")
    url = f"sqlite:///{directory}/console.db"
    with cloud(directory, url, shared_host, starter_image, sweep_seconds=1) as found:
        found.worker()
        found.ready()
        yield found
    shared_host.recover()


def volume(made: Cloud, name: str, *, content: Path | None = None) -> str:
    """Make a volume in the pool that the console knows, by hand; its path."""
    virsh = made.host.virsh
    virsh("vol-create-as", LIBVIRT_POOL, name, str(48 * MIB), "--format", "raw")
    if content is not None:
        virsh("vol-upload", name, str(content), "--pool", LIBVIRT_POOL)
    return virsh("vol-path", name, "--pool", LIBVIRT_POOL)


def define(made: Cloud, name: str, disk: str, mac: str = MAC, command: str = "define") -> str:
    """Define a domain by hand; its uuid."""
    file = made.directory / f"{name}.xml"
    file.write_text(DOMAIN.format(name=name, disk=disk, mac=mac))
    made.host.virsh(command, str(file))
    return made.host.virsh("domuuid", name)


def raw(path: str) -> str:
    return DISK.format(format="raw", path=path)


def finding(made: Cloud, uuid: str) -> Finding:
    """Wait until a worker has looked at the domain."""

    def read() -> Finding | None:
        with made.work() as work:
            found = adoptions.listing(work, hosts.get(work, made.host_row().id))
            return next((one for one in found if one.row.uuid == uuid and one.found), None)

    return wait_until(read, "the domain in the list", 30)


def adopt(made: Cloud, uuid: str, name: str, pool_id: int | None = None) -> int:
    with made.work(write=True) as work:
        pool = pools.get(work, pool_id) if pool_id else pools.root(work)
        host = hosts.get(work, made.host_row().id)
        return adoptions.adopt(work, host, uuid, pool, Wish(name=name)).id


def done(made: Cloud, operation_id: int) -> None:
    found = made.ended(operation_id, 60)
    assert found.state == OperationState.DONE, found.error_text


def lasting(made: Cloud, name: str) -> str:
    return made.host.virsh("dumpxml", name, "--inactive")


@pytest.fixture(scope="module")
def running(made: Cloud, starter_image: Path) -> tuple[str, str]:
    """A guest of nobody's, with what runs in it: its uuid and the id of this boot."""
    uuid = define(made, "old-web", raw(volume(made, "old-web.img", content=starter_image)))
    made.host.virsh("start", "old-web")
    return uuid, Guest(made.host, "old-web").run("cat /proc/sys/kernel/random/boot_id")


@pytest.fixture(scope="module")
def adopted(made: Cloud, running: tuple[str, str]) -> int:
    """The guest as a machine; nothing of it was changed on the way."""
    uuid, boot = running
    found = finding(made, uuid)
    assert (found.fits, found.found.vcpus, found.found.memory) == (True, 2, 128 * 1024)
    assert "that it has no VNC screen" in found.found.kept
    before = (lasting(made, "old-web"), made.host.virsh("dumpxml", "old-web"))
    machine_id = adopt(made, uuid, "Old web")
    assert made.settled(machine_id).state == OperationState.DONE
    assert (lasting(made, "old-web"), made.host.virsh("dumpxml", "old-web")) == before
    assert Guest(made.host, "old-web").run("cat /proc/sys/kernel/random/boot_id") == boot
    return machine_id


@pytest.mark.requirement("PEER-28", "OVT-20")
def test_a_running_guest_of_virsh_becomes_a_machine_and_nothing_of_it_is_changed(
    made: Cloud, adopted: int
) -> None:
    machine = made.machine(adopted)
    assert (machine.state, machine.power, machine.uuid) == (
        "running", "running", made.host.virsh("domuuid", "old-web"),
    )  # fmt: skip
    with made.work() as work:
        row = machines.get(work, adopted)
        assert [(v.target, v.name, v.size, v.found) for v in row.volumes] == [
            ("vda", "old-web.img", 48 * MIB, True)
        ]
        assert [(nic.mac, nic.network) for nic in row.nics] == [(MAC, None)]
        events = work.db.query(MachineEvent).filter_by(machine_id=adopted).all()
        assert [(one.kind, one.running, one.vcpus) for one in events] == [("adopted", True, 2)]
        assert adoptions.listing(work, row.host) == []
        assert reservation_differences(work) == []
    assert made.used() == Resources(
        vcpus=2, memory=128 * 1024, storage=48 * MIB, nics=1, machines=1
    )


def test_it_stops_starts_grows_and_keeps_all_that_was_not_made_here(
    made: Cloud, adopted: int
) -> None:
    before = lasting(made, "old-web")
    made.host.virsh("suspend", "old-web")
    made.shows(adopted, "suspended")
    for action in (Action.RESUME, Action.POWER_OFF):
        done(made, made.act(adopted, action))
    with made.work(write=True) as work:
        snapshot = snapshots.take(work, machines.get(work, adopted), "before").id
    done(made, snapshot)
    assert "old-web.img.snapshot-" in made.host.virsh("vol-list", LIBVIRT_POOL)
    assert lasting(made, "old-web") == before
    made.host.virsh("desc", "old-web", "--config", "changed by hand")
    with made.work(write=True) as work:
        machine = machines.get(work, adopted)
        asked = [
            devices.resize(work, machine, vcpus=1, memory=160 * 1024).id,
            drives.add(work, machine, 16 * MIB).id,
        ]
    for one in asked:
        done(made, one)
    changed = lasting(made, "old-web")
    for kept in ("<model fallback='forbid'>qemu64", "of long ago", "i6300esb", "changed by hand",
                 "<on_crash>preserve"):  # fmt: skip
        assert kept in changed
    assert "<name>old-web</name>" in changed
    assert re.search(r"<memory unit='KiB'>163840</memory>", changed)
    assert "target dev='vdb'" in changed
    done(made, made.act(adopted, Action.START))
    guest = Guest(made.host, "old-web")
    assert guest.run("nproc") == "1"
    assert int(guest.run("cat /sys/block/vdb/size")) * 512 == 16 * MIB
    done(made, made.act(adopted, Action.POWER_OFF))


def test_out_of_the_bin_it_is_what_it_was_and_its_end_leaves_its_volume(
    made: Cloud, adopted: int
) -> None:
    if made.machine(adopted).state == "running":
        done(made, made.act(adopted, Action.POWER_OFF))
    before = lasting(made, "old-web")
    done(made, made.act(adopted, Action.BIN))
    assert "old-web" not in made.host.virsh("list", "--all", "--name").split()
    done(made, made.act(adopted, Action.UNBIN))
    # What the console defines anew bears the machine's name as its title.
    assert lasting(made, "old-web") == before.replace("Old web server", "Old web")
    done(made, made.act(adopted, Action.DELETE))
    assert made.host.virsh("list", "--all", "--name") == ""
    assert "old-web.img " in made.host.virsh("vol-list", LIBVIRT_POOL)
    with made.work() as work:
        free = volumes.free(work, pools.root(work))
        assert [one.name for one in free] == ["old-web.img"]
        assert reservation_differences(work) == []


@pytest.mark.requirement("PEER-28")
def test_what_does_not_fit_is_told_one_by_one_and_refused(made: Cloud, tmp_path: Path) -> None:
    elsewhere = made.directory / "elsewhere.qcow2"
    elsewhere.write_bytes(b"")
    mac = "52:54:00:aa:bb:02"
    uuid = define(made, "odd", DISK.format(format="qcow2", path=elsewhere), mac)
    told = finding(made, uuid).obstacles
    assert [text.split(";")[0].split(" (")[0] for text in told] == [
        "The drive vda has the format qcow2",
        "The drive vda",
    ]
    before = made.used()
    with pytest.raises(AdoptionRefused, match="is in no storage pool") as refused:
        adopt(made, uuid, "Odd")
    assert refused.value.context["reasons"] == told
    # Somebody mends it, and a limit is in the way then.
    made.host.virsh("undefine", "odd")
    uuid = define(made, "odd", raw(volume(made, "odd.img")), mac)
    wait_until(lambda: finding(made, uuid).fits, "the mended domain", 30)
    with made.work(write=True) as work:
        small = pools.create(work, pools.root(work), name="Small")
        pool_limits.set_limits(work, small, Limits(storage=MIB))
        small_id = small.id
    with pytest.raises(QuotaExceeded):
        adopt(made, uuid, "Odd", small_id)
    assert made.used() == before
    assert finding(made, uuid).fits
    made.host.virsh("undefine", "odd")


def test_of_two_at_once_one_adopts_it_and_what_has_grown_meanwhile_is_refused(
    made: Cloud,
) -> None:
    mac = "52:54:00:aa:bb:03"
    path = volume(made, "twice.img")
    uuid = define(made, "twice", raw(path), mac)
    finding(made, uuid)
    made.freeze(made.processes[0])
    before = made.used()
    machine_id = adopt(made, uuid, "Twice")
    with pytest.raises(Conflict, match="It is the machine Twice already"):
        adopt(made, uuid, "Twice again")
    made.host.virsh("vol-resize", "twice.img", str(64 * MIB), "--pool", LIBVIRT_POOL)
    made.processes[0].thaw()
    ended = made.settled(machine_id)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "host.domain_unfit")
    assert "It has grown since it was listed" in ended.error_text
    assert made.used() == before
    with made.work() as work, pytest.raises(NotFound):
        machines.get(work, machine_id)
    wait_until(lambda: finding(made, uuid).found.storage == 64 * MIB, "the new size", 30)
    again = adopt(made, uuid, "Twice")
    assert made.settled(again).state == OperationState.DONE
    assert made.machine(again).state == "stopped"
    done(made, made.act(again, Action.DELETE))

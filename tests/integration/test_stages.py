"""The bare and the optimal stage by `ovc` alone, on two hosts, with virsh and the guests beside.

Failover, rebalancing, usage per address and VLANs are in neither: the product has none of them.
"""

from __future__ import annotations

import hashlib
import re
import socket
from pathlib import Path

import psutil
import pycdlib
import pytest

from ovcadmin.drivers.storage.base import whole_blocks
from tests import rig
from tests.rig.base import wait_until
from tests.rig.cloud import LIBVIRT_POOL
from tests.rig.guest import Guest
from tests.rig.network import LOOPBACK, free_port
from tests.rig.ovc import Shell
from tests.rig.served import SECONDS, prepared, served, shell_of

pytestmark = pytest.mark.timeout(600)
BRIDGE = "ovccli0"
MB = 10**6


class Site:
    """A shell with `ovc`, and the two hosts that its console has."""

    def __init__(self, shell: Shell, first: rig.LibvirtHost, second: rig.LibvirtHost) -> None:
        self.shell, self.first, self.second = shell, first, second
        self.root = shell.json("pools", "list")[0]["name"]
        self.image = shell.json("images", "list")[0]["name"]
        self.name = shell.json("hosts", "list")[0]["name"]
        self.store = shell.json("storage", "list")[0]["name"]
        self.order = ("--pool", self.root, "--image", self.image, "--size", "tiny", "--wait")

    def add_second(self) -> None:
        """Enrol the second host with a storage pool of its own and a copy of the image."""
        near, far = self.first.wire(self.second)
        uri = ("--uri", self.second.uri, "--virt-type", "qemu", "--migration-uri", f"tcp://{far}")
        self.shell("hosts", "enrol", "second", "--pool", self.root, *uri, "--wait")
        self.shell("hosts", "edit", self.name, "--migration-uri", f"tcp://{near}")
        place = ("--driver", "libvirt-dir", "--path", self.second.images / "own")
        self.shell(
            "storage", "add", "far", "--pool", self.root, "--host", "second", *place, "--wait"
        )
        self.shell("images", "copy", self.image, "--storage-pool", "far", "--wait")

    def create(self, *names: str, start: bool = True) -> list[str]:
        """Make machines on the first host; return the uuids of their domains."""
        more = ("--host", self.name, *(["--start"] if start else []), "--timeout", SECONDS)
        self.shell("machines", "create", *names, *self.order, *more)
        return [self.shell.json("machines", "show", name)["uuid"] for name in names]

    def away(self, *names: str) -> None:
        self.shell("machines", "poweroff", *names, "--yes", "--wait")
        self.shell("machines", "remove", *names, "--yes", "--wait")


@pytest.fixture(scope="module")
def site(tmp_path_factory, shared_host):
    directory = tmp_path_factory.mktemp("site")
    with (
        rig.libvirt_host("second") as second,
        served(
            directory,
            f"sqlite:///{directory}/ovcadmin.db",
            shared_host,
            viewer_listen=f"{LOOPBACK}:{free_port()}",
        ) as found,
    ):
        shell = shell_of(*found, tmp_path_factory.mktemp("home"))
        prepared(shell)
        made = Site(shell, shared_host, second)
        made.add_second()
        yield made
    shared_host.recover()


def _domains(host) -> list[str]:
    return host.virsh("list", "--all", "--uuid").split()


def _facts(text: str) -> dict[str, str]:
    """What virsh prints as `name: value`."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


# --- the bare stage ---
@pytest.mark.requirement(
    "KVM-54", "KVM-20", "KVM-21", "KVM-23", "KVM-24", "KVM-25", "KVM-26", "KVM-27", "KVM-28",
    "KVM-29", "KVM-30",
)  # fmt: skip
def test_the_bare_stage_by_commands_alone(site, tmp_path):
    """Resources, placement, power, drives, ISOs, taps and addresses."""
    shell, host = site.shell, site.first
    _skips_a_full_host(site)
    domains = dict(zip(("left", "right"), site.create("left", "right"), strict=True))
    _is_as_ordered(site, "left")
    _makes_nothing_without_room(site)
    _resources(site)
    _power(site, domains["left"])
    guests = {name: Guest(host, domain) for name, domain in domains.items()}
    for guest in guests.values():
        guest.run("true")  # a guest that boots lets no device go
    _drives(site)
    _isos(site, domains["left"], tmp_path / "tools.iso")
    try:
        _taps_and_addresses(shell, host, guests)
    finally:
        host.run("ip", "link", "delete", BRIDGE)
    running = shell.run("machines", "remove", "left", "--yes")
    assert (running.code, "running" in running.err) == (3, True)
    site.away("left", "right")
    assert not set(domains.values()) & set(_domains(host))
    assert not any(uuid in host.virsh("vol-list", LIBVIRT_POOL) for uuid in domains.values())
    kept = shell.json("audit", "list", "--kind", "machine")
    assert {"left", "right"} <= {row["object_name"] for row in kept}


def _skips_a_full_host(site: Site) -> None:
    shell = site.shell
    shell("hosts", "edit", site.name, "--memory-reserve", _memory(site, site.name))
    ask = ("pools", "placement", site.root, "--image", site.image, "--size", "tiny")
    fits = {one["host"]["name"]: one["fits"] for one in shell.json(*ask)["items"]}
    assert fits == {site.name: False, "second": True}
    shell("machines", "create", "roomy", *site.order, "--timeout", SECONDS)
    domain = shell.json("machines", "show", "roomy")["uuid"]
    assert (domain in _domains(site.first), domain in _domains(site.second)) == (False, True)
    shell("machines", "remove", "roomy", "--yes", "--wait")
    shell("hosts", "edit", site.name, "--memory-reserve", 0)


def _makes_nothing_without_room(site: Site) -> None:
    """Beside two guests of 128 MiB the first host has 44 MiB left, the second has none."""
    shell = site.shell
    shell("hosts", "edit", site.name, "--memory-reserve", _memory(site, site.name) - 300 * 1024)
    shell("hosts", "edit", "second", "--memory-reserve", _memory(site, "second"))
    before = [_everything(host) for host in (site.first, site.second)]
    refused = shell.run("machines", "create", "nowhere", *site.order)
    assert (refused.code, "44 MiB of 300 MiB memory free" in refused.err) == (3, True), refused.err
    assert [_everything(host) for host in (site.first, site.second)] == before
    assert "nowhere" not in [row["name"] for row in shell.json("machines", "list")]
    for name in (site.name, "second"):
        shell("hosts", "edit", name, "--memory-reserve", 0)


def _memory(site: Site, host: str) -> int:
    return site.shell.json("hosts", "show", host)["memory"]


def _everything(host) -> list[str]:
    """The domains and volumes of a host."""
    pools = host.virsh("pool-list", "--name").split()
    return [host.virsh("list", "--all"), *(host.virsh("vol-list", pool) for pool in pools)]


def _is_as_ordered(site: Site, name: str) -> None:
    """There is a domain with what the size says, made by an operation that is done."""
    shell, host = site.shell, site.first
    machine = shell.json("machines", "show", name)
    told = _facts(host.virsh("dominfo", machine["uuid"]))
    assert (told["State"], int(told["CPU(s)"])) == ("running", machine["vcpus"])
    assert int(told["Max memory"].split()[0]) == machine["memory"]
    size = re.search(r"Capacity: +(\d+)", host.virsh("domblkinfo", machine["uuid"], "vda"))
    assert int(size[1]) == machine["storage"]
    rows = shell.json("operations", "list", "--machine", name)
    assert {(row["type"], row["state"]) for row in rows} >= {("machine.create", "done")}


def _resources(site: Site) -> None:
    """What there is, is taken and is free: of the host, its storage and the whole cloud."""
    shell, virsh = site.shell, site.first.virsh
    host = shell.json("hosts", "show", site.name)
    assert host["cpus"] == int(_facts(virsh("nodeinfo"))["CPU(s)"])
    # Not that of nodeinfo: that adds up NUMA cells, which know less where memory was added later.
    (total,) = re.findall(r"total *: *(\d+) KiB", virsh("nodememstats"))
    assert host["memory"] == int(total)
    taken = [_facts(virsh("dominfo", name)) for name in virsh("list", "--name").split()]
    assert host["load"] == {
        "machines": len(taken),
        "vcpus": sum(int(one["CPU(s)"]) for one in taken),
        "memory": sum(int(one["Max memory"].split()[0]) for one in taken),
    }
    used = shell.json("pools", "quota", "show", site.root)["levels"][0]["used"]
    assert {name: used[name] for name in host["load"]} == host["load"]
    shell("storage", "refresh", site.store, "--wait")
    store = shell.json("storage", "show", site.store)
    pool = _facts(virsh("pool-info", LIBVIRT_POOL, "--bytes"))
    assert store["capacity"] == int(pool["Capacity"])
    assert store["available"] == pytest.approx(int(pool["Available"]), rel=0.05)


def _power(site: Site, domain: str) -> None:
    shell, host = site.shell, site.first
    number = host.virsh("domid", domain)
    shell("machines", "reset", "left", "--yes", "--wait")
    assert (host.virsh("domstate", domain), host.virsh("domid", domain)) == ("running", number)
    shell("machines", "poweroff", "left", "--yes", "--wait")
    assert host.virsh("domstate", domain) == "shut off"
    shell("machines", "start", "left", "--wait")
    assert host.virsh("domstate", domain) == "running"


def _drives(site: Site) -> None:
    """A volume appears with its size and goes; one in use stays."""
    shell, of = site.shell, ("--storage-pool", site.store)
    shell("volumes", "create", "data", "--size", "1GB", "--pool", site.root, *of, "--wait")
    volume = next(one for one in shell.json("volumes", "list", *of) if one["name"] == "data")
    (file,) = (path for path in (site.first.images / "volumes").iterdir() if "data" in path.name)
    assert (volume["size"], file.stat().st_size) == (10**9, whole_blocks(10**9))
    shell("machines", "add-drive", "left", "1GB", "--wait")
    held = shell.run("volumes", "delete", "data", *of, "--yes")
    assert (held.code, file.exists()) == (3, True)
    shell("machines", "remove-drive", "left", "vdb", "--keep", "--yes", "--wait")
    shell("volumes", "delete", "data", *of, "--yes", "--wait")
    assert not file.exists()


def _isos(site: Site, domain: str, iso: Path) -> None:
    """An ISO with size and checksum goes into the drive of a running guest and out of it."""
    shell = site.shell
    made = pycdlib.PyCdlib()
    made.new()
    made.write(str(iso))
    made.close()
    upload = ("--name", "Tools", "--kind", "iso", "--pool", site.root, "--wait")
    shell("images", "upload", iso, *upload)
    image = shell.json("images", "show", "Tools")
    assert (image["size"], image["checksum"]) == (
        iso.stat().st_size, hashlib.sha256(iso.read_bytes()).hexdigest(),
    )  # fmt: skip

    def in_the_drive() -> str:
        lines = site.first.virsh("domblklist", domain).splitlines()
        (line,) = (one for one in lines if one.split()[0] == "hda")
        return line.split()[1]

    shell("machines", "cdrom", "left", "--iso", "Tools", "--wait")
    assert Path(in_the_drive()).read_bytes() == iso.read_bytes()
    used = shell.run("images", "delete", "Tools", "--yes")
    assert (used.code, "left" in used.err) == (3, True)
    shell("machines", "cdrom", "left", "--eject", "--wait")
    assert in_the_drive() == "-"
    shell("images", "delete", "Tools", "--yes")
    assert "Tools" not in [row["name"] for row in shell.json("images", "list")]


def _taps_and_addresses(shell: Shell, host, guests: dict[str, Guest]) -> None:
    """Cards on a bridge are taps there, and send from the address that they were assigned."""
    host.run("ip", "link", "add", BRIDGE, "type", "bridge")
    host.run("ip", "link", "set", BRIDGE, "up")
    macs = {"left": "52:54:00:00:aa:01", "right": "52:54:00:00:aa:02"}
    for number, (name, mac) in enumerate(macs.items(), 1):
        card = ("--network", f"bridge:{BRIDGE}", "--mac", mac)
        shell("machines", "add-card", name, *card, "--wait")
        shell("machines", "assign-address", name, mac, f"10.98.0.{number}", "--wait")
        find = f"for i in /sys/class/net/*; do grep -q {mac} $i/address && echo ${{i##*/}}; done"
        link = guests[name].run(find)
        guests[name].run(f"ip link set {link} up; ip addr add 10.98.0.{number}/24 dev {link}")
        guests[name].run(f"ip addr add 10.98.0.{number + 10}/24 dev {link}")
    assert len(_taps(host)) == 2
    taken = shell.run("machines", "assign-address", "right", macs["right"], "10.98.0.1")
    assert (taken.code, "has the address 10.98.0.1" in taken.err) == (3, True)

    assert "52:54:00:00:aa:01" in host.run("ebtables", "-t", "nat", "-L")
    ask = "ping -c 2 -w 8 -I 10.98.0.{} 10.98.0.2 > /dev/null && echo heard || echo silence"
    assert guests["left"].run(ask.format(1)) == "heard"
    assert guests["left"].run(ask.format(11)) == "silence"
    shell("machines", "assign-address", "left", macs["left"], "none", "--wait")
    assert guests["left"].run(ask.format(11)) == "heard"

    for name, mac in macs.items():
        shell("machines", "remove-card", name, mac, "--yes", "--wait")
    assert _taps(host) == []


def _taps(host) -> list[str]:
    return host.run("ip", "-br", "link", "show", "master", BRIDGE).splitlines()


# --- the optimal stage ---
@pytest.mark.requirement("KVM-33", "KVM-34", "KVM-35", "KVM-36", "KVM-38")
def test_the_optimal_stage_by_commands_alone(site):
    """Clean shutdown, drives, swap, use of a volume, the screen, a larger disk, another host."""
    shell = site.shell
    (domain,) = site.create("mover")
    guest = Guest(site.first, domain)
    _more_drives(shell, guest)
    swap = _swap(site, guest)
    _use_of_a_volume(site, domain)
    _screen(shell, domain)

    _shuts_down(shell, site.first, domain, guest)
    size = shell.json("machines", "devices", "mover")["drives"][0]["size"] + 500 * MB
    shell("machines", "grow-drive", "mover", "vda", f"{size}B", "--wait")
    smaller = shell.run("machines", "grow-drive", "mover", "vda", f"{size - 100 * MB}B")
    assert (smaller.code, "only grow" in smaller.err) == (2, True), smaller.err

    told = shell.json("machines", "placement", "mover")["items"]
    assert {one["host"]["name"]: one["fits"] for one in told}["second"]
    shell("machines", "migrate", "mover", "--host", "second", "--wait", "--timeout", SECONDS)
    assert (domain in _domains(site.first), domain in _domains(site.second)) == (False, True)
    assert domain not in site.first.virsh("vol-list", LIBVIRT_POOL)
    shell("machines", "start", "mover", "--wait")
    there = Guest(site.second, domain)
    drives = {one["target"]: one for one in shell.json("machines", "devices", "mover")["drives"]}
    for target in ("vda", swap):
        assert _seen(there, target) == whole_blocks(drives[target]["size"])
    assert there.run(f"head -c 8192 /dev/{swap} | tr -d '\\0' | wc -c") == "0", "new, and empty"
    shell("machines", "remove-drive", "mover", swap, "--yes", "--wait")
    assert swap not in there.run("ls /sys/block").split()
    site.away("mover")


def _seen(guest: Guest, drive: str) -> int:
    """How many bytes the guest sees of a drive."""
    return 512 * int(guest.run(f"cat /sys/block/{drive}/size"))


def _more_drives(shell: Shell, guest: Guest) -> None:
    guest.run("true")
    shell("machines", "add-drive", "mover", "1GB", "--wait")
    (drive,) = [
        one for one in shell.json("machines", "devices", "mover")["drives"]
        if one["target"] == "vdb"
    ]  # fmt: skip
    assert _seen(guest, "vdb") == whole_blocks(drive["size"])
    shell("machines", "remove-drive", "mover", "vdb", "--yes", "--wait")
    assert "vdb" not in guest.run("ls /sys/block").split()


def _swap(site: Site, guest: Guest) -> str:
    """Add a swap disk, use it in the guest, grow it; its target."""
    shell = site.shell
    shell("machines", "add-drive", "mover", "64MB", "--swap", "--wait")
    (drive,) = [one for one in shell.json("machines", "devices", "mover")["drives"] if one["swap"]]
    target = drive["target"]
    guest.run(f"mkswap /dev/{target} > /dev/null && swapon /dev/{target}")
    assert target in guest.run("cat /proc/swaps")
    guest.run(f"swapoff /dev/{target}")
    shell("machines", "grow-drive", "mover", target, f"{2 * drive['size']}B", "--wait")
    wait_until(
        lambda: _seen(guest, target) == whole_blocks(2 * drive["size"]), "the size", 30
    )  # fmt: skip
    return target


def _use_of_a_volume(site: Site, domain: str) -> None:
    """What the guest read of its disk is kept, and never more than libvirt has counted."""
    shell = site.shell
    volume = shell.json("machines", "devices", "mover")["drives"][0]["volume"]

    def read() -> int:
        hours = shell.json("volumes", "usage", volume, "--storage-pool", site.store)
        return sum(hour["read"] or 0 for hour in hours)  # what nobody has measured yet is null

    told = wait_until(read, "what was read", 90)
    counters = site.first.virsh("domblkstat", domain, "vda")
    assert 0 < told <= int(re.search(r"rd_bytes (\d+)", counters)[1])


def _screen(shell: Shell, domain: str) -> None:
    """remote-viewer gets a file that names the console; QEMU listens on the host itself only."""
    file = shell("console", "mover", "--viewer").out
    told = dict(line.split("=", 1) for line in file.splitlines() if "=" in line)
    assert told["type"] == "vnc"
    with socket.create_connection((told["host"], int(told["port"])), 20) as line:
        assert line.recv(12) == b"RFB 003.008\n"
    qemu = next(
        one for one in psutil.process_iter(["cmdline"])
        if domain in " ".join(one.info["cmdline"] or ()) and "-vnc" in one.info["cmdline"]
    )  # fmt: skip
    listening = {one.laddr.ip for one in qemu.net_connections() if one.status == "LISTEN"}
    assert listening <= {"127.0.0.1"}


def _shuts_down(shell: Shell, host, domain: str, guest: Guest) -> None:
    """A deaf guest goes on running, with a message; one that hears is off."""
    guest.run("kill -STOP $(cat /tmp/acpid.pid)")
    shell("machines", "edit", "mover", "--shutdown-seconds", 3)
    late = shell.run("machines", "shutdown", "mover", "--wait")
    assert (late.code, host.virsh("domstate", domain)) == (1, "running")
    assert "guest.timeout" in late.err
    guest.run("kill -CONT $(cat /tmp/acpid.pid)")
    wait_until(lambda: host.virsh("domstate", domain) == "shut off", "the guest", 60)
    wait_until(lambda: shell.json("machines", "show", "mover")["shown"] == "stopped", "that", 30)
    shell("machines", "start", "mover", "--wait")
    Guest(host, domain).run("true")
    shell("machines", "edit", "mover", "--shutdown-seconds", 0)
    shell("machines", "shutdown", "mover", "--wait", "--timeout", SECONDS)
    assert host.virsh("domstate", domain) == "shut off"

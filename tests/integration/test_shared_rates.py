"""A pool's limits shared by its machines on a real host: divided, in the XML, and measured.

What a guest sends is limited by a policer, which the kernel of a test's machine need not have: only
what a guest receives is limited and measured.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovcadmin.domain.rates import Rates
from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor.base import VirtType
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.models import Machine, OperationState
from ovcadmin.services import drives, machines, measurements, pools, rates
from tests import rig
from tests.integration.test_cpu_limits import busy
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.guest import Guest

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def made(tmp_path: Path, sqlite_url: str, starter_image: Path) -> Iterator[Cloud]:
    with (
        rig.libvirt_host("shared", limits_cpu=True) as host,
        cloud(tmp_path, sqlite_url, host, starter_image) as found,
    ):
        _network(host)
        found.worker()
        found.ready()
        yield found


BRIDGE = "meter"
PLAIN_TC = """#!/bin/sh
# Small kernels lack fair queues, classifiers by mark and policers; the class that limits is enough.
case " $* " in *" filter "*|*" ingress "*|*" ffff: "*) exit 0;; esac
exec {real} $(echo "$*" | sed 's/ sfq .*/ pfifo/')
"""
FLOOD = """
import socket, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    for _ in range(12):
        out.sendto(bytes(1250), ("10.97.0.2", 9))
    time.sleep(0.01)
"""


def _network(host: LibvirtHost) -> None:
    """A bridge of the host, and a `tc` that gets along with a small kernel."""
    real, plain = host.directory / "tc.real", host.directory / "tc"
    found = shutil.which("tc", path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert found
    shutil.copy(found, real)
    plain.write_text(PLAIN_TC.format(real=real))
    plain.chmod(0o755)
    host.run("mount", "--bind", str(plain), str(Path(found).resolve()))
    host.run("ip", "link", "add", BRIDGE, "type", "bridge")
    host.run("ip", "addr", "add", "10.97.0.1/24", "dev", BRIDGE)
    host.run("ip", "link", "set", BRIDGE, "up")


def connected(made: Cloud, machine_id: int) -> str:
    """Give the machine a card on the bridge; its MAC."""
    with made.work(write=True) as work:
        machine = machines.get(work, machine_id)
        operation = drives.add_card(work, machine, network=f"bridge:{BRIDGE}").id
    ended = made.ended(operation)
    assert ended.state == OperationState.DONE, ended.error_text
    with made.work() as work:
        (mac,) = (nic.mac for nic in machines.get(work, machine_id).nics if nic.network)
        return str(mac)


def receives(made: Cloud, domain: str, mac: str) -> float:
    """Bytes a second that the guest is handed while 1.5 MB a second are sent to it."""
    lines = made.host.virsh("domiflist", domain).splitlines()
    (card,) = (line.split()[0] for line in lines if mac in line)
    counter = f"/sys/class/net/{card}/statistics/tx_bytes"
    made.host.run("ip", "neigh", "replace", "10.97.0.2", "lladdr", mac, "dev", BRIDGE)
    sender = subprocess.Popen(made.host.within(sys.executable, "-c", FLOOD))
    try:
        time.sleep(1)  # a queue fills before it limits
        before, begun = int(made.host.run("cat", counter)), time.monotonic()
        time.sleep(2)  # what is measured is the time
        after, end = int(made.host.run("cat", counter)), time.monotonic()
    finally:
        sender.kill()
        sender.wait(10)
    return (after - before) / (end - begun)


def inbound(made: Cloud, domain: str) -> list[int]:
    """KiB a second to each card, by the XML of the running guest."""
    text = made.host.virsh("dumpxml", domain)
    return [int(one) for one in re.findall(r"<inbound average='(\d+)'", text)]


def limit(made: Cloud, **limits: int) -> None:
    with made.work(write=True) as work:
        rates.set_rates(work, pools.root(work), Rates(**limits))


def given(made: Cloud, domain: str, *options: str) -> tuple[int, int, int]:
    """CPU quota in microseconds, bytes and operations a second, by the XML of the domain."""
    text = made.host.virsh("dumpxml", domain, *options)
    found = [re.search(rf"<{name}>(-?\d+)</{name}>", text) for name in NAMES]
    return tuple(int(one[1]) if one else 0 for one in found)  # type: ignore[return-value]


KIB = 1024
NAMES = ("global_quota", "total_bytes_sec", "total_iops_sec")


def gets(made: Cloud, domain: str, *wanted: int) -> None:
    """Wait until the running guest and its definition have these."""
    for options in ((), ("--inactive",)):
        wait_until(
            lambda options=options: given(made, domain, *options) == wanted,  # type: ignore[misc]
            f"{domain} with {wanted}",
            60,
        )


def figures_are_those_of_libvirt(made: Cloud, machine: Machine) -> None:
    """The counters are those of `virsh domstats`, and the series is made of them."""
    host = LibvirtHypervisor("kvm-a", made.host.uri, deadline=5, virt_type=VirtType.QEMU)
    before = domstats(made, machine.domain_name)
    told = host.guests()[machine.uuid]
    after = domstats(made, machine.domain_name)
    host.close()
    for name, low in before.items():
        assert low <= getattr(told, name) <= after[name], name
    assert told.received > 1500 * KIB
    assert told.read > 1500 * KIB

    def measured() -> bool:
        with made.work() as work:
            rows = measurements.series(work, "machine", machine.id)
        most = max((row.received for row in rows), default=0)
        return 50 * KIB < most < 2000 * KIB and any(row.read > 0 for row in rows)

    wait_until(measured, "the network and the disk in the series", 30)


def domstats(made: Cloud, domain: str) -> dict[str, int]:
    """What `virsh domstats` tells of all cards and drives together."""
    text = made.host.virsh("domstats", "--interface", "--block", domain)
    kinds = {"received": "rx", "sent": "tx", "read": "rd", "written": "wr"}
    return {
        name: sum(int(one) for one in re.findall(rf"\.{short}\.bytes=(\d+)", text))
        for name, short in kinds.items()
    }


@pytest.mark.requirement("OVT-64", "KVM-46")
def test_two_machines_share_and_the_measured_rate_follows(made: Cloud) -> None:
    first = made.machine(made.made("web01", start=True))
    second = made.machine(made.made("web02", start=True))
    guest = Guest(made.host, first.domain_name)
    mac = connected(made, first.id)
    guest.run(f"until grep -q {mac} /sys/class/net/*/address; do sleep 1; done")
    guest.run(f"ip link set $(grep -l {mac} /sys/class/net/*/address | cut -d/ -f5) up")
    connected(made, second.id)
    assert receives(made, first.domain_name, mac) > 900_000
    guest.run("(while :; do :; done) & true")
    limit(made, cpu=20, byte_rate=8_000_000, iops=300, receive=400 * KIB)
    for machine in (first, second):
        gets(made, machine.domain_name, 10_000, 4_000_000, 150)
    assert busy(first.uuid) < 0.15
    wait_until(lambda: inbound(made, first.domain_name) == [200], "half of the network", 60)
    assert 120 * KIB < receives(made, first.domain_name, mac) < 280 * KIB
    made.act(second.id, Action.POWER_OFF)
    made.settled(second.id)
    gets(made, first.domain_name, 20_000, 8_000_000, 300)
    assert 0.15 < busy(first.uuid) < 0.28
    wait_until(lambda: inbound(made, first.domain_name) == [400], "the whole of it", 60)
    assert 300 * KIB < receives(made, first.domain_name, mac) < 500 * KIB
    figures_are_those_of_libvirt(made, first)
    # It starts with what it had, and both share again.
    made.act(second.id, Action.START)
    made.settled(second.id)
    gets(made, first.domain_name, 10_000, 4_000_000, 150)
    gets(made, second.domain_name, 10_000, 4_000_000, 150)
    limit(made)
    wait_until(lambda: given(made, first.domain_name)[1:] == (0, 0), "no limits", 60)
    wait_until(lambda: given(made, first.domain_name)[0] <= 0, "no CPU limit", 60)

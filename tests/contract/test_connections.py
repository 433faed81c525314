"""A host's connections on a real daemon: one for each call, given up and given back."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path
from threading import Barrier

from ovcadmin.drivers.hypervisor.connection import Lane, Link
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from tests.contract.conftest import DEADLINE, Console, until
from tests.rig.base import ROOT

WAITING = """
    import sys
    from ovcadmin import green
    green.patch()
    from ovcadmin.drivers.hypervisor.connection import Lane
    from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
    from ovcadmin.errors import HostUnresponsive

    host = LibvirtHypervisor("kvm-a", sys.argv[1], deadline=40)  # a dead line is noticed in 15 s
    link = host.link(Lane.READ)
    pause = green.native("time", "sleep")
    for call in [link.start(lambda _conn: pause(1)) for _ in range(3)]:
        link.threads.result(call, deadline=5)
    ended = []

    def ask():
        try:
            ended.append(str(host.states()))
        except HostUnresponsive as error:
            ended.append("broke" if "broke" in error.text else error.text)

    def three():
        ended.clear()
        for _ in range(3):
            green.background(ask)
        while len(ended) < 3:
            green.sleep(0.01)
        print(*ended, flush=True)
        sys.stdin.readline()  # the daemon was frozen, or goes on

    for _ in range(3):
        three()
"""


def test_fault_36_calls_that_wait_when_a_connection_is_given_up_end_and_nothing_else_does(
    libvirt_host,
):
    """Two of them on one connection would make libvirt's client kill the process."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WAITING), libvirt_host.uri],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip

    def said() -> str:
        return process.stdout.readline()

    def go_on() -> None:
        process.stdin.write("\n")
        process.stdin.flush()

    assert said() == "{} {} {}\n"
    libvirt_host.freeze()
    go_on()
    assert said() == "broke broke broke\n"
    libvirt_host.thaw()
    go_on()
    assert said() == "{} {} {}\n"
    assert process.communicate("\n", timeout=20) == ("", "")
    assert process.returncode == 0


def used(link: Link, at_once: int) -> list[int]:
    """Which connections so many calls have."""
    together = Barrier(at_once)
    calls = [link.start(lambda conn: (together.wait(5), id(conn))[1]) for _ in range(at_once)]
    return [link.threads.result(call, deadline=10) for call in calls]


def test_calls_at_the_same_time_have_a_connection_each_and_later_ones_use_them_again(libvirt_host):
    link = Link("kvm-a", libvirt_host.uri, Lane.READ)
    (first,) = used(link, 1)
    three = used(link, 3)
    assert len({*three}) == 3
    assert first in three
    assert {*used(link, 2)} < {*three}
    assert used(link, 1) == [first]
    link.close()


def test_connections_that_were_not_needed_are_closed(libvirt_host):
    link = Link("kvm-a", libvirt_host.uri, Lane.READ, spare_seconds=0)
    (first,) = used(link, 1)
    before = descriptors()
    used(link, 3)
    assert used(link, 1) == [first]
    until(lambda: descriptors() == before, "the end of the spare ones")
    link.close()


def test_connections_and_consoles_leave_nothing_behind(libvirt_host, hypervisor, machines_of):
    uuid = machines_of(hypervisor).running()
    hypervisor.close()
    before = descriptors()
    streams = []
    for _ in range(10):
        host = LibvirtHypervisor("kvm-a", libvirt_host.uri, deadline=DEADLINE)
        host.subscribe(lambda _event: None)
        host.states()
        console = Console(host, uuid)
        console.stream.close()
        host.close()
        until(lambda console=console: console.ended, "the end")
        streams.append(weakref.ref(console.stream))
    del console
    until(lambda: descriptors() <= before, "the descriptors' return")
    gc.collect()
    assert [stream() for stream in streams] == [None] * 10


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))

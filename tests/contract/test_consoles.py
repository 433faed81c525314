"""Consoles on hosts that hang and guests that do not listen, on real daemons."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovcadmin import green
from ovcadmin.drivers.hypervisor.base import ConsoleEnd
from ovcadmin.errors import HostUnreachable
from tests.contract.conftest import DEADLINE, Console, timed, until


def test_fault_36_a_console_says_when_its_host_is_lost(libvirt_host, hypervisor, machines_of):
    console = Console(hypervisor, machines_of(hypervisor).running())
    libvirt_host.kill_daemon()
    until(lambda: console.ended, "the end")
    assert console.ended == [ConsoleEnd.LOST]


def test_fault_36_opening_a_console_on_a_hung_host_fails_by_its_deadline(
    libvirt_host, hypervisor, machines_of
):
    uuid = machines_of(hypervisor).running()
    console = Console(hypervisor, uuid)
    libvirt_host.freeze()
    with timed() as took, pytest.raises(HostUnreachable):
        Console(hypervisor, uuid)
    assert took[0] < DEADLINE + 2
    with timed() as took:
        console.stream.write(b"x" * 100_000)
        console.stream.close()
        until(lambda: console.ended, "the end")
    assert console.ended == [ConsoleEnd.CLOSED]


def test_fault_27_a_console_that_is_paused_for_long_costs_no_memory_and_stays_open(
    hypervisor, machines_of
):
    """The daemon gives up a line that is silent for 30 s; libvirt's client reads all that comes."""
    console = Console(hypervisor, machines_of(hypervisor).running(bootable=True))
    console.prompt()
    console.pauses = [50_000]
    console.type("yes 0123456789012345678901234567890123456789012345678901234567890123456789")
    until(lambda: console.paused, "the pause", 60)
    before = resident()
    green.sleep(35)
    assert resident() - before < 3 * 2**20
    assert console.ended == []
    shown = len(console.text)
    console.go_on()
    until(lambda: len(console.text) > shown + 1000, "more output")
    console.stream.close()


def test_a_paste_for_a_guest_that_does_not_read_holds_up_nobody(hypervisor, machines_of):
    """Fault 30: five unread messages would make the daemon deaf on a connection that is shared."""
    machines = machines_of(hypervisor)
    deaf, other = machines.running(), machines.running()
    pasted, idle = Console(hypervisor, deaf), Console(hypervisor, other)
    hypervisor.suspend(deaf)
    pasted.stream.write(b"x" * 2**20)
    for _ in range(10):
        with timed() as took:
            hypervisor.states()
            hypervisor.reset(other)
        assert took[0] < DEADLINE
        green.sleep(0.2)
    assert idle.ended == []
    pasted.stream.write(b"x" * 2**22)
    until(lambda: pasted.ended, "the end of the deaf one")
    assert pasted.ended == [ConsoleEnd.DEAF]
    idle.stream.close()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

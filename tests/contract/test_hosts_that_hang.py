"""Fault 36: hosts that hang, vanish, refuse and come back, on real daemons."""

from __future__ import annotations

import gc
import signal
import socket
import statistics
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ovcadmin import green
from ovcadmin.drivers.hypervisor.base import PowerState, VirtType
from ovcadmin.drivers.hypervisor.connection import THREADS, Lane
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.errors import HostUnreachable, HostUnresponsive, HypervisorFailed
from tests import rig
from tests.contract.conftest import DEADLINE, Console, timed, until
from tests.rig.base import ROOT


@pytest.fixture(scope="module")
def other_host():
    with rig.libvirt_host("other") as host:
        yield host


@pytest.fixture
def other(other_host):
    host = LibvirtHypervisor("kvm-b", other_host.uri, deadline=DEADLINE, virt_type=VirtType.QEMU)
    yield host
    host.close()


def native_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_fault_36_a_call_to_a_hung_daemon_fails_by_its_deadline(libvirt_host, hypervisor):
    hypervisor.states()
    libvirt_host.freeze()
    with timed() as took, pytest.raises(HostUnresponsive, match="kvm-a did not answer within"):
        hypervisor.states()
    assert DEADLINE <= took[0] < DEADLINE + 1


def test_fault_36_a_hung_daemon_slows_no_other_host(libvirt_host, hypervisor, other):
    hypervisor.states()
    other.states()
    libvirt_host.freeze()
    failed = []

    def suffer() -> None:
        try:
            hypervisor.states()
        except HostUnresponsive as error:
            failed.append(error)

    for _ in range(40):
        green.background(suffer)
    waits = []
    while len(failed) < 40:
        with timed() as took:
            other.states()
        waits += took
        green.sleep(0.02)
    assert len(waits) > 20
    assert statistics.median(waits) < 0.1


def test_fault_36_many_calls_to_a_hung_daemon_cost_few_threads_and_then_fail_at_once(
    libvirt_host, hypervisor
):
    hypervisor.states()
    before = native_threads()
    libvirt_host.freeze()
    most = before
    end = time.monotonic() + 12
    waits = []
    while time.monotonic() < end:
        with timed() as took, pytest.raises(HostUnresponsive):
            hypervisor.states()
        waits += took
        most = max(most, native_threads())
        green.sleep(0.1)
    size, ceiling = THREADS[Lane.READ]
    # The lane's threads, those set aside, and those that try to open a new connection.
    assert most <= before + size + ceiling + 3
    assert max(waits) < DEADLINE + 1
    assert sum(wait < 0.1 for wait in waits) > len(waits) / 2
    libvirt_host.thaw()
    until(lambda: native_threads() <= before, "the threads' return")


def test_fault_36_a_host_that_goes_on_answers_again(libvirt_host, hypervisor, machines_of):
    uuid = machines_of(hypervisor).defined()
    libvirt_host.freeze()
    for _ in range(4):
        with pytest.raises(HostUnresponsive):
            hypervisor.states()
    libvirt_host.thaw()
    until(lambda: answers(hypervisor), "an answer", 15)
    assert list(hypervisor.states()) == [uuid]


def test_fault_36_the_event_stream_survives_a_hang(libvirt_host, hypervisor, machines_of):
    """Longer than keepalive bears, so the connection is given up and opened again."""
    heard = []
    hypervisor.subscribe(heard.append)
    uuid = machines_of(hypervisor).defined()
    until(lambda: "defined" in kinds(heard), "an event")
    libvirt_host.freeze()
    until(lambda: "closed" in kinds(heard), "the end of the connection", 25)
    libvirt_host.thaw()
    heard.clear()
    until(lambda: "connected" in kinds(heard), "a new connection", 20)
    libvirt_host.virsh("start", hypervisor.state(uuid).name)
    until(lambda: "started" in kinds(heard), "an event")


def test_fault_36_after_a_restart_of_the_daemon_events_flow_again(
    libvirt_host, hypervisor, machines_of
):
    heard = []
    hypervisor.subscribe(heard.append)
    uuid = machines_of(hypervisor).running()
    until(lambda: "started" in kinds(heard), "an event")
    libvirt_host.kill_daemon()
    until(lambda: "closed" in kinds(heard), "word of the break")
    heard.clear()
    libvirt_host.start_daemon()
    until(lambda: "connected" in kinds(heard), "a new connection", 20)
    assert hypervisor.state(uuid).power is PowerState.RUNNING
    libvirt_host.virsh("suspend", hypervisor.state(uuid).name)
    until(lambda: ("suspended", uuid) in [(e.kind, e.uuid) for e in heard], "an event")


def test_fault_36_a_black_holed_address_fails_in_seconds_and_then_at_once(black_hole):
    host = LibvirtHypervisor("lost", black_hole, deadline=DEADLINE)
    before = native_threads()
    with timed() as took, pytest.raises(HostUnreachable, match="lost can be opened"):
        host.states()
    assert took[0] < 10
    with timed() as took, pytest.raises(HostUnreachable):
        host.states()
    assert took[0] < 1
    for _ in range(5):
        with pytest.raises(HostUnreachable):
            host.states()
        green.sleep(1)
    assert native_threads() <= before + 3
    host.close()


def test_fault_36_a_refused_connection_fails_at_once_with_the_reason():
    host = LibvirtHypervisor("gone", "qemu+tcp://127.0.0.1:1/system", deadline=DEADLINE)
    with timed() as took, pytest.raises(HostUnreachable, match="refused"):
        host.states()
    assert took[0] < 5
    host.close()


def test_fault_36_a_guest_that_hangs_makes_no_host_silent(libvirt_host, hypervisor, machines_of):
    machines = machines_of(hypervisor)
    hung, well = machines.running(), machines.running()
    with stopped(libvirt_host, hypervisor.state(hung).name):
        for _ in range(6):
            with pytest.raises(HostUnresponsive):
                hypervisor.suspend(hung)
            with timed() as took:
                assert hypervisor.states()[hung].power is PowerState.RUNNING
            assert took[0] < 1
        until(lambda: acts(lambda: hypervisor.suspend(well)), "the other guest's turn", 15)
        assert hypervisor.state(well).power is PowerState.PAUSED


def test_fault_36_an_error_that_is_dropped_late_waits_for_no_hung_host(
    libvirt_host, hypervisor, machines_of
):
    """Its traceback holds a domain, and that a connection, whose end would ask the daemon."""
    uuid = machines_of(hypervisor).defined()
    kept = []
    for _ in range(3):
        with pytest.raises(HypervisorFailed, match="not running") as refused:
            Console(hypervisor, uuid)
        kept.append(refused.value)
    del refused
    libvirt_host.freeze()
    with timed() as took:
        kept.clear()
        gc.collect()
    assert took[0] < 5, "a hung host would hold it up for longer"


PATCHED = """
    import sys
    from ovcadmin import green
    green.patch()
    import time
    from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
    from ovcadmin.errors import HostUnresponsive

    uri, name, uuid = sys.argv[1:]
    host = LibvirtHypervisor("kvm-a", uri, deadline=1.5)
    gaps, heard, text = [], [], bytearray()

    def tick():
        while True:
            begun = time.monotonic()
            time.sleep(0.01)
            gaps.append(time.monotonic() - begun - 0.01)

    green.background(tick)
    host.subscribe(heard.append)
    host.start(uuid)
    console = host.open_console(uuid, on_data=text.extend, on_close=heard.append)
    console.write(b"x")
    print("ready", flush=True)
    sys.stdin.readline()  # the daemon is frozen now
    gaps.clear()
    try:
        host.states()
    except HostUnresponsive as error:
        print(type(error).__name__, max(gaps) < 0.5, "started" in [e.kind for e in heard])
    host.close()
"""


def test_all_of_it_works_in_a_patched_process(libvirt_host, hypervisor, machines_of):
    uuid = machines_of(hypervisor).defined()
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PATCHED), libvirt_host.uri, "kvm-a", uuid],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    libvirt_host.freeze()
    said, complained = process.communicate("\n", timeout=20)
    assert (said, complained) == ("HostUnresponsive True True\n", "")


# What the tests need


def kinds(heard) -> list[str]:
    return [event.kind for event in heard]


def answers(hypervisor) -> bool:
    return acts(hypervisor.states)


def acts(call) -> bool:
    try:
        call()
    except HostUnresponsive:
        return False
    return True


@contextmanager
def stopped(libvirt_host, name):
    """A guest whose QEMU hangs."""
    pid_file = libvirt_host.directory / f"run/qemu/{name}.pid"
    assert pid_file.exists()
    process = rig_process(libvirt_host, name)
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def rig_process(libvirt_host, name):
    """The guest's QEMU, by its number outside the host's namespace."""
    return next(
        process
        for process in psutil.process_iter(["cmdline"])
        if any(f"guest={name}," in word for word in process.info["cmdline"] or ())
    )


@pytest.fixture
def black_hole():
    """An address that answers no SYN: a listener whose queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        queued = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            queued.append(client)
        yield f"qemu+tcp://127.0.0.1:{port}/system"
        for client in queued:
            client.close()

"""The hypervisor contract: one suite for the host in memory and a real libvirtd with QEMU."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from uuid import uuid4

import pytest

from ovcadmin import green
from ovcadmin.drivers.hypervisor.base import ConsoleEnd, DiskSpec, PowerState, VirtType
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.drivers.hypervisor.xml import read
from ovcadmin.errors import DomainMissing, HypervisorFailed
from tests.contract.conftest import PROMPT, Console, Machines, until
from tests.rig.hypervisor import ENTER

STOP_SECONDS = 10


def test_a_host_says_what_it_is(host):
    facts = host.facts()
    assert facts.cpus >= 1
    assert facts.memory > 2**20
    assert facts.virt_type is VirtType.QEMU
    assert facts.virt_note
    assert all((facts.hostname, facts.uuid, facts.arch, facts.libvirt_version, facts.qemu_version))
    assert facts.qemu_version.count(".") == 2
    assert not facts.session


def test_a_host_finds_out_what_really_boots_guests(libvirt_host):
    """/dev/kvm proves nothing: a probe guest does, and it is gone afterwards."""
    host = LibvirtHypervisor("kvm-a", libvirt_host.uri)
    facts = host.facts()
    word = "Hardware KVM" if facts.virt_type is VirtType.KVM else "Emulation (TCG)"
    assert facts.virt_note.startswith(word)
    assert host.states() == {}
    assert libvirt_host.virsh("list", "--all") == ""
    assert host.facts() == facts
    host.close()


def test_a_setting_decides_what_boots_guests(libvirt_host):
    host = LibvirtHypervisor("kvm-a", libvirt_host.uri, virt_type=VirtType.KVM)
    facts = host.facts()
    assert facts.virt_type is VirtType.KVM
    assert "by the host's setting" in facts.virt_note
    host.close()


def test_a_disk_where_direct_io_does_not_work_goes_through_the_cache(
    libvirt_hypervisor, libvirt_host
):
    """Some file systems know no O_DIRECT; one that is in memory only is such a one."""
    folder = libvirt_host.images / "ram"
    folder.mkdir()
    inside = ["nsenter", *ENTER, f"--target={libvirt_host._init.pid}"]
    subprocess.run([*inside, "mount", "-t", "ramfs", "ramfs", folder], check=True)
    subprocess.run([*inside, "truncate", "-s", "1M", folder / "disk"], check=True)
    machines = Machines(libvirt_hypervisor, None, None)
    disk = DiskSpec(source=str(folder / "disk"), target="vda")
    uuid = machines.running(disks=(disk,))
    assert machines.power(uuid) is PowerState.RUNNING
    libvirt_hypervisor.destroy(uuid)
    subprocess.run([*inside, "umount", folder], check=True)


def test_a_defined_machine_is_listed_shut_off(host, machines):
    spec = machines.spec()
    host.define(spec)
    state = host.state(spec.uuid)
    assert (state.name, state.power) == (spec.name, PowerState.SHUTOFF)
    assert host.states()[spec.uuid] == state


def test_defining_again_changes_the_machine_and_makes_no_second(host, machines):
    spec = machines.spec()
    host.define(spec)
    host.define(replace(spec, memory=64 * 1024, title="Renamed"))
    assert [s.uuid for s in host.states().values()] == [spec.uuid]
    root = read(host.xml(spec.uuid))
    assert root.findtext("title") == "Renamed"
    assert root.findtext("memory") == str(64 * 1024)


def test_a_name_that_is_taken_on_the_host_is_refused(host, machines):
    spec = machines.spec()
    host.define(spec)
    with pytest.raises(HypervisorFailed):
        host.define(replace(spec, uuid=str(uuid4())))
    assert list(host.states()) == [spec.uuid]


def test_fault_34_a_title_of_markup_stays_a_title(host, machines):
    title = "</title><qemu:commandline><arg value='-x'/></qemu:commandline> & ]]> \U0001f5fb"
    spec = machines.spec(title=title)
    host.define(spec)
    root = read(host.xml(spec.uuid))
    assert root.findtext("title") == title
    assert "commandline" not in [element.tag for element in root.iter()]


def test_fault_34_a_title_that_xml_cannot_carry_is_cleaned(host, machines):
    spec = machines.spec(title="one\ntwo\x00\x1b[31m\ud800")
    host.define(spec)
    assert read(host.xml(spec.uuid)).findtext("title") == "one\ufffdtwo\ufffd\ufffd[31m\ufffd"


def test_starting_and_powering_off(host, machines):
    uuid = machines.running()
    assert machines.power(uuid) is PowerState.RUNNING
    host.destroy(uuid)
    assert machines.power(uuid) is PowerState.SHUTOFF


def test_suspending_and_resuming(host, machines):
    uuid = machines.running()
    host.suspend(uuid)
    assert machines.power(uuid) is PowerState.PAUSED
    host.resume(uuid)
    assert machines.power(uuid) is PowerState.RUNNING


def test_saving_and_restoring(host, machines):
    uuid = machines.running()
    host.save(uuid)
    assert machines.power(uuid) is PowerState.SAVED
    assert host.states()[uuid].power is PowerState.SAVED
    host.start(uuid)
    assert machines.power(uuid) is PowerState.RUNNING


def test_a_reset_keeps_it_running(host, machines):
    uuid = machines.running()
    host.reset(uuid)
    assert machines.power(uuid) is PowerState.RUNNING


def test_asking_for_a_state_that_is_there_succeeds(host, machines):
    uuid = machines.defined()
    for verb in (host.destroy, host.shutdown):
        verb(uuid)
    for verb in (host.start, host.start, host.resume, host.suspend, host.suspend, host.resume):
        verb(uuid)
    assert machines.power(uuid) is PowerState.RUNNING
    host.save(uuid)
    host.save(uuid)
    assert machines.power(uuid) is PowerState.SAVED


@pytest.mark.parametrize("verb", ["suspend", "resume", "save", "reset", "reboot"])
def test_what_needs_a_running_machine_is_refused_on_one_that_is_off(host, machines, verb):
    uuid = machines.defined()
    with pytest.raises(HypervisorFailed, match=r"not running"):
        getattr(host, verb)(uuid)
    assert machines.power(uuid) is PowerState.SHUTOFF


VERBS = ["xml", "start", "shutdown", "destroy", "reset", "reboot", "suspend", "resume", "save"]


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_machine_is_missing(host, verb):
    with pytest.raises(DomainMissing):
        getattr(host, verb)(str(uuid4()))


def test_the_state_of_an_unknown_machine_is_none_and_removing_it_succeeds(host):
    uuid = str(uuid4())
    assert host.state(uuid) is None
    host.undefine(uuid)


def test_a_saved_machine_is_removed_with_its_memory(host, machines):
    spec = machines.spec()
    host.define(spec)
    host.start(spec.uuid)
    host.save(spec.uuid)
    host.undefine(spec.uuid)
    assert host.state(spec.uuid) is None
    host.define(spec)
    assert machines.power(spec.uuid) is PowerState.SHUTOFF


def test_a_running_machine_is_not_removed(host, machines):
    uuid = machines.running()
    with pytest.raises(HypervisorFailed, match="still runs"):
        host.undefine(uuid)
    assert machines.power(uuid) is PowerState.RUNNING


def test_what_happens_is_told_within_a_second(host, machines):
    heard = []
    host.subscribe(heard.append)
    uuid = machines.defined()
    for verb, kind in (
        (host.start, "started"),
        (host.suspend, "suspended"),
        (host.resume, "resumed"),
        (host.destroy, "stopped"),
        (host.undefine, "undefined"),
    ):
        heard.clear()
        verb(uuid)
        until(lambda kind=kind: [e for e in heard if (e.kind, e.uuid) == (kind, uuid)], kind)


def test_after_close_nothing_is_told(host, machines):
    heard = []
    host.subscribe(heard.append)
    uuid = machines.defined()
    until(lambda: heard, "an event")
    host.close()
    heard.clear()
    host.undefine(uuid)
    green.sleep(0.3)
    assert heard == []


@pytest.fixture
def console(host, machines):
    """The console of a booted machine, at its prompt."""
    uuid = machines.running(bootable=True)
    console = Console(host, uuid)
    console.prompt()
    console.uuid = uuid
    yield console
    console.stream.close()


def test_a_console_answers_and_echoes_keys(console):
    assert "Linux" in console.answers("uname -a")
    console.stream.write(b"echo hal")
    until(lambda: b"echo hal" in console.text, "the echo")


def test_a_paused_console_says_nothing_and_then_misses_nothing(console):
    """Fault 27: a megabyte of output with a reader that stops twice in between."""
    last = 160_000
    console.pauses = [100_000, 400_000]
    console.type(f"seq 1 {last}")
    for _ in range(2):
        until(lambda: console.paused, "the pause", 60)
        silent = len(console.text)
        green.sleep(1)
        assert len(console.text) == silent
        console.go_on()
    until(lambda: PROMPT in console.text[-64:], "the end", 100)
    lines = console.text.split(b"\r\n")
    numbers = [int(line) for line in lines if line.isdigit()]
    assert numbers == list(range(1, last + 1))
    assert len(console.text) > 2**20


def test_a_guest_shuts_down_by_the_power_button_and_its_console_ends(console, host, machines):
    host.shutdown(console.uuid)
    off = PowerState.SHUTOFF
    until(lambda: machines.power(console.uuid) is off, "the end", 60)
    until(lambda: console.ended, "the console's end", STOP_SECONDS)
    assert console.ended == [ConsoleEnd.STOPPED]


def test_who_opens_a_console_takes_it_over(host, machines):
    uuid = machines.running()
    first = Console(host, uuid)
    second = Console(host, uuid)
    until(lambda: first.ended, "the end of the first")
    assert first.ended == [ConsoleEnd.TAKEN_OVER]
    assert second.ended == []
    second.stream.close()


def test_closing_a_console_ends_it_once(host, machines):
    console = Console(host, machines.running())
    console.stream.close()
    console.stream.close()
    until(lambda: console.ended, "the end")
    green.sleep(0.2)
    assert console.ended == [ConsoleEnd.CLOSED]
    console.stream.write(b"nobody hears this")


def test_a_console_of_a_machine_that_is_off_is_refused(host, machines):
    uuid = machines.defined()
    with pytest.raises(HypervisorFailed, match="not running"):
        Console(host, uuid)

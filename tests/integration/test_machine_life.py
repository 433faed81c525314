"""The life of machines on a real host, checked by virsh and inside the guest."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ovcadmin.domain.states import Action
from ovcadmin.models import OperationState
from ovcadmin.services import (
    bins,
    clones,
    images,
    machine_edits,
    machines,
    pools,
    quota_check,
    sizes,
)
from ovcadmin.services.machine_edits import Edit
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.guest import Guest

pytestmark = pytest.mark.timeout(400)
"""Guests boot, several times, beside other work."""


@pytest.fixture
def made(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> Iterator[Cloud]:
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image, shutdown_seconds=20) as found:
        found.worker()
        found.ready()
        yield found


def done(made: Cloud, machine_id: int, action: Action, seconds: float = 60) -> None:
    ended = made.ended(made.act(machine_id, action), seconds)
    assert ended.state == OperationState.DONE, ended.error_text


def domain_id(host: LibvirtHost, domain: str) -> str:
    return host.virsh("domid", domain)


def kept(made: Cloud, machine_id: int, name: str) -> int:
    """A number that the guest keeps on its disk, read from outside."""
    disk = f"{made.host.images}/volumes/machine-{made.machine(machine_id).uuid}-vda"
    told = subprocess.run(["mtype", "-i", disk, f"::{name}"], check=True, capture_output=True)
    return int(told.stdout)


@pytest.mark.requirement("OVT-45")
def test_memory_survives_suspend_and_save(made: Cloud, libvirt_host: LibvirtHost) -> None:
    """A word in the guest's memory and the seconds that its kernel has run."""
    machine_id = made.made("web01", start=True)
    domain = made.machine(machine_id).domain_name
    guest = Guest(libvirt_host, domain)
    guest.run("echo in-memory > /tmp/word")
    before = float(guest.run("cut -d' ' -f1 /proc/uptime"))
    boots = guest.run("boots")

    done(made, machine_id, Action.SUSPEND)
    assert libvirt_host.virsh("domstate", domain) == "paused"
    counted = kept(made, machine_id, "COUNTER")
    time.sleep(2.5)  # the counter would have moved on
    assert kept(made, machine_id, "COUNTER") == counted
    done(made, machine_id, Action.RESUME)
    assert libvirt_host.virsh("domstate", domain) == "running"
    wait_until(lambda: kept(made, machine_id, "COUNTER") > counted, "the counter", 20)

    done(made, machine_id, Action.SAVE)
    assert libvirt_host.virsh("domstate", domain) == "shut off"
    assert "yes" in libvirt_host.virsh("dominfo", domain).split("Managed save:")[1]
    done(made, machine_id, Action.RESTORE)
    assert libvirt_host.virsh("domstate", domain) == "running"
    assert guest.run("cat /tmp/word") == "in-memory"
    assert guest.run("boots") == boots
    assert float(guest.run("cut -d' ' -f1 /proc/uptime")) > before


@pytest.mark.requirement("KVM-24", "KVM-33")
def test_shutdown_is_clean_or_ends_in_time_and_reset_keeps_the_domain(
    made: Cloud, libvirt_host: LibvirtHost
) -> None:
    machine_id = made.made("web01", start=True)
    domain = made.machine(machine_id).domain_name
    guest = Guest(libvirt_host, domain)
    assert guest.run("boots") == "1"
    number = domain_id(libvirt_host, domain)
    done(made, machine_id, Action.RESET)
    assert domain_id(libvirt_host, domain) == number
    assert Guest(libvirt_host, domain).run("boots") == "2"
    done(made, machine_id, Action.REBOOT)
    wait_until(lambda: kept(made, machine_id, "BOOTS") == 3, "the reboot", 60)
    assert domain_id(libvirt_host, domain) == number

    guest = Guest(libvirt_host, domain)
    guest.run("kill -STOP $(cat /tmp/acpid.pid)")  # deaf to the power button
    with made.work(write=True) as work:
        machine = machines.get(work, machine_id)
        machine_edits.edit(work, machine, Edit(shutdown_seconds=3), machine.version)
    begun = time.monotonic()
    ended = made.ended(made.act(machine_id, Action.SHUTDOWN))
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "guest.timeout")
    assert time.monotonic() - begun < 15
    assert made.machine(machine_id).state == "running"
    assert libvirt_host.virsh("domstate", domain) == "running"

    with made.work(write=True) as work:
        machine = machines.get(work, machine_id)
        machine_edits.edit(work, machine, Edit(shutdown_seconds=0), machine.version)
    # Asked again while it is deaf; it hears before the time that all machines have is over.
    asked = made.act(machine_id, Action.SHUTDOWN)
    wait_until(lambda: made.operation(asked).state == OperationState.RUNNING, "the button")
    guest.run("(sleep 1; kill -CONT $(cat /tmp/acpid.pid)) & true")
    ended = made.ended(asked)
    assert ended.state == OperationState.DONE, ended.error_text
    assert libvirt_host.virsh("domstate", domain) == "shut off"


def test_the_bin_keeps_the_disk_and_gives_it_back(made: Cloud, libvirt_host: LibvirtHost) -> None:
    machine_id = made.made("web01", start=True)
    domain = made.machine(machine_id).domain_name
    Guest(libvirt_host, domain).run("echo kept > /disk/WORD; sync")
    done(made, machine_id, Action.POWER_OFF)
    held = made.used()
    with made.work(write=True) as work:
        binned = bins.delete(work, machines.get(work, machine_id)).id
    assert made.ended(binned).state == OperationState.DONE
    assert libvirt_host.virsh("list", "--all", "--name") == ""
    assert made.machine(machine_id).uuid in libvirt_host.virsh("vol-list", "openvcloud")
    assert made.used() == held

    done(made, machine_id, Action.UNBIN)
    done(made, machine_id, Action.START)
    assert Guest(libvirt_host, domain).run("cat /disk/WORD") == "kept"
    done(made, machine_id, Action.POWER_OFF)
    with made.work(write=True) as work:
        gone = bins.delete(work, machines.get(work, machine_id), for_good=True).id
    assert made.ended(gone).state == OperationState.DONE
    assert made.used().storage == 0
    assert "machine-" not in libvirt_host.virsh("vol-list", "openvcloud")
    with made.work() as work:
        assert quota_check.differences(work) == []


@pytest.mark.requirement("OVM-36")
def test_a_guest_that_crashed_runs_again_within_seconds(
    made: Cloud, libvirt_host: LibvirtHost
) -> None:
    machine_id = made.made("web01", start=True)
    machine = made.machine(machine_id)
    with made.work(write=True) as work:
        row = machines.get(work, machine_id)
        machine_edits.edit(work, row, Edit(keep_running=True), row.version)
    first = domain_id(libvirt_host, machine.domain_name)
    _kill_guest(machine.uuid)
    begun = time.monotonic()

    def runs_again() -> bool:
        state = libvirt_host.virsh("domstate", machine.domain_name)
        return state == "running" and domain_id(libvirt_host, machine.domain_name) != first

    wait_until(runs_again, "the guest to run again", 30)
    assert time.monotonic() - begun < 15
    made.shows(machine_id, "running")
    done(made, machine_id, Action.POWER_OFF)
    time.sleep(5)  # two turns of the chore
    assert libvirt_host.virsh("domstate", machine.domain_name) == "shut off"


def _kill_guest(uuid: str) -> None:
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if line and "qemu-system" in line[0] and uuid in line:
            process.kill()


@pytest.mark.requirement("OVC-42")
def test_a_clone_and_a_template_live_without_their_source(
    made: Cloud, libvirt_host: LibvirtHost
) -> None:
    source_id = made.made("web01", start=True)
    source = made.machine(source_id)
    Guest(libvirt_host, source.domain_name).run("echo mine > /disk/WORD; sync")
    done(made, source_id, Action.POWER_OFF)

    with made.work(write=True) as work:
        row = machines.get(work, source_id)
        clone_id = clones.clone(work, row, row.pool, "web02").id
        machines.act(work, machines.get(work, clone_id), Action.START)
    assert made.settled(clone_id, 120).state == OperationState.DONE
    clone = made.machine(clone_id)
    assert libvirt_host.virsh("domstate", clone.domain_name) == "running"
    assert Guest(libvirt_host, clone.domain_name).run("cat /disk/WORD") == "mine"
    cards = [libvirt_host.virsh("domiflist", one.domain_name) for one in (source, clone)]
    assert cards[0].split()[-1] != cards[1].split()[-1]
    assert made.used().storage == source.storage + clone.storage

    with made.work(write=True) as work:
        row = machines.get(work, source_id)
        template = clones.template(work, row, row.pool, "Web server").id
    assert made.ended(template).state == OperationState.DONE
    done(made, source_id, Action.DELETE)
    with made.work(write=True) as work:
        pool = pools.root(work)
        image = next(one for one in images.offered(work, pool) if one.name == "Web server")
        size = sizes.listing(work.settings)[0]
        order = machines.Order(name="web03", image=image, size=size, start=True)
        third = machines.create(work, pool, order).id
    assert made.settled(third, 120).state == OperationState.DONE
    assert Guest(libvirt_host, made.machine(third).domain_name).run("cat /disk/WORD") == "mine"
    with made.work() as work:
        assert quota_check.differences(work) == []


def test_a_clone_that_fails_leaves_no_volume(made: Cloud, libvirt_host: LibvirtHost) -> None:
    source_id = made.made("web01")
    before = libvirt_host.virsh("vol-list", "openvcloud")
    held = made.used()
    source = made.machine(source_id)
    libvirt_host.virsh("vol-delete", f"machine-{source.uuid}-vda", "--pool", "openvcloud")
    with made.work(write=True) as work:
        row = machines.get(work, source_id)
        clone = clones.clone(work, row, row.pool, "web02")
        clone_id, operation = clone.id, clone.tail_id
    assert made.ended(operation).state == OperationState.FAILED
    assert made.machine(clone_id).state == "create_failed"
    assert made.machine(source_id).state == "stopped"
    assert made.used() == held
    after = libvirt_host.virsh("vol-list", "openvcloud")
    assert len(after.splitlines()) == len(before.splitlines()) - 1

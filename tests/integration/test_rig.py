"""The rig itself: each service is real, private, and gone when its test process is gone."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from tests import rig
from tests.rig.base import ROOT, wait_until

DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>192</memory>
  <os><type>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='file'><source path='{log}'/></serial>
  </devices>
</domain>
"""


@pytest.fixture
def guest(libvirt_host, starter_image, tmp_path):
    """A running guest that has shown its prompt; returns the path of its disk."""
    disk, log = libvirt_host.images / "disk.raw", libvirt_host.directory / "log/serial"
    shutil.copy(starter_image, disk)
    os.truncate(disk, 15 * 10**9)
    xml = tmp_path / "guest.xml"
    xml.write_text(DOMAIN.format(name="guest", disk=disk, log=log))
    libvirt_host.virsh("define", str(xml))
    libvirt_host.virsh("start", "guest")
    wait_until(lambda: b"starter:~# " in log.read_bytes(), "the prompt", 60)
    return disk


def number(disk, name):
    """A number that the guest keeps on its disk."""
    out = subprocess.run(["mtype", "-i", disk, f"::{name}"], check=True, capture_output=True)
    return int(out.stdout)


def test_a_guest_boots_counts_on_its_grown_disk_and_obeys_the_power_button(libvirt_host, guest):
    assert number(guest, "BOOTS") == 1
    wait_until(lambda: number(guest, "COUNTER") >= 2, "the counter")
    libvirt_host.virsh("shutdown", "guest")
    wait_until(lambda: libvirt_host.virsh("domstate", "guest") == "shut off", "the end")
    before = number(guest, "COUNTER")
    libvirt_host.virsh("start", "guest")
    wait_until(lambda: number(guest, "COUNTER") > before, "the counter to go on", 60)
    assert number(guest, "BOOTS") == 2


def test_guests_survive_the_daemon(libvirt_host, guest):
    libvirt_host.kill_daemon()
    counted = number(guest, "COUNTER")
    wait_until(lambda: number(guest, "COUNTER") > counted, "the counter to go on")
    libvirt_host.start_daemon()
    assert libvirt_host.virsh("domstate", "guest") == "running"
    libvirt_host.virsh("destroy", "guest")
    assert libvirt_host.virsh("domstate", "guest") == "shut off"


def test_a_frozen_daemon_hangs_until_it_is_thawed(libvirt_host):
    libvirt_host.freeze()
    with pytest.raises(subprocess.TimeoutExpired):
        libvirt_host.virsh("list", seconds=1)
    libvirt_host.thaw()
    assert libvirt_host.virsh("list") == ""


def test_hosts_are_strangers_to_each_other(libvirt_host, tmp_path):
    xml = tmp_path / "guest.xml"
    xml.write_text(DOMAIN.format(name="only-here", disk="/none", log="/none"))
    libvirt_host.virsh("define", str(xml))
    with rig.libvirt_host("other") as other:
        assert other.virsh("list", "--all") == ""
        assert other.virsh("hostname") != libvirt_host.virsh("hostname")
        identities = [
            host.virsh("capabilities").split("<uuid>")[1] for host in (other, libvirt_host)
        ]
        assert [identity[:36] for identity in identities] == [other.uuid, libvirt_host.uuid]
        assert other.virsh("net-list", "--all") == ""


def test_a_host_has_the_networks_that_a_test_defines(libvirt_host, tmp_path):
    xml = tmp_path / "net.xml"
    xml.write_text(
        "<network><name>lab</name><forward mode='nat'/><bridge name='virbr7'/>"
        "<ip address='10.7.7.1' netmask='255.255.255.0'><dhcp>"
        "<range start='10.7.7.9' end='10.7.7.99'/></dhcp></ip></network>"
    )
    libvirt_host.virsh("net-create", str(xml))
    assert "lab" in libvirt_host.virsh("net-list")
    assert not Path("/sys/class/net/virbr7").exists()
    libvirt_host.virsh("net-destroy", "lab")


def test_every_database_is_empty_and_its_own(postgres_server):
    first, second = (create_engine(postgres_server.new_database()) for _ in range(2))
    with first.begin() as one:
        one.execute(text("CREATE TABLE thing (id int)"))
    with second.begin() as two:
        assert two.execute(text("SELECT to_regclass('thing')")).scalar() is None
    first.dispose()
    second.dispose()


def test_a_page_runs_in_a_real_browser(page):
    page.set_content("<title>Rig</title><script>document.title += ' runs'</script>")
    assert page.title() == "Rig runs"


def test_complaints_of_a_page_are_heard(page, complaints):
    page.set_content("<script>console.error('broken')</script>")
    wait_until(lambda: page.title() == "" and complaints, "the complaint")
    assert "broken" in complaints.pop()


def test_the_starter_image_is_reproducible(starter_image, tmp_path):
    subprocess.run([ROOT / "script/starter-image", tmp_path / "again.raw"], check=True)
    assert (tmp_path / "again.raw").read_bytes() == starter_image.read_bytes()


def test_all_services_end_with_a_test_process_that_is_killed():
    script = textwrap.dedent("""
        import subprocess, sys
        from tests import rig
        with rig.libvirt_host("doomed") as host, rig.postgres() as server:
            print(host.directory, server.directory, flush=True)
            sys.stdin.read()
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    places = process.stdout.readline().decode().split()
    assert len(places) == 2
    assert all(users_of(place) for place in places)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    for place in places:
        wait_until(lambda place=place: not users_of(place), f"the end of what runs in {place}")
        shutil.rmtree(place)


def users_of(place):
    """Processes that name the directory in their arguments."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if place in " ".join(process.info["cmdline"] or ())
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]

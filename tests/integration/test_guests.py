"""A guest reads its seed and tells of itself; one that lies or hangs harms nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor import xml
from ovcadmin.models import Guest as Told
from ovcadmin.models import Image, OperationState
from ovcadmin.services import cloud_init, devices, drives, images, machines, pools, sizes
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import LIBVIRT_POOL, Cloud, cloud
from tests.rig.guest import Guest

pytestmark = pytest.mark.timeout(300)
GB = 10**9


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, shared_host: LibvirtHost, starter_image: Path
) -> Iterator[Cloud]:
    directory = tmp_path_factory.mktemp("guests")
    url = f"sqlite:///{directory}/console.db"
    with cloud(directory, url, shared_host, starter_image, agent_seconds=1) as found:
        found.worker()
        found.ready()
        yield found
    shared_host.recover()


@pytest.fixture(scope="module")
def running(made: Cloud) -> int:
    """A machine with a seed, started."""
    with made.work(write=True) as work:
        told = cloud_init.keep(work, cloud_init.Wish(user="anna", user_data="packages: [nginx]"))
        order = machines.Order(
            name="Web 01", image=images.listing(work)[0],
            size=sizes.get(work.settings, "small"), start=True, cloud_init=told,
        )  # fmt: skip
        machine_id = machines.create(work, pools.root(work), order).id
    assert made.settled(machine_id).state == OperationState.DONE
    return machine_id


def told(made: Cloud, machine_id: int) -> Told:
    with made.work() as work:
        return work.db.get(Told, machine_id) or Told(facts={}, trouble="", answered_at=None)


def ended(made: Cloud, operation_id: int) -> None:
    found = made.ended(operation_id, 60)
    assert found.state == OperationState.DONE, found.error_text


@pytest.mark.requirement("TPL-10", "TPL-11")
def test_the_host_makes_of_small_what_the_size_says(made: Cloud, running: int) -> None:
    machine = made.machine(running)
    root = xml.read(made.host.virsh("dumpxml", machine.domain_name))
    assert (root.findtext("memory"), root.find("vcpu").get("current")) == ("262144", "2")
    disk = f"machine-{machine.uuid}-vda"
    told = made.host.virsh("vol-info", "--bytes", disk, "--pool", LIBVIRT_POOL)
    assert str(15 * 10**9) in told.split("Capacity:")[1].split("\n")[0]


@pytest.mark.requirement("PEER-17", "KVM-04", "KVM-44")
def test_a_guest_takes_its_name_from_the_seed_and_its_agent_tells_of_it(
    made: Cloud, running: int, shared_host: LibvirtHost
) -> None:
    guest = Guest(shared_host, made.machine(running).domain_name)
    wait_until(lambda: guest.run("hostname") == "web-01", "the name of the seed", 60)
    assert "nginx" in guest.run("cat /seed/user-data")
    assert "name: anna" in guest.run("cat /seed/user-data")
    wait_until(lambda: told(made, running).facts.get("hostname") == "web-01", "the agent", 60)
    facts = told(made, running).facts
    assert facts["os"] == "Starter Linux"
    assert facts["kernel"] == guest.run("uname -r")
    address = guest.run("ip -4 -o addr show dev eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'")
    eth0 = next(card for card in facts["cards"] if card["name"] == "eth0")
    assert eth0["addresses"] == [address]
    assert facts["file_systems"][0]["place"] == "/disk"
    assert 0 < facts["file_systems"][0]["used"] < facts["file_systems"][0]["total"]
    wait_until(lambda: told(made, running).facts["memory"] > 0, "the balloon's word", 30)


@pytest.mark.requirement("KVM-44")
def test_an_agent_that_lies_or_hangs_harms_nobody(
    made: Cloud, running: int, shared_host: LibvirtHost
) -> None:
    domain = made.machine(running).domain_name
    guest = Guest(shared_host, domain)
    wait_until(lambda: told(made, running).facts, "the agent", 60)
    # It listens and never answers.
    guest.run("kill -STOP $(pidof agent)")
    wait_until(lambda: told(made, running).trouble, "the silence to be noticed", 60)
    assert told(made, running).facts["os"] == "Starter Linux", "what it said last stays, with age"
    ended(made, made.act(running, Action.SUSPEND))
    ended(made, made.act(running, Action.RESUME))
    made.shows(running, "running")
    assert made.host_row().state == "up"
    # It says other things than were asked for, and very many.
    guest.run("x=$(head -c 5000 /dev/zero | tr '\\0' x)")
    guest.run(
        r"""echo "{\"return\":{\"host-name\":\"<script>$x\",\"pretty-name\":7}}" > /tmp/lie"""
    )
    lying = "s#^  case $1 in#  case $1 in *host-name*|*osinfo*) cat /tmp/lie ;;#"
    guest.run(f"sed -i '{lying}' /bin/agent; kill -9 $(pidof agent)")
    wait_until(lambda: not told(made, running).trouble, "an answer", 60)
    wait_until(lambda: told(made, running).facts["hostname"][:8] == "<script>", "the lie", 30)
    assert len(told(made, running).facts["hostname"]) <= 120
    made.shows(running, "running")


@pytest.mark.requirement("KVM-03", "KVM-35")
def test_a_swap_disk_is_seen_grows_and_comes_back_empty(
    made: Cloud, running: int, shared_host: LibvirtHost
) -> None:
    domain = made.machine(running).domain_name
    guest = Guest(shared_host, domain)
    with made.work(write=True) as work:
        machine = machines.get(work, running)
        operation = drives.add(work, machine, 64 * 10**6, swap=True).id
    ended(made, operation)
    guest.run("mkswap /dev/vdb > /dev/null && swapon /dev/vdb")
    assert "vdb" in guest.run("cat /proc/swaps")
    guest.run("swapoff /dev/vdb")
    with made.work(write=True) as work:
        machine = machines.get(work, running)
        volume = devices.drive(work, machine, "vdb")
        size, name = volume.size * 2, volume.name
        operation = drives.grow(work, machine, volume, size).id
    ended(made, operation)
    wait_until(lambda: int(guest.run("cat /sys/block/vdb/size")) * 512 == size, "the size", 30)
    ended(made, made.act(running, Action.POWER_OFF))
    made.host.virsh("vol-delete", name, "--pool", LIBVIRT_POOL)
    ended(made, made.act(running, Action.START))
    assert name in made.host.virsh("vol-list", LIBVIRT_POOL)
    again = Guest(shared_host, domain)
    assert again.run("head -c 4096 /dev/vdb | tr -d '\\0' | wc -c") == "0", "it is empty"
    ended(made, made.act(running, Action.POWER_OFF))
    with made.work(write=True) as work:
        machine = machines.get(work, running)
        operation = drives.remove(work, machine, devices.drive(work, machine, "vdb")).id
    ended(made, operation)
    assert name not in made.host.virsh("vol-list", LIBVIRT_POOL)


@pytest.mark.requirement("KVM-05", "KVM-06")
def test_windows_gets_its_drivers_by_itself_and_freebsd_is_known(made: Cloud) -> None:
    path = made.directory / "drivers.iso"
    path.write_bytes(cloud_init.disc({"viostor": "drivers"}))
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    raw = images.Raw(path=str(path), size=path.stat().st_size, checksum=checksum)
    with made.work(write=True) as work:
        root = pools.root(work)
        base = images.listing(work)[0]
        drivers = images.register(
            work, root, name="virtio-win 0.1.262", kind=ImageKind.ISO, os_type="windows", raw=raw
        )
        for store in base.volumes:
            images.spread(work, drivers, store.storage_pool)
        number = drivers.id

    def there() -> bool:
        with made.work() as work:
            return all(copy.key for copy in work.db.get_one(Image, number).volumes)

    wait_until(there, "the copy of the drivers", 60)
    for os_type, clock in (("windows", "localtime"), ("freebsd", "utc")):
        with made.work(write=True) as work:
            base = work.db.merge(images.listing(work)[0])
            base.os_type = os_type
            order = machines.Order(name=os_type, image=base, size=sizes.listing(work.settings)[0])
            machine_id = machines.create(work, pools.root(work), order).id
        made.settled(machine_id)
        root_ = xml.read(made.host.virsh("dumpxml", made.machine(machine_id).domain_name))
        assert root_.find("clock").get("offset") == clock
        drives_ = {
            one.find("target").get("dev"): one.find("source")
            for one in root_.iterfind("devices/disk[@device='cdrom']")
        }
        assert set(drives_) == ({"hda", "hdb"} if os_type == "windows" else {"hda"})
        if os_type == "windows":
            assert drives_["hdb"] is not None
        ended(made, made.act(machine_id, Action.DELETE))


@pytest.mark.requirement("PEER-17")
def test_the_seed_goes_with_the_machine(made: Cloud, running: int) -> None:
    """Runs last: it ends the machine."""
    seed = f"seed-{made.machine(running).uuid}"
    assert seed in made.host.virsh("vol-list", LIBVIRT_POOL)
    if made.machine(running).state != "stopped":
        ended(made, made.act(running, Action.POWER_OFF))
    ended(made, made.act(running, Action.DELETE))
    assert seed not in made.host.virsh("vol-list", LIBVIRT_POOL)

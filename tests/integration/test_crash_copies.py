"""A worker killed amid what it makes of a machine that is there: one of it or none, nothing else.

Copies, devices and adoptions, on a real libvirtd.  Each attempt runs in a process of its own, that
dies at a point between two steps; the next one finds what it left.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.engine import reaper
from ovcadmin.models import Machine, Operation, OperationState, SnapshotPart, Volume, utcnow
from ovcadmin.services import (
    adoptions,
    clones,
    drives,
    image_removal,
    images,
    machine_states,
    machines,
    pools,
    quota_check,
    sizes,
    snapshots,
    storage,
    strangers,
)
from ovcadmin.services.adoptions import Wish
from ovcadmin.work import Work
from ovcadmin.worker import connect
from tests.functional.dying import AMID, killed_at
from tests.functional.outside import run_all
from tests.functional.world import World
from tests.rig import LibvirtHost

pytestmark = pytest.mark.timeout(300)

POOL = "ovc"
MIB = 2**20
EVERY = 3
"""Of the points of an operation each third is tried."""
STRANGER = """<domain type='qemu'><name>stranger</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'>
<driver name='qemu' type='raw'/><source file='{path}'/><target dev='vda' bus='virtio'/></disk>
<interface type='user'><mac address='52:54:00:ee:ee:01'/></interface></devices></domain>"""


class Outside:
    """One libvirt host with one pool behind every row."""

    def __init__(self, uri: str) -> None:
        self._host = LibvirtHypervisor("kvm-a", uri, deadline=60)  # the machine is busy, not dead

    def hypervisor(self, _host_id: int) -> LibvirtHypervisor:
        return self._host

    def storage(self, _storage_pool_id: int, _host_id: int):
        lanes = (self._host.link(connect.Lane.STORE), self._host.link(connect.Lane.COPY))
        return connect.LibvirtPool(*lanes, POOL)


class Site:
    """A console without a worker, beside a real host with one machine on it."""

    def __init__(self, world: World, host: LibvirtHost) -> None:
        self.world, self.virsh, self.uri = world, host.virsh, host.uri
        self.admin = world.admin()
        folder = host.images / POOL
        self.virsh("pool-define-as", POOL, "dir", "--target", str(folder))
        self.virsh("pool-build", POOL)
        self.virsh("pool-start", POOL)
        self.outside = Outside(host.uri)
        self.virsh("vol-create-as", POOL, "starter", str(16 * MIB), "--format", "raw")
        self.host_id = world.host().id
        with world.work(self.admin) as work:
            root, (store,) = pools.root(work), storage.listing(work)
            raw = images.Raw(path="/starter", size=16 * MIB, checksum="0" * 64)
            starter = images.register(work, root, name="Starter", raw=raw)
            copy = Volume(storage_pool_id=store.id, name="starter", key="starter", size=16 * MIB,
                          image_id=starter.id, created_at=work.now())  # fmt: skip
            work.db.add(copy)
            work.db.flush()
            size = sizes.get(work.settings, "tiny")
            order = machines.Order(name="web01", image=starter, size=size)
            self.machine_id = machines.create(work, root, order).id
        self.calm()

    def calm(self) -> None:
        run_all(self.world, self.outside)

    def machine(self, work: Work) -> Machine:
        return machines.get(work, self.machine_id)

    def each(self, first: int, ask: Callable[[Work], Operation], settled: Callable[[], None]):
        """Have `ask` queue an operation again and again, and its worker die later each time."""
        at, died = first, True
        while died:
            number, died = self.killed(ask, at)
            self.done_by_another(number, at)
            settled()
            at += EVERY
        assert at > first + EVERY, "there are points before and after every commit"

    def killed(self, ask: Callable[[Work], Operation], at: int) -> tuple[int, bool]:
        """Have an operation's worker die; return the operation, and whether it came to that."""
        with self.world.work(self.admin) as work:
            number = ask(work).id
        died = killed_at(self.world.settings, Outside, (self.uri,), at)
        if died:
            with self.world.work() as work:
                work.db.get_one(Operation, number).lease_until = utcnow()
            with self.world.work() as work:
                reaper.reap(work)
        return number, died

    def done_by_another(self, number: int, at: int) -> None:
        self.calm()
        with self.world.work() as work:
            ended = work.db.get_one(Operation, number)
            assert ended.state == OperationState.DONE, (at, ended.error_text)
            assert quota_check.differences(work) == []
            assert machine_states.reservation_differences(work) == []
        assert self.on_host() == self.in_books(), at

    def domains(self) -> list[str]:
        return self.virsh("list", "--all", "--name").split()

    def definition(self) -> str:
        with self.world.work() as work:
            return self.virsh("dumpxml", self.machine(work).domain_name)

    def on_host(self) -> set[str]:
        lines = self.virsh("vol-list", POOL).splitlines()
        return {line.strip().rsplit("   ", 1)[0].strip() for line in lines if line.strip()}

    def in_books(self) -> set[str]:
        with self.world.work() as work:
            rows = [*work.db.query(Volume), *work.db.query(SnapshotPart)]
            return {row.key for row in rows if row.key}

    def done(self, machine_id: int, action: Action) -> None:
        with self.world.work(self.admin) as work:
            machines.act(work, machines.get(work, machine_id), action)
        self.calm()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_host: LibvirtHost) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("crash")
    world = World(f"sqlite:///{directory}/ovcadmin.db", directory)
    yield Site(world, shared_host)
    world.close()
    shared_host.recover()


def test_fault_07_a_snapshot_is_one_copy_of_each_disk(site: Site) -> None:
    def settled() -> None:
        with site.world.work() as work:
            (taken,) = snapshots.listing(work, site.machine(work))
            assert [part.key in site.on_host() for part in taken.parts] == [True]
            snapshots.delete(work, taken)
        site.calm()

    site.each(3, lambda work: snapshots.take(work, site.machine(work), "again"), settled)


def test_fault_07_a_clone_is_one_machine_with_its_disks(site: Site) -> None:
    made: list[int] = []

    def ask(work: Work) -> Operation:
        source = site.machine(work)
        clone = clones.clone(work, source, source.pool, f"clone {len(made)}")
        made.append(clone.id)
        assert source.tail is not None
        return source.tail

    def settled() -> None:
        with site.world.work() as work:
            clone = machines.get(work, made[-1])
            assert clone.state == "stopped"
            assert clone.domain_name in site.domains()
        site.done(made[-1], Action.DELETE)
        assert len(site.domains()) == 1

    site.each(2, ask, settled)


def test_fault_07_a_template_is_one_volume(site: Site) -> None:
    made: list[str] = []

    def ask(work: Work) -> Operation:
        made.append(f"template {len(made)}")
        machine = site.machine(work)
        return clones.template(work, machine, machine.pool, made[-1])

    def settled() -> None:
        with site.world.work() as work:
            image = next(one for one in images.listing(work) if one.name == made[-1])
            assert [copy.key in site.on_host() for copy in image.volumes] == [True]

    site.each(2, ask, settled)


def test_fault_07_an_image_is_one_volume_of_whole_bytes(site: Site, tmp_path: Path) -> None:
    content = os.urandom(MIB)
    file = tmp_path / "debian.raw"
    file.write_bytes(content)
    raw = images.Raw(path=str(file), size=MIB, checksum=hashlib.sha256(content).hexdigest())
    with site.world.work() as work:
        number = images.register(work, pools.root(work), name="Debian", raw=raw).id

    def ask(work: Work) -> Operation:
        asked = images.spread(work, images.get(work, number), storage.listing(work)[0])
        assert asked is not None
        return asked

    def settled() -> None:
        with site.world.work() as work:
            image, store = images.get(work, number), storage.listing(work)[0]
            (copy,) = image.volumes
            assert Path(site.virsh("vol-path", copy.key, "--pool", POOL)).read_bytes() == content
            image_removal.delete_copy(work, image, store)
        site.calm()

    site.each(1, ask, settled)


def test_fault_07_killed_amid_the_bytes_of_an_image_the_next_attempt_makes_it_whole(
    site: Site, tmp_path: Path
) -> None:
    block, file = os.urandom(MIB), tmp_path / "large.raw"
    with file.open("wb") as made:
        for _ in range(320):
            made.write(block)
    checksum = digest(file)
    raw = images.Raw(path=str(file), size=320 * MIB, checksum=checksum)
    with site.world.work() as work:
        image_id = images.register(work, pools.root(work), name="Large", raw=raw).id
    before = site.on_host()

    def ask(work: Work) -> Operation:
        asked = images.spread(work, images.get(work, image_id), storage.listing(work)[0])
        assert asked is not None
        return asked

    number, died = site.killed(ask, AMID)
    assert died
    (half,) = site.on_host() - before
    path = Path(site.virsh("vol-path", half, "--pool", POOL))
    with path.open("rb") as started:
        assert started.read(MIB) == block, "bytes had begun to move"
    assert path.stat().st_blocks * 512 < 320 * MIB, "and had not ended"
    site.done_by_another(number, AMID)
    assert site.on_host() - before == {half}
    assert digest(path) == checksum
    with site.world.work() as work:
        image_removal.delete_copy(work, images.get(work, image_id), storage.listing(work)[0])
    site.calm()


def test_fault_07_a_drive_is_one_volume_and_one_device(site: Site) -> None:
    def settled() -> None:
        with site.world.work() as work:
            targets = [volume.target for volume in site.machine(work).volumes]
        assert site.definition().count("device='disk'") == len(targets) == 2
        with site.world.work(site.admin) as work:
            machine = site.machine(work)
            drives.remove(work, machine, machine.volumes[1], keep=False)
        site.calm()
        assert site.definition().count("device='disk'") == 1

    site.each(1, lambda work: drives.add(work, site.machine(work), 16 * MIB), settled)


def test_fault_07_a_card_is_one_device_with_one_address(site: Site) -> None:
    def settled() -> None:
        with site.world.work() as work:
            addresses = [nic.mac for nic in site.machine(work).nics]
        assert len(addresses) == 2
        assert all(site.definition().count(address) == 1 for address in addresses)
        with site.world.work(site.admin) as work:
            machine = site.machine(work)
            drives.remove_card(work, machine, machine.nics[1])
        site.calm()
        assert site.definition().count("<mac ") == 1

    site.each(1, lambda work: drives.add_card(work, site.machine(work)), settled)


def test_fault_07_an_adoption_is_one_machine_of_a_domain_that_stays_as_it_is(
    site: Site, tmp_path: Path
) -> None:
    site.virsh("vol-create-as", POOL, "stranger", str(16 * MIB), "--format", "raw")
    file = tmp_path / "stranger.xml"
    file.write_text(STRANGER.format(path=site.virsh("vol-path", "stranger", "--pool", POOL)))
    before: list[str] = []

    def ask(work: Work) -> Operation:
        site.virsh("define", str(file))
        before.append(site.virsh("dumpxml", "stranger"))
        uuid = site.virsh("domuuid", "stranger")
        host = site.machine(work).host
        assert host is not None
        states = site.outside.hypervisor(host.id).states()
        strangers.observe(work, host.id, {uuid: states[uuid]})
        strangers.described(work, host.id, uuid, site.outside.hypervisor(host.id).describe(uuid))
        machine = adoptions.adopt(work, host, uuid, pools.root(work), Wish(name="Stranger"))
        assert machine.tail is not None
        return machine.tail

    def settled() -> None:
        assert site.virsh("dumpxml", "stranger") == before[-1]
        with site.world.work() as work:
            (found,) = work.db.query(Machine).filter_by(name="Stranger", deleted_at=None)
            assert (found.state, [one.name for one in found.volumes]) == ("stopped", ["stranger"])
            assert len(found.nics) == 1
        site.done(found.id, Action.DELETE)
        assert "stranger" not in site.domains()

    site.each(1, ask, settled)

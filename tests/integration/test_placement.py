"""Which of two real hosts a machine goes to, seen by virsh; and what their figures say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from ovcadmin.domain.load import Load
from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.drivers.storage.libvirt_pool import LibvirtPool
from ovcadmin.errors import Forbidden, PlacementFailed
from ovcadmin.models import Operation, User, Volume
from ovcadmin.services import hosts, images, machines, pools, quota_check, quotas, sizes, storage
from ovcadmin.services.machine_states import reservation_differences
from ovcadmin.worker import connect
from tests import rig
from tests.functional.outside import run_all
from tests.functional.world import World
from tests.rig import LibvirtHost

pytestmark = pytest.mark.timeout(240)

POOL = "ovc"
MIB = 2**20
KIB_OF_MIB = 1024
NAMES = ("kvm-a", "kvm-b")


class Site:
    """A console with two real hosts of one size; operations run in the test itself."""

    def __init__(self, world: World, *real: LibvirtHost) -> None:
        self.world, self.admin = world, world.admin()
        self.real = dict(zip(NAMES, real, strict=True))
        self.rows = {name: world.host(name) for name in NAMES}
        self.drivers = {
            self.rows[name].id: LibvirtHypervisor(name, host.uri)
            for name, host in self.real.items()
        }
        for host in real:
            host.virsh("pool-define-as", POOL, "dir", "--target", str(host.images / POOL))
            host.virsh("pool-build", POOL)
            host.virsh("pool-start", POOL)
            host.virsh("vol-create-as", POOL, "starter", str(16 * MIB), "--format", "raw")
        with world.work(self.admin) as work:
            raw = images.Raw(path="/starter", size=16 * MIB, checksum="0" * 64)
            image = images.register(work, pools.root(work), name="Starter", raw=raw)
            for store in storage.listing(work):
                copy = Volume(storage_pool_id=store.id, name="starter", key="starter",
                              size=16 * MIB, image_id=image.id, created_at=work.now())  # fmt: skip
                work.db.add(copy)
            self.image_id = image.id
        self.look()

    def look(self) -> None:
        """Take in what the hosts say, as their monitors do."""
        with self.world.work() as work:
            for host_id, driver in self.drivers.items():
                hosts.answered(work, host_id, driver.facts())
                (store,) = hosts.storage_pools(work, hosts.get(work, host_id))
                storage.observed(work, store.id, self.storage(store.id, host_id).facts())

    def hypervisor(self, host_id: int) -> LibvirtHypervisor:
        return self.drivers[host_id]

    def storage(self, _storage_pool_id: int, host_id: int) -> LibvirtPool:
        host = self.drivers[host_id]
        return LibvirtPool(host.link(connect.Lane.STORE), host.link(connect.Lane.COPY), POOL)

    def create(
        self, name: str, *, host: str = "", start: bool = False, user: User | None = None
    ) -> int:
        with self.world.work(user or self.admin) as work:
            order = machines.Order(
                name=name, image=images.get(work, self.image_id), start=start,
                size=sizes.get(work.settings, "tiny"),
                host_id=self.rows[host].id if host else None,
            )  # fmt: skip
            machine_id = machines.create(work, pools.root(work), order).id
        run_all(self.world, self)
        return machine_id

    def act(self, machine_id: int, action: Action) -> None:
        with self.world.work(self.admin) as work:
            machines.act(work, machines.get(work, machine_id), action)
        run_all(self.world, self)

    def where(self, machine_id: int) -> list[str]:
        """The hosts on which virsh finds the machine's domain."""
        with self.world.work() as work:
            uuid = machines.get(work, machine_id).uuid
        return [
            name for name, host in self.real.items()
            if uuid in host.virsh("list", "--all", "--uuid").split()
        ]  # fmt: skip

    def everything(self) -> SimpleNamespace:
        """What there is on both hosts and in the books."""
        with self.world.work() as work:
            return SimpleNamespace(
                domains=[host.virsh("list", "--all", "--name") for host in self.real.values()],
                volumes=[host.virsh("vol-list", POOL) for host in self.real.values()],
                used=quotas.usage(work, [pools.root(work).id]),
                wrong=[*quota_check.differences(work), *reservation_differences(work)],
            )

    def reserve(self, name: str, memory: int) -> None:
        """Keep so much of a host's memory back, KiB."""
        with self.world.work() as work:
            hosts.get(work, self.rows[name].id).memory_reserve = memory

    def measured(self, name: str, now: float, trend: float = 0.0) -> None:
        with self.world.work() as work:
            hosts.measured(
                work, self.rows[name].id, Load(now=now, slow=now, trend=trend), memory_used=0
            )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shared_host: LibvirtHost) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("placement")
    world = World(f"sqlite:///{directory}/ovcadmin.db", directory)
    with rig.libvirt_host("second") as second:
        made = Site(world, shared_host, second)
        yield made
        for driver in made.drivers.values():
            driver.close()
    world.close()
    shared_host.recover()


@pytest.fixture(autouse=True)
def even(site: Site) -> None:
    """Both hosts are alike when a test begins: idle, with all their memory."""
    for name in NAMES:
        site.reserve(name, 0)
        site.measured(name, 0.0)


@pytest.mark.requirement("KVM-21")
def test_a_machine_goes_where_there_is_room_and_without_room_nothing_is_left(site: Site) -> None:
    whole = hosts_memory(site)
    site.reserve("kvm-a", whole)
    assert site.where(site.create("roomy")) == ["kvm-b"]
    made = []
    for name in NAMES:
        site.reserve(name, whole - 130 * KIB_OF_MIB)
        made.append(site.create(f"fills {name}", host=name, start=True))
        assert site.where(made[-1]) == [name]
    before = site.everything()
    full = "has 2 MiB of 130 MiB memory free, the machine wants 128 MiB"
    with pytest.raises(PlacementFailed, match=rf"kvm-a {full}. kvm-b {full}"):
        site.create("nowhere")
    assert site.everything() == before
    assert before.wrong == []
    for machine_id in made:
        site.act(machine_id, Action.POWER_OFF)


def hosts_memory(site: Site) -> int:
    with site.world.work() as work:
        return hosts.get(work, site.rows["kvm-a"].id).memory


@pytest.mark.requirement("KVM-31")
def test_with_equal_room_the_host_that_does_less_wins(site: Site) -> None:
    for idle, busy in (NAMES, NAMES[::-1]):
        site.measured(idle, 0.1)
        site.measured(busy, 0.9)
        assert site.where(site.create(f"away from {busy}")) == [idle]


@pytest.mark.requirement("KVM-42")
def test_a_host_that_gets_busier_is_passed_over(site: Site) -> None:
    for calm, rising in (NAMES, NAMES[::-1]):
        site.measured(calm, 0.3, trend=0.0)
        site.measured(rising, 0.3, trend=0.6)
        assert site.where(site.create(f"calm {calm}")) == [calm]


@pytest.mark.requirement("OVT-62")
def test_a_host_chosen_by_hand_takes_the_right_and_the_room(site: Site) -> None:
    site.measured("kvm-b", 0.99)  # placement would not
    assert site.where(site.create("by hand", host="kvm-b")) == ["kvm-b"]
    user = site.world.user("anna", "User")
    before = site.everything()
    with pytest.raises(Forbidden):
        site.create("without the right", host="kvm-b", user=user)
    site.reserve("kvm-b", hosts_memory(site) - 100 * KIB_OF_MIB)
    with pytest.raises(PlacementFailed, match=r"kvm-b has .* memory free"):
        site.create("without room", host="kvm-b")
    assert site.everything() == before


@pytest.mark.requirement("KVM-20")
def test_what_a_host_has_and_what_is_taken_are_libvirts_own_figures(site: Site) -> None:
    site.create("taken", host="kvm-a", start=True)
    site.look()
    told = site.world.api(site.admin)("GET", f"/hosts/{site.rows['kvm-a'].id}").json
    virsh = site.real["kvm-a"].virsh
    node = dict(line.split(":", 1) for line in virsh("nodeinfo").splitlines())
    assert told["cpus"] == int(node["CPU(s)"])
    # Not that of nodeinfo: that adds up NUMA cells, which know less where memory was added later.
    (total,) = re.findall(r"total *: *(\d+) KiB", virsh("nodememstats"))
    assert told["memory"] == int(total)
    running = [virsh("dominfo", name) for name in virsh("list", "--name").split()]
    taken = [dict(line.split(":", 1) for line in one.splitlines()) for one in running]
    assert told["load"]["machines"] == len(taken) == 1
    assert told["load"]["vcpus"] == sum(int(one["CPU(s)"]) for one in taken)
    assert told["load"]["memory"] == sum(int(one["Max memory"].split()[0]) for one in taken)
    with site.world.work() as work:
        (store,) = hosts.storage_pools(work, hosts.get(work, site.rows["kvm-a"].id))
        total = sum(one.capacity for one in storage.listing(work))
    info = dict(line.split(":", 1) for line in virsh("pool-info", POOL, "--bytes").splitlines())
    assert store.capacity == int(info["Capacity"])
    assert store.available == pytest.approx(int(info["Available"]), abs=64 * MIB)
    assert total == sum(
        int(host.virsh("pool-info", POOL, "--bytes").split("Capacity:")[1].split()[0])
        for host in site.real.values()
    )


@pytest.mark.requirement("TPL-09")
def test_no_domain_is_made_before_its_volume_is_there(site: Site) -> None:
    site.real["kvm-b"].virsh("vol-delete", "starter", "--pool", POOL)
    before = site.everything()
    machine_id = site.create("without a disk", host="kvm-b")
    with site.world.work() as work:
        (asked,) = work.db.query(Operation).filter_by(machine_id=machine_id)
        assert asked.state == "failed"
        assert [(step.name, step.state) for step in asked.steps] == [
            ("place", "undone"), ("clone", "undone"), ("define", "waiting"),
        ]  # fmt: skip
    after = site.everything()
    assert (after.domains, after.volumes) == (before.domains, before.volumes)
    site.real["kvm-b"].virsh("vol-create-as", POOL, "starter", str(16 * MIB))
    again = site.create("with a disk", host="kvm-b")
    with site.world.work() as work:
        steps = work.db.query(Operation).filter_by(machine_id=again).one().steps
        ended = {step.name: step.finished_at for step in steps}
        begun = {step.name: step.started_at for step in steps}
        assert ended["clone"] <= begun["define"]
    assert site.where(again) == ["kvm-b"]

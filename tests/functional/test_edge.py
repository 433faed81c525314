"""Guests that open their volumes by the network: each asks the storage router of its own host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor.fake import FakeHypervisor
from ovcadmin.drivers.hypervisor.xml import read
from ovcadmin.drivers.storage.openvstorage.client import Client
from ovcadmin.drivers.storage.openvstorage.driver import VPool
from ovcadmin.models import Host, HostStoragePool, Machine, StoragePool, Volume
from ovcadmin.services import hosts, images, machines, migrations, pools, sizes
from tests.functional.outside import nothing_waits, run_all
from tests.functional.world import FACTS
from tests.rig.openvstorage import settings_of, simulator

MIB = 2**20


@pytest.fixture
def cluster(tmp_path):
    routers = {"kvm-a": "127.0.0.1:0", "kvm-b": "127.0.0.2:0"}
    with simulator(tmp_path / "cluster", routers=routers) as made:
        yield made


class Outside:
    """Two hosts in memory and one vPool, whose volumes their guests open by the edge."""

    def __init__(self, world, cluster, token):
        self._client = Client(settings_of(cluster), token)
        self._guid = cluster.cluster.vpool("vpool1").guid
        self._routers = {router.name: router.guid for router in cluster.cluster.routers.values()}
        with world.work() as work:
            self._names = {host.id: host.hostname for host in work.db.query(Host)}
        self.hosts = {number: FakeHypervisor(name) for number, name in self._names.items()}

    def hypervisor(self, host_id):
        return self.hosts[host_id]

    def storage(self, _storage_pool_id, host_id):
        at = self._names[host_id]
        return VPool(self._client, self._guid, routers=self._routers, at=at, edge=True)


@pytest.fixture
def site(sqlite_world, cluster, tmp_path):
    """The world with two hosts, what is outside, and the id of a machine on the first host."""
    world = sqlite_world
    world.host()
    with world.work() as work:
        store = work.db.query(StoragePool).one()
        store.driver = "openvstorage"
        other = hosts.enroll(work, pools.root(work), name="kvm-b", uri="test:///kvm-b")
        hosts.answered(work, other.id, replace(FACTS, hostname="kvm-b", uuid=FACTS.uuid[:-1] + "2"))
        work.db.add(HostStoragePool(host_id=other.id, storage_pool_id=store.id))
        hosts.get(work, other.id).migration_uri = "tcp://kvm-b"
    image = world.image()
    nothing_waits(world)
    vpool, router = (next(iter(part)) for part in (cluster.cluster.vpools, cluster.cluster.routers))
    template = cluster.cluster.create(vpool, router, {"name": "starter", "size": 10 * MIB})
    cluster.cluster.set_as_template(cluster.cluster.disk(template))
    with world.work(world.admin()) as work:
        work.db.query(Volume).one().key = template
        order = machines.Order(
            name="web01",
            image=images.get(work, image.id),
            size=sizes.get(world.settings, "tiny"),
            host_id=work.db.query(Host).filter_by(name="kvm-a").one().id,
        )
        machine = machines.create(work, pools.root(work), order).id
    outside = Outside(world, cluster, tmp_path / "token")
    assert [one.state for one in run_all(world, outside)] == ["done"]
    return world, outside, machine


def server(world, outside, machine_id):
    """The host of the machine, and whom its definition there asks for the disk."""
    with world.work() as work:
        row = work.db.get_one(Machine, machine_id)
        source = read(outside.hosts[row.host_id].xml(row.uuid)).find("devices/disk/source")
        assert source.get("protocol") == "openvstorage"
        return row.host.name, source.find("host").get("name")


@pytest.mark.parametrize("running", [True, False])
def test_a_migrated_guest_asks_the_storage_router_of_its_new_host(site, cluster, running):
    world, outside, machine_id = site
    assert server(world, outside, machine_id) == ("kvm-a", "127.0.0.1")
    with world.work() as work:
        row = machines.get(work, machine_id)
        if running:
            machines.act(work, row, Action.START)
    run_all(world, outside)
    with world.work() as work:
        migrations.migrate(work, machines.get(work, machine_id))
    (moved,) = run_all(world, outside)
    assert moved.state == "done", moved.error_text
    assert server(world, outside, machine_id) == ("kvm-b", "127.0.0.2")
    with world.work() as work:
        row = machines.get(work, machine_id)
        disk = cluster.cluster.named(f"machine-{row.uuid}-vda")
        state = outside.hosts[row.host_id].state(row.uuid).power
    assert cluster.cluster.routers[disk.router_guid].name == "kvm-b", "it is served there too"
    assert state.value == ("running" if running else "shutoff")

"""Machines on a vPool of a simulated cluster; hosts are in memory, the test runs operations."""

from __future__ import annotations

from dataclasses import replace

from ovcadmin.drivers.hypervisor.fake import FakeHypervisor
from ovcadmin.drivers.storage.openvstorage.client import Client
from ovcadmin.drivers.storage.openvstorage.driver import VPool
from ovcadmin.models import Host, HostStoragePool, Machine, StoragePool, Volume
from ovcadmin.services import hosts, images, machines, pools, sizes
from tests.functional.outside import nothing_waits, run_all
from tests.functional.world import FACTS
from tests.rig.openvstorage import settings_of

MIB = 2**20
ROUTERS = {"kvm-a": "127.0.0.1:0", "kvm-b": "127.0.0.2:0"}
"""The storage routers of the cluster that the site stands on."""


class Site:
    """The world with two hosts that reach one vPool, and one image on it.

    It is what operations find outside as well.
    """

    def __init__(self, world, cluster, directory, *, edge=False):
        self.world, self.cluster, self.edge = world, cluster.cluster, edge
        self.client = Client(settings_of(cluster), directory / "token")
        world.host()
        with world.work() as work:
            store = work.db.query(StoragePool).one()
            store.driver = "openvstorage"
            other = hosts.enroll(work, pools.root(work), name="kvm-b", uri="test:///kvm-b")
            own = replace(FACTS, hostname="kvm-b", uuid=FACTS.uuid[:-1] + "2")
            hosts.answered(work, other.id, own)
            work.db.add(HostStoragePool(host_id=other.id, storage_pool_id=store.id))
            other.migration_uri = "tcp://kvm-b"
            self.store_id = store.id
            self._names = {host.id: host.hostname for host in work.db.query(Host)}
        self.hosts = {number: FakeHypervisor(name) for number, name in self._names.items()}
        self.image_id = world.image().id
        nothing_waits(world)
        vpool, router = next(iter(self.cluster.vpools)), next(iter(self.cluster.routers))
        template = self.cluster.create(vpool, router, {"name": "starter", "size": 10 * MIB})
        self.cluster.set_as_template(self.cluster.disk(template))
        with world.work() as work:
            work.db.query(Volume).one().key = template

    def hypervisor(self, host_id):
        return self.hosts[host_id]

    def storage(self, _storage_pool_id, host_id):
        return VPool(
            self.client,
            next(iter(self.cluster.vpools)),
            routers={router.name: router.guid for router in self.cluster.routers.values()},
            at=self._names[host_id],
            edge=self.edge,
        )

    def run(self):
        """Run all that waits; return how each ended."""
        return run_all(self.world, self)

    def machine(self, name="web01"):
        """The id of a machine on the first host, made there."""
        with self.world.work(self.world.admin()) as work:
            order = machines.Order(
                name=name,
                image=images.get(work, self.image_id),
                size=sizes.get(self.world.settings, "tiny"),
                host_id=work.db.query(Host).filter_by(name="kvm-a").one().id,
            )
            made = machines.create(work, pools.root(work), order).id
        assert [one.state for one in self.run()] == ["done"]
        return made

    def disk(self, machine_id, target="vda"):
        """The vDisk of a machine."""
        with self.world.work() as work:
            volumes = work.db.get_one(Machine, machine_id).volumes
            return self.cluster.disk(next(one.key for one in volumes if one.target == target))

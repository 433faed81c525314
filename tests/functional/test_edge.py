"""Guests that open their volumes by the network: each asks the storage router of its own host."""

from __future__ import annotations

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor.xml import read
from ovcadmin.models import Machine
from ovcadmin.services import machines, migrations
from tests.functional.on_vpool import ROUTERS, Site
from tests.rig.openvstorage import simulator


@pytest.fixture
def site(sqlite_world, tmp_path):
    with simulator(tmp_path / "cluster", routers=ROUTERS) as cluster:
        yield Site(sqlite_world, cluster, tmp_path, edge=True)


def server(site, machine_id):
    """The host of the machine, and whom its definition there asks for the disk."""
    with site.world.work() as work:
        row = work.db.get_one(Machine, machine_id)
        source = read(site.hosts[row.host_id].xml(row.uuid)).find("devices/disk/source")
        assert source.get("protocol") == "openvstorage"
        return row.host.name, source.find("host").get("name")


@pytest.mark.parametrize("running", [True, False])
def test_a_migrated_guest_asks_the_storage_router_of_its_new_host(site, running):
    machine_id = site.machine()
    assert server(site, machine_id) == ("kvm-a", "127.0.0.1")
    with site.world.work() as work:
        if running:
            machines.act(work, machines.get(work, machine_id), Action.START)
    site.run()
    with site.world.work() as work:
        migrations.migrate(work, machines.get(work, machine_id))
    (moved,) = site.run()
    assert moved.state == "done", moved.error_text
    assert server(site, machine_id) == ("kvm-b", "127.0.0.2")
    router = site.cluster.routers[site.disk(machine_id).router_guid]
    assert router.name == "kvm-b", "it is served there too"
    with site.world.work() as work:
        row = machines.get(work, machine_id)
        power = site.hosts[row.host_id].state(row.uuid).power
    assert power.value == ("running" if running else "shutoff")

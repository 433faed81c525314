"""Machines on a vPool: what lives on their disks is named, and everything goes or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor.base import PowerState
from ovcadmin.drivers.storage.base import StoragePoolFacts
from ovcadmin.models import Machine, Snapshot
from ovcadmin.services import clones, drives, machines, quota_check, snapshots, storage
from tests.functional.on_vpool import MIB, ROUTERS, Site
from tests.functional.world import form
from tests.rig.openvstorage import simulator

GB = 10**9


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Of the cluster, and of the token that all tests share."""
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def running(directory):
    with simulator(directory, routers=ROUTERS) as cluster:
        yield cluster


@pytest.fixture
def site(sqlite_world, running, directory):
    yield Site(sqlite_world, running, directory)
    # What was made of others goes before these.
    for disk in reversed(list(running.cluster.disks.values())):
        running.cluster.delete(disk)


@pytest.fixture
def two_disks(site):
    """A stopped machine with two disks."""
    machine_id = site.machine()
    with site.world.work() as work:
        drives.add(work, machines.get(work, machine_id), 16 * MIB)
    assert [one.state for one in site.run()] == ["done"]
    return machine_id


def taken(site, machine_id, name):
    with site.world.work() as work:
        snapshots.take(work, machines.get(work, machine_id), name)
    assert [one.error_text for one in site.run()] == [""]
    with site.world.work() as work:
        return snapshots.listing(work, machines.get(work, machine_id))[0].id


def asked(site, ask, kind, number):
    """How an operation on a snapshot ended."""
    with site.world.work() as work:
        ask(work, work.db.get_one(kind, number))
    (ended,) = site.run()
    return ended


def by_hand(site, disk, name):
    """Somebody clones the last snapshot of a disk by other tools."""
    site.cluster.clone(disk, disk.router_guid, name, disk.snapshots[-1].guid)


def test_fault_38_no_guest_starts_on_a_volume_that_two_storage_routers_claim(site, running):
    machine_id = site.machine()
    running.faults.claimed = {site.disk(machine_id).guid: "kvm-b"}
    api, browser = site.world.api(site.world.admin()), site.world.signed_in(site.world.admin())
    api("POST", f"/machines/{machine_id}/actions/start")
    (refused,) = site.run()
    assert refused.error_code == "storage.failed"
    told = "disagree: kvm-a and kvm-b each say that they serve volume"
    assert told in browser.get(f"/operations/{refused.id}")
    with site.world.work() as work:
        machine = machines.get(work, machine_id)
        uuid, host_id = machine.uuid, machine.host_id
        assert machine.state == "stopped"
    assert site.hosts[host_id].state(uuid).power is PowerState.SHUTOFF
    running.faults.claimed = {}
    api("POST", f"/machines/{machine_id}/actions/start")
    assert [one.error_text for one in site.run()] == [""]


def test_a_snapshot_of_two_disks_goes_whole_or_stays_whole(site, two_disks):
    number = taken(site, two_disks, "before")
    by_hand(site, site.disk(two_disks, "vdb"), "by-hand")
    refused = asked(site, snapshots.delete, Snapshot, number)
    assert refused.error_code == "storage.in_use"
    assert "volume by-hand was made from it" in refused.error_text
    for target in ("vda", "vdb"):
        assert len(site.disk(two_disks, target).snapshots) == 1, target


def test_two_disks_go_back_together_or_not_at_all(site, two_disks):
    first = taken(site, two_disks, "first")
    taken(site, two_disks, "second")
    path = site.cluster.path(site.disk(two_disks))
    path.write_bytes(b"later" + path.read_bytes()[5:])
    by_hand(site, site.disk(two_disks, "vdb"), "by-hand")
    refused = asked(site, snapshots.roll_back, Snapshot, first)
    assert (refused.error_code, "volume by-hand" in refused.error_text) == ("storage.in_use", True)
    assert path.read_bytes().startswith(b"later"), "the first disk is as it was"
    assert len(site.disk(two_disks).snapshots) == 2


def test_a_rollback_tells_which_later_snapshots_go_and_forgets_them(site, two_disks):
    first, second = taken(site, two_disks, "first"), taken(site, two_disks, "second")
    api, browser = site.world.api(site.world.admin()), site.world.signed_in(site.world.admin())
    assert api("GET", f"/snapshots/{first}").json["removed_by_rollback"] == [second]
    assert api("GET", f"/snapshots/{second}").json["removed_by_rollback"] == []
    page = browser.get(f"/snapshots/{first}/roll-back")
    assert "The snapshot second of" in page
    form(page).submit().follow()
    (ended,) = site.run()
    assert ended.state == "done", ended.error_text
    listed = api("GET", f"/machines/{two_disks}/snapshots").json["items"]
    assert [row["id"] for row in listed] == [first]
    log = browser.get(f"/operations/{ended.id}")
    assert "Its storage has removed what came later: second." in log


def test_a_disk_that_has_grown_since_counts_as_large_as_it_stays(site, two_disks):
    number = taken(site, two_disks, "small")
    with site.world.work() as work:
        machine = machines.get(work, two_disks)
        drives.grow(work, machine, machine.volumes[1], 32 * MIB)
    site.run()
    assert asked(site, snapshots.roll_back, Snapshot, number).state == "done"
    assert site.disk(two_disks, "vdb").size == 32 * MIB
    with site.world.work() as work:
        sizes = {one.target: one.size for one in machines.get(work, two_disks).volumes}
        assert sizes["vdb"] == 32 * MIB
        assert quota_check.differences(work) == []


def test_a_machine_of_two_disks_is_deleted_whole_or_not_at_all(site, two_disks):
    taken(site, two_disks, "before")
    by_hand(site, site.disk(two_disks, "vdb"), "by-hand")
    with site.world.work() as work:
        machines.act(work, machines.get(work, two_disks), Action.DELETE)
    (refused,) = site.run()
    assert refused.error_code == "storage.in_use"
    assert "volume by-hand was made from it" in refused.error_text
    assert site.disk(two_disks) is not None
    with site.world.work() as work:
        row = work.db.get_one(Machine, two_disks)
        assert site.hosts[row.host_id].state(row.uuid) is not None, "its domain is there too"
    told = site.world.signed_in(site.world.admin()).get(f"/operations/{refused.id}")
    assert "volume by-hand was made from it" in told


def test_what_lives_on_a_template_is_named_by_page_rest_and_operation(site):
    machine_id = site.machine()
    with site.world.work() as work:
        row = machines.get(work, machine_id)
        clones.template(work, row, row.pool, "Web server")
    assert [one.state for one in site.run()] == ["done"]
    with site.world.work() as work:
        machines.act(work, machines.get(work, machine_id), Action.DELETE)
    (refused,) = site.run()
    assert "image Web server was made from it" in refused.error_text
    api = site.world.api(site.world.admin())
    told = api("GET", f"/operations/{refused.id}").json
    assert (told["error"]["code"], "image Web server" in told["error"]["text"]) == (
        "storage.in_use", True,
    )  # fmt: skip
    by_hand(site, site.disk(machine_id), "by-hand")
    rows = api("GET", "/images").json["items"]
    number = next(row["id"] for row in rows if row["name"] == "Web server")
    assert api("DELETE", f"/images/{number}").status_int == 202
    (refused,) = site.run()
    assert "volume by-hand was made from it" in refused.error_text
    assert api("GET", f"/images/{number}").status_int == 200, "it is offered again"
    assert len(site.disk(machine_id).snapshots) == 1, "with its copy"


def test_what_is_made_of_a_volume_of_nobody_is_named(site):
    api = site.world.api(site.world.admin())
    body = {"name": "data", "size": GB, "pool_id": site.world.root().id}
    api("POST", f"/storage-pools/{site.store_id}/volumes", body)
    site.run()
    disk = site.cluster.named("data")
    site.cluster.clone(disk, disk.router_guid, "by-hand", None)
    listed = api("GET", f"/storage-pools/{site.store_id}/volumes").json["items"]
    number = next(row["id"] for row in listed if row["name"] == "data")
    api("DELETE", f"/storage-pools/{site.store_id}/volumes/{number}")
    (refused,) = site.run()
    assert "volume by-hand was made from it" in refused.error_text


def test_a_volume_of_the_same_name_made_by_hand_is_neither_taken_nor_destroyed(site):
    vpool, router = next(iter(site.cluster.vpools)), next(iter(site.cluster.routers))
    theirs = site.cluster.create(vpool, router, {"name": "data", "size": MIB})
    api = site.world.api(site.world.admin())
    body = {"name": "data", "size": GB, "pool_id": site.world.root().id}
    assert api("POST", f"/storage-pools/{site.store_id}/volumes", body).status_int == 202
    (refused,) = site.run()
    assert (refused.error_code, "was not made here" in refused.error_text) == ("name.taken", True)
    assert site.cluster.disk(theirs).size == MIB
    listed = api("GET", f"/storage-pools/{site.store_id}/volumes").json["items"]
    assert "data" not in [row["name"] for row in listed]


def refreshed(site):
    """The volumes of the storage pool as REST lists them after a refresh, by name."""
    api = site.world.api(site.world.admin())
    assert api("POST", f"/storage-pools/{site.store_id}/refresh").status_int == 202
    assert [one.state for one in site.run()] == ["done"]
    rows = api("GET", f"/storage-pools/{site.store_id}/volumes").json["items"]
    return {row["name"]: row for row in rows}


def test_what_happens_there_without_the_console_is_shown_or_left_alone(site):
    machine_id = site.machine()
    mount = site.cluster.path(site.disk(machine_id)).parent
    (mount / "theirs.raw").write_bytes(bytes(MIB))
    site.cluster.sync()
    site.cluster.hourly()
    api = site.world.api(site.world.admin())
    assert api("GET", f"/machines/{machine_id}/snapshots").json["items"] == [], "not the hourly one"
    theirs = refreshed(site)["theirs"]
    assert (theirs["size"], theirs["offered"]) == (MIB, False)
    path = f"/storage-pools/{site.store_id}/volumes/{theirs['id']}"
    refused = api("DELETE", path)
    assert (refused.status_int, "was there before the console" in str(refused.json)) == (409, True)
    assert "theirs" in site.world.signed_in(site.world.admin()).get(f"/storage/{site.store_id}")
    (mount / "theirs.raw").unlink()
    site.cluster.sync()
    assert "theirs" not in refreshed(site)
    with site.world.work() as work:
        machines.act(work, machines.get(work, machine_id), Action.DELETE)
    assert [one.state for one in site.run()] == ["done"], "with its hourly snapshot"


def test_a_disk_that_was_removed_by_hand_is_told_missing(site):
    machine_id = site.machine()
    site.cluster.path(site.disk(machine_id)).unlink()
    site.cluster.sync()
    refreshed(site)
    page = site.world.signed_in(site.world.admin()).get(f"/storage/{site.store_id}")
    assert "missing for" in page


def test_room_that_the_storage_does_not_tell_stays_as_it_was_told(site):
    with site.world.work() as work:
        store = storage.get(work, site.store_id)
        for available, told in ((GB, GB), (None, GB), (2 * GB, 2 * GB)):
            facts = StoragePoolFacts(capacity=9 * GB, available=available, active=True)
            storage.observed(work, site.store_id, facts)
            assert store.available == told
        store.observed_at = None
        storage.observed(work, site.store_id, replace(facts, available=None))
        assert store.available == 9 * GB, "it was never told"

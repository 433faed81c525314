"""Storage pools and their volumes on pages, by REST and `ovc`: added, looked at, used, removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ovcadmin.drivers.storage.base import PathFacts, StoragePoolFacts
from ovcadmin.drivers.storage.fake import FakePool
from ovcadmin.errors import StorageFailed
from ovcadmin.models import Reservation, StoragePool, Volume, utcnow
from ovcadmin.services import hosts, quota_check, quotas, storage, storage_changes
from tests.functional.outside import Outside, nothing_waits, run_all
from tests.functional.world import form
from tests.unit.domain.test_layers import CHAIN, MDSTAT, PROC_DRBD

GB, MIB = 10**9, 2**20


@pytest.fixture
def site(world):
    world.host()
    nothing_waits(world)
    return world


def store_of(world) -> StoragePool:
    with world.work() as work:
        return work.db.query(StoragePool).order_by(StoragePool.id).first()


def added(world, **more):
    """Ask for a storage pool by the form of the page."""
    asked = form(world.signed_in(world.admin()).get("/storage/new"))
    for name, value in {"name": "array", "driver": "libvirt-dir", "path": "/srv", **more}.items():
        asked[name] = value
    return asked.submit(expect_errors=True)


@pytest.mark.requirement("OVT-76")
def test_a_storage_pool_is_added_after_its_host_tried_it(site):
    assert "Add storage pool array" in added(site).follow()
    outside = Outside()
    assert [(one.type, one.state) for one in run_all(site, outside)] == [
        ("storage.connect", "done")
    ]
    assert "array" in site.signed_in(site.admin()).get("/storage")


def test_one_that_cannot_be_reached_leaves_nothing(site):
    class Closed(FakePool):
        def connect(self) -> None:
            raise StorageFailed("The target refuses the user.")

    added(site)
    outside = Outside()
    with site.work() as work:
        number = work.db.query(StoragePool).filter_by(name="array").one().id
    outside.pools[number] = Closed()
    ended = run_all(site, outside)
    assert [(one.state, one.error_text) for one in ended] == [
        ("failed", "The target refuses the user.")
    ]
    with site.work() as work:
        assert work.db.query(StoragePool).filter_by(name="array").all() == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"driver": "libvirt-iscsi-direct", "host": "san", "device": "iqn.x"}, "needs this"),
        ({"driver": "libvirt-netfs", "host": "nas"}, "needs this"),
        ({"path": "srv"}, "whole path"),
        ({"user": "anna"}, "a user with a password"),
        ({"name": "x" * 200}, "100 characters"),
    ],
)
def test_what_is_missing_is_said_beside_its_field(site, wrong, said):
    answer = added(site, **wrong)
    assert (answer.status_int, said in answer) == (422, True)


def test_the_password_is_sealed_and_shown_nowhere(site):
    fields = {"driver": "libvirt-iscsi-direct", "host": "san", "device": "iqn.x", "path": ""}
    added(site, **fields, initiator="iqn.y", user="anna", password="very secret words")
    with site.work() as work:
        store = work.db.query(StoragePool).filter_by(name="array").one()
        assert "very secret" not in str(store.source) + store.sealed_secret
    told = str(site.fingerprint())
    assert "very secret" not in told
    assert "very secret" not in site.signed_in(site.admin()).get(f"/storage/{store.id}")


@pytest.mark.requirement("OVT-69", "OVT-70")
def test_what_is_found_is_listed_with_size_and_user_and_drops_when_it_goes(site):
    store, outside = store_of(site), Outside()
    driver = outside.storage(store.id, 1)
    driver._make("lun1", 5 * GB)
    driver._make("lun2", 7 * GB)
    browser = site.signed_in(site.admin())
    page = browser.get(f"/storage/{store.id}")
    form(page, f"/storage/{store.id}/refresh").submit().follow()
    run_all(site, outside)
    page = browser.get(f"/storage/{store.id}")
    assert "lun1" in page
    assert "not offered" in page
    assert "lun2" not in browser.get(f"/storage/{store.id}?q=UN1")
    driver.delete("lun1")
    api = site.api(site.admin())
    assert api("POST", f"/storage-pools/{store.id}/refresh").status_int == 202
    run_all(site, outside)
    names = [row["name"] for row in api("GET", f"/storage-pools/{store.id}/volumes").json["items"]]
    assert names == ["lun2"]


def test_a_used_volume_that_vanishes_is_told_missing_and_not_forgotten(site):
    store, outside = store_of(site), Outside()
    site.image()
    machine = site.machine("web01", site.pool("Web"))
    outside.storage(store.id, 1)._make("lun1", 5 * GB)
    nothing_waits(site)
    with site.work() as work:
        storage_changes.found(work, store.id, outside.storage(store.id, 1).volumes())
        work.db.query(Volume).filter_by(name="lun1").one().machine_id = machine.id
    with site.work() as work:
        storage_changes.found(work, store.id, [])
    assert "missing for" in site.signed_in(site.admin()).get(f"/storage/{store.id}")


@pytest.mark.requirement("OVT-72")
def test_a_found_volume_is_taken_only_when_it_is_offered(site):
    store, outside = store_of(site), Outside()
    outside.storage(store.id, 1)._make("sdb1", 5 * GB)
    with site.work() as work:
        storage_changes.found(work, store.id, outside.storage(store.id, 1).volumes())
    api = site.api(site.admin())
    path = f"/storage-pools/{store.id}/volumes"
    number = api("GET", path).json["items"][0]["id"]
    assert api("GET", path).json["items"][0]["offered"] is False
    assert api("PATCH", f"{path}/{number}", {"offered": True}).json["offered"] is True
    browser = site.signed_in(site.admin())
    page = browser.get(f"/storage/{store.id}")
    kept = form(page, f"/storage/{store.id}/volumes/offer?volume={number}").submit("offered")
    assert "may not take sdb1" in kept.follow()


def make(world, store, pool, size=5 * GB, name="data"):
    body = {"name": name, "size": size, "pool_id": pool.id}
    return world.api(world.admin())("POST", f"/storage-pools/{store.id}/volumes", body)


def taken(world, pool) -> int:
    with world.work() as work:
        used, pending = quotas.usage(work, [pool.id])[pool.id]
        return (used + pending).storage


@pytest.mark.requirement("OVT-53")
def test_fault_02_a_volume_of_nobody_counts_and_passes_no_limit(site):
    store, pool = store_of(site), site.pool("Web", storage=10 * GB)
    outside = Outside()
    assert make(site, store, pool).status_int == 202
    assert taken(site, pool) == 5 * GB
    run_all(site, outside)
    assert taken(site, pool) == 5 * GB
    refused = make(site, store, pool, 6 * GB, "more")
    assert (refused.status_int, refused.json["code"]) == (409, "quota.exceeded")
    api = site.api(site.admin())
    path = f"/storage-pools/{store.id}/volumes"
    number = api("GET", path).json["items"][0]["id"]
    grown = api("POST", f"{path}/{number}/grow", {"size": 11 * GB})
    assert grown.json["code"] == "quota.exceeded"
    assert api("POST", f"{path}/{number}/grow", {"size": 9 * GB}).status_int == 202
    run_all(site, outside)
    assert taken(site, pool) == 9 * GB
    with site.work() as work:
        assert quota_check.differences(work) == []
    assert api("DELETE", f"{path}/{number}").status_int == 202
    run_all(site, outside)
    assert (taken(site, pool), outside.pools[store.id].volumes()) == (0, [])
    with site.work() as work:
        assert work.db.query(Reservation).all() == []


def test_a_volume_that_could_not_be_made_leaves_neither_row_nor_promise(site):
    store, pool, outside = store_of(site), site.pool("Web"), Outside()
    outside.pools[store.id] = FakePool(capacity=GB)
    make(site, store, pool)
    assert [one.error_code for one in run_all(site, outside)] == ["storage.full"]
    assert taken(site, pool) == 0
    with site.work() as work:
        assert work.db.query(Volume).all() == []


def test_what_is_in_use_is_not_deleted_nor_its_storage_pool_removed(site):
    store = store_of(site)
    site.image()
    api, browser = site.api(site.admin()), site.signed_in(site.admin())
    number = api("GET", f"/storage-pools/{store.id}/volumes").json["items"][0]["id"]
    page = browser.get(f"/storage/{store.id}/volumes/delete?volume={number}")
    answer = form(page).submit(expect_errors=True)
    assert (answer.status_int, "is in use by Starter" in answer) == (409, True)
    assert api("DELETE", f"/storage-pools/{store.id}").json["code"] == "object.in_use"


def test_an_empty_storage_pool_is_removed(site):
    store, outside = store_of(site), Outside()
    page = site.signed_in(site.admin()).get(f"/storage/{store.id}/remove")
    form(page).submit().follow()
    assert [one.state for one in run_all(site, outside)] == ["done"]
    assert site.api(site.admin())("GET", "/storage-pools").json["items"] == []


def test_volumes_are_made_and_grown_on_pages(site):
    store, outside = store_of(site), Outside()
    browser = site.signed_in(site.admin())
    asked = form(browser.get(f"/storage/{store.id}/volumes/new"))
    asked["name"], asked["size"] = "data", "2 GB"
    assert "data is being made" in asked.submit().follow()
    run_all(site, outside)
    with site.work() as work:
        number = work.db.query(Volume).one().id
    asked = form(browser.get(f"/storage/{store.id}/volumes/grow?volume={number}"))
    asked["size"] = "1 GB"
    assert "already" in asked.submit(expect_errors=True)
    asked["size"] = "3 GB"
    asked.submit().follow()
    run_all(site, outside)
    assert "3 GB" in browser.get(f"/storage/{store.id}")


def test_use_over_time_is_kept_by_the_hour(site):
    store = store_of(site)
    for _ in range(2):
        with site.work() as work:
            storage_changes.measured(work, store.id, [])
    shown = site.api(site.admin())("GET", f"/storage-pools/{store.id}/usage").json["items"]
    assert [(row["capacity"], row["available"]) for row in shown] == [(10**15, 10**15)]
    assert "Use over time" in site.signed_in(site.admin()).get(f"/storage/{store.id}")


def test_who_may_only_look_changes_nothing(site):
    store = store_of(site)
    monitor = site.user("m", "Monitor")
    api = site.api(monitor)
    assert api("GET", f"/storage-pools/{store.id}/volumes").status_int == 200
    assert api("POST", f"/storage-pools/{store.id}/refresh").status_int == 403
    assert api("DELETE", f"/storage-pools/{store.id}").status_int == 403
    assert "Add a storage pool" not in site.signed_in(monitor).get("/storage")


def test_an_owner_of_a_pool_makes_no_volume_for_another(site):
    web, shop = site.pool("Web"), site.pool("Shop")
    site.host("kvm-web", web)
    with site.work() as work:
        number = work.db.query(StoragePool).filter_by(pool_id=web.id).one().id
    owner = site.api(site.user("owner", "Administrator", web))
    body = {"name": "data", "size": GB, "pool_id": shop.id}
    assert owner("POST", f"/storage-pools/{number}/volumes", body).status_int == 404


@pytest.mark.requirement("KVM-07")
def test_of_two_storage_servers_the_page_of_a_machine_names_the_one_with_its_disk(site):
    for name, server in (("array-a", "nas-a.example"), ("array-b", "nas-b.example")):
        added(site, name=name, driver="libvirt-netfs", host=server, device="/export", path="/srv")
    site.image()
    machine = site.machine("web01", site.pool("Web"))
    with site.work() as work:
        stores = {row.source.get("host"): row.id for row in work.db.query(StoragePool)}
        disk = {"name": "data", "key": "data", "size": GB, "created_at": work.now()}
        on = {"storage_pool_id": stores["nas-b.example"], "machine_id": machine.id, "target": "vdb"}
        work.db.add(Volume(**on, **disk))
    page = site.signed_in(site.admin()).get(f"/machines/{machine.id}").html.get_text(" ")
    assert "Disk vdb 1 GB in array-b on nas-b.example" in " ".join(page.split())
    assert ("nas-a.example" in stores, "nas-a.example" in page) == (True, False)


@pytest.mark.requirement("KVM-10")
def test_a_storage_pool_shows_what_it_is_built_of_and_a_mirror_that_broke(site):
    store = store_of(site)
    with site.work() as work:
        storage.observed(work, store.id, StoragePoolFacts(capacity=GB, available=GB, active=True))
    browser = site.signed_in(site.admin())
    asked = form(browser.get(f"/storage/{store.id}/layers"))
    asked["layers"] = "tape x"
    assert "Begin each line with one of" in asked.submit(expect_errors=True)
    asked["layers"] = "\n".join(CHAIN)
    asked["status"] = MDSTAT + PROC_DRBD
    page = asked.submit().follow()
    shown = " ".join(page.html.select_one(".layers").get_text(" ").split())
    assert shown.startswith(
        "RAID md0 [UU] › DRBD r0 Connected Primary/Secondary UpToDate/UpToDate › LVM vg0 › "
        "Machine storage-a › LVM vg1 › iSCSI iqn"
    )
    api = site.api(site.admin())
    broken = {"layers": ["drbd r1"], "status": PROC_DRBD}
    told = api("PUT", f"/storage-pools/{store.id}/layers", broken).json
    assert told["layers"][0]["good"] is False
    assert "degraded" in browser.get("/storage")


def test_a_path_that_is_lost_shows(site):
    store = store_of(site)
    told = {"10.0.0.1:3260": True, "10.0.1.1:3260": False}
    paths = tuple(PathFacts(portal=portal, up=up) for portal, up in told.items())
    facts = StoragePoolFacts(capacity=GB, available=GB, active=True, paths=paths)
    with site.work() as work:
        storage.observed(work, store.id, facts)
    page = site.signed_in(site.admin()).get(f"/storage/{store.id}")
    assert [cell.get_text(" ", strip=True) for cell in page.html.select(".path")] == [
        "10.0.0.1:3260 up", "10.0.1.1:3260 lost"
    ]  # fmt: skip
    assert "degraded" in page.html.select_one(".title").get_text()


def test_further_portals_are_kept_and_wrong_ones_told(site):
    target = {"driver": "libvirt-iscsi-direct", "host": "san", "device": "iqn.x",
              "initiator": "iqn.y", "path": ""}  # fmt: skip
    for driver, portals in (("libvirt-iscsi-direct", "a b/c"), ("libvirt-dir", "a")):
        fields = {**target, "driver": driver, "portals": portals, "path": "/srv"}
        assert added(site, **fields).status_int == 422
    added(site, **target, portals="san-b\n10.0.0.2:3261")
    with site.work() as work:
        store = work.db.query(StoragePool).filter_by(name="array").one()
        assert store.source["portals"] == ["san-b", "10.0.0.2:3261"]


def test_kinds_that_no_host_can_are_left_out_and_explained(site):
    with site.work() as work:
        host = hosts.watched(work)[0]
        host.storage_kinds = ["dir", "fs", "iscsi-direct"]
    page = site.signed_in(site.admin()).get("/storage/new")
    offered = [option["value"] for option in page.html.select("select[name=driver] option")]
    assert offered == ["libvirt-dir", "libvirt-fs", "libvirt-iscsi-direct"]
    assert "No host has libvirt's backend for NFS, LVM volume group" in page.html.get_text()
    when = page.html.select_one("input[name=initiator]")["data-when"]
    assert when == "driver=libvirt-iscsi libvirt-iscsi-direct", "asked for of these alone"
    body = {"name": "x", "host_id": host.id, "driver": "libvirt-netfs", "path": "/p",
            "host": "nas", "device": "/e"}  # fmt: skip
    api = site.api(site.admin())
    refused = api("POST", f"/pools/{site.root().id}/storage-pools", body)
    assert (refused.status_int, "has no backend of libvirt for NFS" in refused.text) == (422, True)


def test_an_iso_that_was_found_becomes_an_image_where_it_lies(site):
    store, outside = store_of(site), Outside()
    driver = outside.storage(store.id, 1)
    driver._make("debian.iso", 5 * GB)
    driver._make("notes.txt", GB)
    api, browser = site.api(site.admin()), site.signed_in(site.admin())
    api("POST", f"/storage-pools/{store.id}/refresh")
    run_all(site, outside)
    path = f"/storage-pools/{store.id}/volumes"
    found = {row["name"]: row["id"] for row in api("GET", path).json["items"]}
    page = browser.get(f"/storage/{store.id}/volumes/show?volume={found['debian.iso']}")
    asked = form(page.click("Register as an ISO"))
    assert asked["name"].value == "debian"
    asked["name"] = "Debian 12"
    asked.submit()
    assert [one.state for one in run_all(site, outside)] == ["done"]
    image = api("GET", "/images").json["items"][0]
    assert (image["name"], image["kind"], image["size"]) == ("Debian 12", "iso", 5 * GB)
    assert len(image["checksum"]) == 64
    assert api("POST", f"{path}/{found['notes.txt']}/image", {"name": "Notes"}).status_int == 202
    assert run_all(site, outside)[0].error_code == "image.invalid"
    assert api("DELETE", f"/images/{image['id']}").status_int == 202
    run_all(site, outside)
    assert driver.volume("debian.iso") is not None, "what was found stays"
    assert api("GET", "/images").json["items"] == []


def test_what_an_export_took_and_moved_is_kept_each_hour_and_shown(site):
    store, outside = store_of(site), Outside()
    site.image()
    machine = site.machine("web01", site.pool("Web"))
    nothing_waits(site)
    fake = outside.storage(store.id, 1)
    fake._make("unit:0:0:1", 5 * GB)
    with site.work() as work:
        storage_changes.found(work, store.id, fake.volumes())
        volume = work.db.query(Volume).filter_by(name="unit:0:0:1").one()
        volume.machine_id, volume.target = machine.id, "vdb"
        volume.created_at = utcnow() - timedelta(hours=2)
    begun = utcnow() - timedelta(hours=2)
    for hour, counters in enumerate([(100, 1000), (300, 5000), (50, 10)]):
        facts = replace(fake.volumes()[0], allocated=hour * MIB)
        with site.work() as made:
            work = replace(made, clock=lambda h=hour: begun + timedelta(hours=h))
            storage_changes.measured(work, store.id, [facts], {(machine.uuid, "vdb"): counters})
            storage_changes.measured(work, store.id, [facts], {})
    api = site.api(site.admin())
    told = api("GET", f"/storage-pools/{store.id}/volumes/{volume.id}/usage").json["items"]
    assert [(row["allocated"], row["read"], row["written"]) for row in told] == [
        (0, 100, 1000), (MIB, 200, 4000), (2 * MIB, 50, 10)
    ]  # fmt: skip
    page = site.signed_in(site.admin()).get(f"/storage/{store.id}/volumes/show?volume={volume.id}")
    _, second, _ = (row.get_text("|", strip=True) for row in page.html.select("tbody tr"))
    assert second.endswith("|1 MB|200 B|4 kB")

"""OpenvStorage clusters and vPools, on pages, by REST, and what is never shown."""

from __future__ import annotations

import pytest

from ovcadmin.drivers.storage.base import (
    ClusterFacts,
    MountFacts,
    RouterFacts,
    VPoolFacts,
)
from ovcadmin.errors import StorageUnreachable
from ovcadmin.models import Audit, StorageCluster
from ovcadmin.services import clusters, seals, storage
from tests.functional.world import form

FACTS = ClusterFacts(
    release="Fargo",
    roles=("read", "write", "manage"),
    routers=(
        RouterFacts(guid="r1", name="kvm-a.example.org", ip="10.0.0.1", status="OK"),
        RouterFacts(guid="r2", name="sr2", ip="10.0.0.2", status="WARNING"),
    ),
    vpools=(
        VPoolFacts(
            guid="v1",
            name="vpool1",
            status="RUNNING",
            mounts=tuple(
                MountFacts(
                    router=guid, mountpoint="/mnt/vpool1", status="RUNNING",
                    storage_ip="10.0.1.1", edge_port=26203,
                )
                for guid in ("r1", "r2")
            ),
            configuration={"dtl_mode": "a_sync", "mds_config": {"mds_safety": 3}},
            statistics={"stored": 5 * 10**9, "data_read": 10**9, "data_written": 10**9},
        ),
    ),
)  # fmt: skip


@pytest.fixture
def admin(world):
    return world.signed_in(world.admin())


def add(world, admin, **more):
    page = form(admin.get(f"/storage/clusters/new?pool={world.root().id}"))
    values = {
        "name": "Fast", "addresses": "10.0.0.1\nhttps://10.0.0.2:8443", "client_id": "id-1",
        "secret": "s3cret-word", **more,
    }  # fmt: skip
    for name, value in values.items():
        page[name] = value
    return page.submit(expect_errors=True)


def seen(world, facts=FACTS) -> int:
    with world.work() as work:
        cluster_id = clusters.listing(work)[0].id
        clusters.observed(work, cluster_id, facts)
        return cluster_id


def test_a_cluster_is_added_and_its_secret_is_never_shown_again(world, admin):
    page = add(world, admin).follow()
    assert "not asked yet" in page
    assert "https://10.0.0.1:443, https://10.0.0.2:8443" in page
    with world.work() as work:
        cluster = clusters.listing(work)[0]
        assert "s3cret-word" not in cluster.sealed_secret
        assert seals.unseal(work, cluster.sealed_secret) == "s3cret-word"
        told = [
            str(row.after) for row in work.db.query(Audit).filter_by(object_kind="storage_cluster")
        ]
    shown = [page, admin.get(f"/storage/clusters/{cluster.id}/edit"), *told]
    assert all("s3cret-word" not in str(text) for text in shown)
    assert told


@pytest.mark.parametrize(
    "field, value, why",
    [
        ("addresses", "http://10.0.0.1", "is no address of a storage router"),
        ("addresses", " ", "Name between one and 50 storage routers"),
        ("authority", "hello", "no certificates in PEM"),
        ("fingerprints", "abc", "64 hexadecimal digits"),
        ("secret", "", "Enter the client&#39;s secret"),
    ],
)
def test_what_cannot_be_is_said_next_to_the_field_and_what_was_typed_stays(
    world, admin, field, value, why
):
    answer = add(world, admin, **{field: value})
    assert answer.status_int == 422
    assert why.replace("&#39;", "'") in answer.text.replace("&#39;", "'")
    assert 'value="Fast"' in answer


def test_a_sealed_secret_is_not_sent_to_new_addresses(world, admin):
    add(world, admin)
    cluster_id = seen(world)
    page = form(admin.get(f"/storage/clusters/{cluster_id}/edit"))
    page["addresses"] = "10.6.6.6"
    answer = page.submit(expect_errors=True)
    assert "it would be sent to other addresses" in answer
    page["addresses"] = "10.0.0.1\nhttps://10.0.0.2:8443"
    page["name"] = "Faster"
    assert "Faster is saved" in page.submit().follow()


@pytest.mark.requirement("OVC-43", "OVC-47")
def test_a_vpool_serves_the_hosts_that_stand_on_its_storage_routers(world, admin):
    host = world.host("kvm-a")
    other = world.host("kvm-b")
    add(world, admin)
    cluster_id = seen(world)
    page = admin.get(f"/storage/clusters/{cluster_id}")
    assert "kvm-a.example.org" in page
    assert "none of ours" in page, "sr2 stands on no host that we know"
    added = form(page.click("Add a vPool"))
    added["vpool"] = "v1"
    store = added.submit().follow()
    for text in ("a_sync", "metadata 3 times", "/mnt/vpool1", "OpenvStorage"):
        assert text in store
    store_id = int(store.request.path.rsplit("/", 1)[1])
    assert reached(world, store_id) == [host.id]
    placed = admin.send(
        f"/storage/clusters/{cluster_id}/router", {"router": "r2", "host": other.id}
    )
    assert placed.status_int == 303
    assert reached(world, store_id) == [host.id, other.id]
    admin.send(f"/storage/clusters/{cluster_id}/router", {"router": "r2", "host": ""})
    assert reached(world, store_id) == [host.id]
    removal = form(admin.get(f"/storage/clusters/{cluster_id}/remove")).submit(expect_errors=True)
    assert removal.status_int == 409
    assert "remove these storage pools first" in removal
    admin.send(f"/storage/clusters/{cluster_id}/vpool/remove", {"vpool": "v1"})
    form(admin.get(f"/storage/clusters/{cluster_id}/remove")).submit()
    with world.work() as work:
        assert work.db.query(StorageCluster).count() == 0


def test_a_vpool_that_no_host_reaches_says_what_helps(world, admin):
    add(world, admin)
    cluster_id = seen(world)
    added = form(admin.get(f"/storage/clusters/{cluster_id}").click("Add a vPool"))
    added["vpool"] = "v1"
    store = added.submit().follow()
    why = "None of its cluster's storage routers is known to stand on an enrolled host"
    assert why in store.html.get_text()
    refused = form(store.click("Convert a machine template"))
    refused["file"], refused["name"] = "debian12.qcow2", "Debian 12"
    assert why in refused.submit(expect_errors=True).html.get_text()
    host = world.host("kvm-x")
    admin.send(f"/storage/clusters/{cluster_id}/router", {"router": "r1", "host": host.id})
    assert why not in admin.get(store.request.path).html.get_text()


def reached(world, store_id: int) -> list[int]:
    with world.work() as work:
        return sorted(host.id for host in storage.get(work, store_id).hosts)


def test_a_cluster_that_does_not_answer_says_why_and_placement_goes_on(world, admin):
    add(world, admin)
    cluster_id = seen(world)
    with world.work() as work:
        clusters.silent(work, cluster_id, StorageUnreachable("No storage router of Fast answers."))
    page = admin.get(f"/storage/clusters/{cluster_id}")
    assert "No storage router of Fast answers." in page
    assert "silent" in page
    admin.send(f"/storage/clusters/{cluster_id}/look", {})
    with world.work() as work:
        assert [cluster.id for cluster in clusters.due(work)] == [cluster_id]
        assert clusters.due(work) == [], "its turn is put off once it is taken"


def test_the_same_by_rest(world):
    api = world.api(world.admin())
    root = world.root().id
    body = {"name": "Fast", "addresses": ["10.0.0.1"], "client_id": "id-1", "secret": "s3cret-word"}
    made = api("POST", f"/pools/{root}/storage-clusters", body)
    assert made.status_int == 201
    assert "s3cret-word" not in made.text
    path = f"/storage-clusters/{made.json['id']}"
    seen(world)
    found = api("GET", path).json
    assert [router["name"] for router in found["routers"]] == ["kvm-a.example.org", "sr2"]
    store = api("POST", f"{path}/vpools", {"vpool": "v1", "declared": 10**12, "access": "edge"})
    assert store.status_int == 201
    assert api("POST", f"{path}/vpools", {"vpool": "v1"}).status_int == 409
    assert api("POST", f"{path}/vpools", {"vpool": "nope"}).status_int == 422
    assert api("PATCH", path, {"addresses": ["10.6.6.6"]}).status_int == 422
    assert api("POST", f"{path}/look").json["state"] == "up"
    assert api("DELETE", path).status_int == 409
    assert api("DELETE", f"{path}/vpools", {"vpool": "v1"}).status_int == 204
    assert api("DELETE", path).status_int == 204


def test_whoever_administers_another_pool_does_not_see_it(world, admin):
    pool = world.pool("Elsewhere")
    add(world, admin)
    cluster_id = seen(world)
    stranger = world.signed_in(world.user("otto", "Administrator", pool))
    assert stranger.get(f"/storage/clusters/{cluster_id}", status=404)
    assert "Fast" not in stranger.get("/storage/clusters")

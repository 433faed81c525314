"""OpenvStorage: what a cluster tells late or not at all, and what happens there without us."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import urllib3

from ovcadmin.drivers.storage.openvstorage import survey
from ovcadmin.drivers.storage.openvstorage.client import ACCEPT, Client
from ovcadmin.errors import StorageFailed, StorageInUse
from tests.contract.storing import MIB, Notes, clone, disk, imported, silent
from tests.rig.base import wait_until
from tests.rig.openvstorage import SWIFT, settings_of, vpool_of


def router_of(cluster, key) -> str:
    """The name of the storage router that really serves a volume."""
    return cluster.cluster.routers[cluster.cluster.disk(key).router_guid].name


def told_router(client, cluster, key) -> str:
    """The one that the cluster tells."""
    guid = client.get(f"vdisks/{key}/", contents="storagerouter_guid")["storagerouter_guid"]
    return cluster.cluster.routers[guid].name


def late(cluster, seconds: float) -> None:
    """From now on snapshots take so long to reach the backend."""
    object.__setattr__(cluster.plan, "backend_seconds", seconds)


# told late


def test_a_volume_that_comes_and_goes_ends_where_it_was_wanted_last(cluster, client, vpool, raw):
    key = disk(vpool, raw)
    assert told_router(client, cluster, key) == "kvm-a"
    vpool.move(key, "kvm-b")
    assert told_router(client, cluster, key) == "kvm-a", "the cluster tells it late"
    cluster.faults.fail_tasks = ["Failed to move"]
    with pytest.raises(StorageFailed, match="Failed to move"):
        vpool.move(key, "kvm-a")
    vpool.move(key, "kvm-a")
    assert router_of(cluster, key) == "kvm-a"
    vpool.move(key, "kvm-b")
    vpool.move(key, "kvm-b")
    assert router_of(cluster, key) == "kvm-b"


def test_a_snapshot_waits_for_one_that_the_cluster_made_in_between(cluster, vpool, raw):
    """The hourly one, of which the list of snapshots tells only later."""
    key = disk(vpool, raw)
    assert vpool.snapshots(key) == []
    late(cluster, 1.0)
    cluster.cluster.hourly()
    vpool.snapshot(key, "ours", memo=Notes())
    assert [snapshot.name for snapshot in vpool.snapshots(key)] == ["ours"]
    assert len(cluster.cluster.disk(key).snapshots) == 2


def test_a_snapshot_that_never_reaches_the_backend_ends_in_bounded_time(
    cluster, vpool, raw, tmp_path
):
    key = disk(vpool, raw)
    late(cluster, 3600)
    vpool.snapshot(key, "stuck", memo=Notes())
    hasty = settings_of(cluster, replace(SWIFT, sync=1))
    begun = time.monotonic()
    with pytest.raises(StorageFailed, match="has not reached the backend within"):
        vpool_of(cluster, Client(hasty, tmp_path / "token")).snapshot(key, "next", memo=Notes())
    assert time.monotonic() - begun < SWIFT.sync
    assert [snapshot.name for snapshot in vpool.snapshots(key)] == ["stuck"]


def test_a_clone_is_whole_when_it_is_told_to_be_there(cluster, vpool, raw):
    """The cluster answers first and works later."""
    imported(vpool, raw)
    object.__setattr__(cluster.tasks, "_seconds", 0.5)
    made = clone(vpool, size=8 * MIB)
    assert cluster.cluster.path(cluster.cluster.disk(made.key)).stat().st_size == 8 * MIB


# not told


def test_counters_that_are_all_zero_are_not_believed(cluster, client, vpool, raw):
    guid = cluster.cluster.vpool("vpool1").guid
    cluster.faults.silent_alba = True
    assert survey.pool_facts(client, guid, 10 * MIB).available == 10 * MIB, "it is empty"
    imported(vpool, raw)
    before = survey.pool_facts(client, guid, 10 * MIB).available
    assert before is not None
    assert before < 10 * MIB
    assert survey.look(client).vpools[0].statistics["stored"] > 0
    cluster.faults.no_statistics = True
    assert survey.pool_facts(client, guid, 10 * MIB).available is None
    assert survey.look(client).vpools[0].statistics == {}


def test_a_halted_volume_is_refused_in_the_words_of_the_cluster(cluster, client, vpool, raw):
    key = disk(vpool, raw)
    cluster.faults.halted = [key]
    told = client.get(f"vdisks/{key}/", contents="storagerouter_guid,info")
    assert (told["storagerouter_guid"], told["info"]["live_status"]) == (None, "HALTED")
    assert vpool.volume(key) is not None, "it is there all the same"
    with pytest.raises(StorageFailed, match="is not running, cannot extend"):
        vpool.grow(key, 8 * MIB)
    with pytest.raises(StorageFailed, match="Failed to move"):
        vpool.move(key, "kvm-b")
    cluster.faults.halted = []
    vpool.grow(key, 8 * MIB)
    vpool.move(key, "kvm-b")
    assert router_of(cluster, key) == "kvm-b"


def test_fault_38_a_volume_is_served_by_one_storage_router_or_not_used(cluster, vpool, raw):
    key = disk(vpool, raw)
    vpool.ensure_served(key)
    vpool.move(key, "kvm-b")
    vpool.ensure_served(key)
    cluster.faults.claimed = {key: "kvm-a"}
    with pytest.raises(StorageFailed, match="disagree: kvm-a and kvm-b each say") as refused:
        vpool.ensure_served(key)
    assert refused.value.context["routers"] == ["kvm-a", "kvm-b"]
    cluster.faults.claimed = {}
    cluster.faults.halted = [key]
    with pytest.raises(StorageFailed, match="No storage router of cluster serves volume"):
        vpool.ensure_served(key)


def test_a_storage_router_on_which_nothing_listens_refuses_and_comes_back(cluster, vpool):
    vpool.volumes()
    place = urlsplit(cluster.addresses["kvm-a"])
    cluster.faults.refuse = ["kvm-a"]
    wait_until(lambda: not _open(place), "a refused connection")
    vpool.create("data", MIB, host="kvm-a", memo=Notes())
    assert [volume.name for volume in vpool.volumes()] == ["data"]
    cluster.faults.refuse = []
    wait_until(lambda: _open(place), "the storage router again")
    cluster.faults.refuse = ["kvm-b"]
    assert [volume.name for volume in vpool.volumes()] == ["data"]


def _open(place) -> bool:
    try:
        socket.create_connection((place.hostname, place.port), 2).close()
    except ConnectionRefusedError:
        return False
    return True


# without us


def test_volumes_made_by_hand_are_seen_and_what_lives_on_ours_is_respected(cluster, vpool, raw):
    key = disk(vpool, raw)
    mount = cluster.plan.mountpoint("vpool1")
    (mount / "theirs.raw").write_bytes(bytes(MIB))
    assert "theirs" not in [volume.name for volume in vpool.volumes()], "the cluster tells it late"
    cluster.cluster.sync()
    found = {volume.name: volume for volume in vpool.volumes()}
    assert found["theirs"].size == MIB
    ours = cluster.cluster.disk(key)
    cluster.cluster.clone(ours, ours.router_guid, "their-clone", None)
    with pytest.raises(StorageInUse, match="their-clone"):
        vpool.delete(key)
    (mount / "theirs.raw").unlink()
    cluster.cluster.sync()
    assert "theirs" not in [volume.name for volume in vpool.volumes()]
    assert vpool.volume(found["theirs"].key) is None


def test_a_rollback_is_refused_while_others_live_on_what_came_later(cluster, vpool, raw):
    key = disk(vpool, raw)
    first = vpool.snapshot(key, "first", memo=Notes())
    second = vpool.snapshot(key, "second", memo=Notes())
    vpool.clone(second.key, "child", size=0, host="kvm-a", memo=Notes(), progress=silent)
    assert vpool.needed_after(key, first.key) == ["child"]
    with pytest.raises(StorageInUse, match="made of what came after it is child"):
        vpool.rollback(key, first.key)
    assert vpool.needed_after(key, second.key) == []
    vpool.rollback(key, second.key)
    vpool.delete("child")
    vpool.rollback(key, first.key)
    assert vpool.snapshots(key) == [first]


def test_the_clusters_own_jobs_begin_over_http(cluster, client, vpool, raw):
    """So a development server shows them too; the last is also a call of the real API."""
    key = disk(vpool, raw)
    bare = urllib3.PoolManager(ca_certs=str(cluster.authority))
    address = cluster.addresses["kvm-a"]
    assert bare.request("POST", f"{address}/simulator/jobs/hourly/").status == 200
    assert len(cluster.cluster.disk(key).snapshots) == 1
    assert bare.request("POST", f"{address}/simulator/jobs/retention/").status == 200
    assert cluster.cluster.disk(key).snapshots == []
    assert bare.request("POST", f"{address}/simulator/jobs/party/").status == 404
    (cluster.plan.mountpoint("vpool1") / "theirs.raw").write_bytes(bytes(MIB))
    guid = cluster.cluster.vpool("vpool1").guid
    client.finish(client.post(f"vpools/{guid}/sync_with_reality/"), SWIFT.task)
    assert cluster.cluster.named("theirs") is not None


# the order in which a call is judged


def test_a_call_is_judged_in_the_order_of_the_real_api(cluster, client, vpool, raw):
    key = disk(vpool, raw)
    bare = urllib3.PoolManager(ca_certs=str(cluster.authority))
    address, path = cluster.addresses["kvm-a"], f"/api/vdisks/{key}/move/"
    token = client._tokens.get(client._fetch_token)

    def told(path, accept, key=None, body=None):
        headers = {"Accept": accept, "Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        answer = bare.request("POST", address + path, headers=headers, body=json.dumps(body or {}))
        return answer.status, json.loads(answer.data).get("error", "")

    no_such = "/api/vdisks/nobody/move/"
    assert told(no_such, "application/json") == (406, "missing_header")
    assert told(no_such, "application/json; version=99") == (403, "")
    assert told(no_such, "application/json; version=99", "guessed") == (401, "invalid_token")
    assert told(no_such, "application/json; version=99", token) == (426, "invalid_version")
    assert told(no_such, ACCEPT, token) == (404, "object_not_found")
    assert told(path, ACCEPT, token) == (406, "invalid_data")
    cluster.cluster.set_as_template(cluster.cluster.disk(vpool.volume("image-1").key))
    template = f"/api/vdisks/{vpool.volume('image-1').key}/delete/"
    assert told(template, ACCEPT, token) == (406, "impossible_request")

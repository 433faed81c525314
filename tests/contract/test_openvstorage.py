"""OpenvStorage over real HTTPS: what a cluster does wrong, and that nothing is made twice."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from pathlib import Path

import pytest

from ovcadmin.drivers.storage.openvstorage import survey
from ovcadmin.drivers.storage.openvstorage.client import Client
from ovcadmin.drivers.storage.openvstorage.driver import VPool
from ovcadmin.errors import (
    SettingInvalid,
    StorageFailed,
    StorageInUse,
    StorageRefused,
    StorageTaskLost,
    StorageUnreachable,
)
from tests.contract.storing import MIB, Notes, clone, disk, imported, silent
from tests.rig.base import wait_until
from tests.rig.openvstorage import SWIFT, settings_of, simulator, vpool_of


def names(cluster) -> list[str]:
    return sorted(disk.name for disk in cluster.cluster.disks.values())


def changes(cluster, part: str) -> int:
    return sum(method == "POST" and part in path for _, method, path in cluster.calls)


def file_of(pool, key) -> Path:
    return Path(pool.disk(key, target="vda", boot_order=1).source)


def write(path: Path, start: bytes) -> None:
    with path.open("r+b") as file:
        file.write(start)


# bytes, places, sizes


@pytest.mark.requirement("OVC-39", "OVC-44")
def test_a_clone_has_the_templates_bytes_and_writes_do_not_reach_it(vpool, raw):
    imported(vpool, raw)
    copy, template = file_of(vpool, clone(vpool, size=8 * MIB).key), file_of(vpool, "image-1")
    assert copy.read_bytes()[: raw.stat().st_size] == raw.read_bytes()
    write(copy, b"guest")
    assert template.read_bytes() == raw.read_bytes()


@pytest.mark.requirement("OVC-43")
def test_a_volume_is_made_on_the_storage_router_of_its_host(cluster, vpool, raw):
    imported(vpool, raw)
    for host in ("kvm-a", "kvm-b"):
        made = vpool.clone(
            "image-1", f"on-{host}", size=0, host=host, memo=Notes(), progress=silent
        )
        router = cluster.cluster.disk(made.key).router_guid
        assert cluster.cluster.routers[router].name == host
    vpool.move(made.key, "kvm-a")
    router = cluster.cluster.disk(made.key).router_guid
    assert cluster.cluster.routers[router].name == "kvm-a"
    with pytest.raises(StorageFailed, match="No storage router of cluster is known to stand on"):
        vpool.create("lost", MIB, host="kvm-c", memo=Notes())


def test_a_guest_may_open_its_volume_by_the_edge_of_its_hosts_storage_router(
    cluster, client, vpool, raw
):
    key = disk(vpool, raw)
    routers = {"kvm-b": next(r.guid for r in cluster.cluster.routers.values() if r.name == "kvm-b")}
    guid = cluster.cluster.vpool("vpool1").guid
    edge = VPool(client, guid, routers=routers, at="kvm-b", edge=True)
    told = edge.disk(key, target="vda", boot_order=1)
    driver = cluster.cluster.driver_of(guid, routers["kvm-b"])
    assert (told.kind, told.source) == ("network", "machine-1")
    assert told.server == (driver.ip, driver.static["ports"]["edge"])


@pytest.mark.requirement("OVC-41")
def test_a_rollback_brings_back_the_bytes_of_the_right_snapshot(vpool, raw):
    key = disk(vpool, raw)
    first = vpool.snapshot(key, "before", memo=Notes())
    write(file_of(vpool, key), b"once")
    second = vpool.snapshot(key, "before", memo=Notes())
    write(file_of(vpool, key), b"ruin")
    assert first.created < second.created, "they are told apart by time as well"
    vpool.rollback(key, second.key)
    assert file_of(vpool, key).read_bytes().startswith(b"once")
    vpool.rollback(key, first.key)
    assert file_of(vpool, key).read_bytes() == raw.read_bytes()
    assert [snapshot.key for snapshot in vpool.snapshots(key)] == [first.key]


def test_our_snapshots_survive_the_nightly_job_and_others_are_not_shown(cluster, vpool, raw):
    key = disk(vpool, raw)
    ours = vpool.snapshot(key, "ours", memo=Notes())
    cluster.cluster.hourly()
    assert vpool.snapshots(key) == [ours]
    cluster.cluster.retention()
    assert [s.guid for s in cluster.cluster.disk(key).snapshots] == [ours.key.partition("@")[2]]


def test_a_snapshot_waits_until_the_last_one_is_in_the_backend(cluster, vpool, raw):
    object.__setattr__(cluster.plan, "backend_seconds", 1.5)
    key = disk(vpool, raw)
    vpool.snapshot(key, "one", memo=Notes())
    vpool.snapshot(key, "two", memo=Notes())
    assert [snapshot.name for snapshot in vpool.snapshots(key)] == ["one", "two"]


def test_what_others_were_cloned_from_says_which(vpool, raw):
    key = disk(vpool, raw)
    snapshot = vpool.snapshot(key, "as template", memo=Notes())
    vpool.clone(snapshot.key, "child-1", size=0, host="kvm-a", memo=Notes(), progress=silent)
    for refused in (
        lambda: vpool.delete("image-1"),
        lambda: vpool.delete(key),
        lambda: vpool.delete_snapshot(key, snapshot.key),
    ):
        with pytest.raises(StorageInUse) as caught:
            refused()
        assert caught.value.context["children"] == (
            ["machine-1"] if "image-1" in caught.value.text else ["child-1"]
        )
    vpool.delete("child-1")
    vpool.delete_snapshot(key, snapshot.key)
    vpool.delete(key)


def test_a_template_is_a_snapshot_that_keeps_its_volume(cluster, vpool, raw):
    key, memo = disk(vpool, raw), Notes()
    early = vpool.snapshot(key, "early", memo=Notes())
    made = vpool.template(key, "image-7", memo=memo)
    assert vpool.template(key, "image-7", memo=memo).key == made.key, "it is made once"
    assert made.key.startswith(f"{key}@")
    assert vpool.children(key) == ["image-7"], "no clone yet, and still it is needed"
    for refused in (lambda: vpool.delete(key), lambda: vpool.rollback(key, early.key)):
        with pytest.raises(StorageInUse, match="image-7"):
            refused()
    write(file_of(vpool, key), b"later")
    copy = vpool.clone(made.key, "child", size=0, host="kvm-b", memo=Notes(), progress=silent)
    assert file_of(vpool, copy.key).read_bytes() == raw.read_bytes()
    assert vpool.children(made.key) == ["child"]
    with pytest.raises(StorageInUse, match="child"):
        vpool.delete(made.key)
    vpool.delete("child")
    vpool.delete(made.key)
    vpool.delete(made.key)
    assert vpool.children(key) == []
    vpool.delete(key)
    assert names(cluster) == ["image-1"]


def test_a_snapshot_whose_key_was_never_noted_goes_by_its_mark(cluster, vpool, raw):
    key, memo = disk(vpool, raw), Notes()
    vpool.snapshot(key, "half known", memo=memo)
    vpool.delete_snapshot(key, memo.get("snapshot"))
    assert cluster.cluster.disk(key).snapshots == []


@pytest.mark.parametrize("size", [0, -4096, 64 * 2**40 + 1])
def test_fault_08_a_size_that_no_volume_can_have_is_refused_here(cluster, vpool, size):
    with pytest.raises(StorageFailed, match="between 1 byte and 64 TiB"):
        vpool.create("data", size, host="kvm-a", memo=Notes())
    assert changes(cluster, "/vdisks/") == 0


# tasks


def test_fault_07_a_step_that_runs_again_waits_for_the_task_it_began(cluster, vpool):
    object.__setattr__(cluster.tasks, "_seconds", 0.5)
    memo = Notes()

    class Killed(Exception):
        pass

    def dies(key: str, value: str) -> None:
        Notes.set(memo, key, value)
        if key.startswith("task "):
            raise Killed

    memo.set = dies
    with pytest.raises(Killed):
        vpool.create("data", MIB, host="kvm-a", memo=memo)
    again = Notes(memo)
    assert vpool.create("data", MIB, host="kvm-a", memo=again).name == "data"
    assert changes(cluster, "/vdisks/") == 1, "no second task was begun"


@pytest.mark.parametrize("fault", ["lose_answers", "forget_tasks"])
def test_a_change_whose_answer_or_task_is_lost_is_made_once(cluster, vpool, raw, fault):
    imported(vpool, raw)
    setattr(cluster.faults, fault, 1)
    made = clone(vpool)
    assert vpool.volume(made.key) == made
    key = made.key
    setattr(cluster.faults, fault, 1)
    vpool.snapshot(key, "once", memo=Notes())
    assert len(vpool.snapshots(key)) == 1
    assert names(cluster) == ["image-1", "machine-1"]


def test_what_is_still_being_made_is_found_when_it_is_to_go(cluster, vpool):
    """Asked for, answer lost, then taken back: the late volume must not stay."""
    object.__setattr__(cluster.tasks, "_seconds", 0.6)
    memo = Notes({"asked data": "yes"})
    router = next(iter(cluster.cluster.routers))
    pool_guid = cluster.cluster.vpool("vpool1").guid
    cluster.tasks.submit(
        lambda: cluster.cluster.create(pool_guid, router, {"name": "data", "size": MIB})
    )
    vpool.delete("data", memo=memo)
    assert names(cluster) == []


def test_a_lost_task_ends_in_bounded_time_and_leaves_nothing(cluster, vpool):
    cluster.faults.lose_tasks = 1
    begun = time.monotonic()
    memo = Notes()
    with pytest.raises(StorageTaskLost, match="is still PENDING"):
        vpool.create("data", MIB, host="kvm-a", memo=memo)
    assert time.monotonic() - begun < SWIFT.task + 2
    assert names(cluster) == []
    assert vpool.create("data", MIB, host="kvm-a", memo=memo).size == MIB, "a retry begins anew"


@pytest.mark.parametrize("text", ["0", "", "Could not find a MDS service"])
def test_a_failed_task_keeps_the_words_of_the_cluster(cluster, vpool, text):
    cluster.faults.fail_tasks = [text]
    with pytest.raises(StorageFailed) as caught:
        vpool.create("data", MIB, host="kvm-a", memo=Notes())
    assert caught.value.context["original"] == text
    assert (text or "no reason") in caught.value.text


def test_only_the_status_of_a_task_is_believed(cluster, vpool):
    cluster.faults.mixed_states = True
    assert vpool.create("data", MIB, host="kvm-a", memo=Notes()).size == MIB


# storage routers


@pytest.mark.parametrize("fault", ["refuse", "hang"])
def test_another_storage_router_is_asked_when_one_is_silent(cluster, vpool, fault):
    setattr(cluster.faults, fault, ["kvm-a"])
    begun = time.monotonic()
    vpool.create("data", MIB, host="kvm-a", memo=Notes())
    assert time.monotonic() - begun < 3 * SWIFT.answer
    assert names(cluster) == ["data"]


def test_500_of_one_storage_router_is_asked_of_the_other(cluster, vpool):
    cluster.faults.errors = {"/api/vdisks/": 1}
    vpool.create("data", MIB, host="kvm-a", memo=Notes())
    assert names(cluster) == ["data"]


def test_500_of_all_keeps_the_words_of_the_cluster(cluster, vpool):
    cluster.faults.errors = {"/api/vdisks/": 9}
    with pytest.raises(StorageFailed, match="simulated trouble"):
        vpool.volume("data")


def test_a_cluster_that_hangs_is_refused_at_once_after_a_while(cluster, vpool):
    vpool.volumes()
    cluster.faults.hang = ["kvm-a", "kvm-b"]
    begun = time.monotonic()
    with pytest.raises(StorageUnreachable, match="no answer in time"):
        vpool.volumes()
    assert time.monotonic() - begun < 2 * SWIFT.answer + 1
    begun = time.monotonic()
    with pytest.raises(StorageUnreachable):
        vpool.volumes()
    assert time.monotonic() - begun < SWIFT.answer / 2, (
        "nobody waits for what is known to be silent"
    )
    cluster.faults.hang = []
    wait_until(lambda: _answers(vpool), "an answer after the pause")


def _answers(pool) -> bool:
    try:
        pool.volumes()
    except StorageFailed:
        return False
    return True


# tokens and certificates


def test_many_callers_share_one_token(cluster, tmp_path):
    clients = [Client(settings_of(cluster), tmp_path / "token") for _ in range(4)]
    callers = [threading.Thread(target=client.every, args=("vpools/",)) for client in clients * 4]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert cluster.tokens.given == 1


def test_a_token_that_is_over_is_renewed(cluster, client):
    client.every("vpools/")
    cluster.tokens.expire()
    assert [item["name"] for item in client.every("vpools/")] == ["vpool1"]
    assert cluster.tokens.given == 2


def test_a_cluster_that_forgets_tokens_is_never_asked_for_more_than_allowed(cluster, client):
    cluster.faults.forget_tokens = True
    for _ in range(10):
        with pytest.raises(StorageRefused):
            client.every("vpools/")
    assert changes(cluster, "/oauth2/token/") == 4
    with pytest.raises(StorageRefused, match="forgot 4 access tokens"):
        client.every("vpools/")


def test_wrong_secrets_and_missing_roles_are_told(cluster, tmp_path):
    wrong = Client(settings_of(cluster, client_secret="guessed"), tmp_path / "wrong")
    with pytest.raises(StorageRefused, match="gave no access token: Invalid client"):
        wrong.every("vpools/")


def test_a_strange_certificate_is_refused_and_the_secret_is_not_sent(cluster, tmp_path):
    for trust in ({"authority": ""}, {"authority": "", "fingerprints": ("0" * 64,)}):
        strange = Client(settings_of(cluster, **trust), tmp_path / "strange")
        with pytest.raises(StorageRefused, match="certificate"):
            strange.every("vpools/")
    assert cluster.calls == []


def test_a_pinned_certificate_is_trusted_whoever_signed_it(cluster, tmp_path):
    pem = cluster.authority.read_text()
    der = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERT") :])
    pinned = settings_of(cluster, authority="", fingerprints=(hashlib.sha256(der).hexdigest(),))
    assert Client(pinned, tmp_path / "token").every("vpools/")


def test_what_is_no_certificate_is_told(cluster, tmp_path):
    with pytest.raises(SettingInvalid, match="no certificates"):
        Client(settings_of(cluster, authority="hello"), tmp_path / "token")


# lists


def test_a_long_list_comes_whole_and_a_strange_name_does_not_break_it(cluster, vpool, client):
    router = next(iter(cluster.cluster.routers))
    guid = cluster.cluster.vpool("vpool1").guid
    for number in range(205):
        cluster.cluster.create(guid, router, {"name": f"disk{number}", "size": 4096})
    assert [volume.name for volume in vpool.volumes()] == [f"disk{n}" for n in range(205)]
    cluster.cluster.create(guid, router, {"name": "Größe", "size": 4096})
    assert len(vpool.volumes()) == 206


@pytest.mark.requirement("OVC-47")
def test_a_survey_tells_routers_mounts_replication_and_capacity(cluster, client, vpool, raw):
    imported(vpool, raw)
    found = survey.look(client)
    assert [router.name for router in found.routers] == ["kvm-a", "kvm-b"]
    assert found.roles == ("read", "write", "manage")
    pool = found.vpools[0]
    assert pool.configuration["dtl_mode"] == "a_sync"
    assert pool.configuration["mds_config"] == {"mds_safety": 3}
    assert len(pool.mounts) == 2
    assert vpool.facts().capacity == cluster.plan.capacity


def test_without_the_plugin_capacity_is_what_was_written_down(cluster, client):
    cluster.faults.silent_alba = True
    assert vpool_of(cluster, client).facts().capacity == 0
    guid = cluster.cluster.vpool("vpool1").guid
    assert survey.pool_facts(client, guid, 10 * MIB).available == 10 * MIB


def test_the_older_release_line_is_spoken_to_as_well(tmp_path, raw):
    with simulator(tmp_path / "old", routers={"kvm-a": "127.0.0.1:0"}, release="2.9") as old:
        pool = vpool_of(old, Client(settings_of(old), tmp_path / "token"))
        key = disk(pool, raw)
        pool.snapshot(key, "x", memo=Notes())
        assert [volume.name for volume in pool.volumes()] == ["image-1", "machine-1"]

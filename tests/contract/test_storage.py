"""The storage contract: one suite for the pool in memory, a libvirt pool, and OpenvStorage.

OpenvStorage is the simulator over real HTTPS, or a real cluster (see tests/rig/openvstorage).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from ovcadmin.drivers.storage.fake import FakePool
from ovcadmin.drivers.storage.openvstorage.driver import VPool
from ovcadmin.errors import ImageInvalid, OperationCancelled, StorageFailed
from tests.contract.storing import MIB, Notes, clone, disk, imported, silent


@pytest.fixture(params=["fake", "libvirt", "openvstorage"])
def pool(request):
    if request.param == "fake":
        return FakePool()
    return request.getfixturevalue({"libvirt": "libvirt_pool"}.get(request.param, "vpool"))


def test_a_pool_says_how_full_it_is(pool):
    facts = pool.facts()
    assert facts.active
    assert 0 < facts.available <= facts.capacity


def test_an_imported_image_is_listed_with_its_size(pool, raw):
    made = imported(pool, raw)
    assert made.size == raw.stat().st_size
    assert pool.volumes() == [made]
    assert pool.volume(made.key) == made


def test_importing_again_replaces_what_was_there(pool, raw):
    imported(pool, raw)
    imported(pool, raw)
    assert len(pool.volumes()) == 1


def test_a_file_of_odd_length_becomes_a_disk_of_whole_sectors(pool, raw):
    raw.write_bytes(b"x" * 1000)
    assert imported(pool, raw).size == (4096 if isinstance(pool, VPool) else 1024)


OTHER_FORMATS = {
    "qcow2": b"QFI\xfb",
    "vmdk": b"KDMV",
    "vmdk-text": b"# Disk DescriptorFile",
    "vhdx": b"vhdxfile",
    "vhd": b"conectix",
    "vhd-fixed": bytes(MIB) + b"conectix" + bytes(504),
    "vdi": bytes(0x40) + b"\x7f\x10\xda\xbe",
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "ova": bytes(0x101) + b"ustar",
    "iso": bytes(0x8001) + b"CD001",
}


@pytest.mark.parametrize("kind", OTHER_FORMATS)
def test_fault_32_a_file_that_is_not_raw_is_refused_and_nothing_is_left(pool, raw, kind):
    start = OTHER_FORMATS[kind]
    raw.write_bytes(start if kind == "vhd-fixed" else start + bytes(MIB))
    with pytest.raises(ImageInvalid, match="not a raw disk"):
        imported(pool, raw)
    assert pool.volumes() == []


def test_fault_31_what_is_no_plain_file_is_refused(pool, raw, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(raw)
    for path in (link, tmp_path, tmp_path / "absent", Path("/dev/zero")):
        with pytest.raises(ImageInvalid):
            pool.import_raw(str(path), "image-1", checksum="0" * 64, progress=silent)
    assert pool.volumes() == []


def test_fault_31_a_file_with_another_checksum_is_refused_and_nothing_is_left(pool, raw):
    with pytest.raises(ImageInvalid, match="not the file that was registered"):
        pool.import_raw(str(raw), "image-1", checksum="0" * 64, progress=silent)
    assert pool.volumes() == []


def test_fault_31_an_empty_file_is_refused(pool, raw):
    raw.write_bytes(b"")
    with pytest.raises(ImageInvalid, match="empty"):
        imported(pool, raw)


def test_a_clone_is_grown_to_the_wanted_size(pool, raw):
    imported(pool, raw)
    assert clone(pool, size=64 * MIB).size == 64 * MIB


def test_a_clone_is_never_smaller_than_its_template(pool, raw):
    template = imported(pool, raw)
    assert clone(pool, size=1).size == template.size


def test_cloning_twice_with_one_memo_makes_one_volume(pool, raw):
    imported(pool, raw)
    memo = Notes()
    assert clone(pool, memo=memo) == clone(pool, memo=memo)
    assert len(pool.volumes()) == 2


def test_a_clone_of_nothing_is_refused_and_leaves_nothing(pool):
    with pytest.raises(StorageFailed):
        clone(pool)
    assert pool.volumes() == []


def test_an_empty_volume_is_made_once(pool):
    memo = Notes()
    pool.create("data", 8 * MIB, host="kvm-a", memo=memo)
    assert pool.create("data", 8 * MIB, host="kvm-a", memo=memo).size == 8 * MIB
    assert len(pool.volumes()) == 1


def test_a_volume_grows_but_never_shrinks(pool, raw):
    key = disk(pool, raw)
    pool.grow(key, 8 * MIB)
    assert pool.volume(key).size == 8 * MIB
    with pytest.raises(StorageFailed, match="cannot shrink"):
        pool.grow(key, MIB)


def test_deleting_what_is_absent_succeeds(pool, raw):
    key = disk(pool, raw)
    pool.delete(key)
    pool.delete(key)
    assert pool.volume(key) is None


def test_snapshots_of_one_name_are_told_apart(pool, raw):
    key = disk(pool, raw)
    first = pool.snapshot(key, "before", memo=Notes())
    second = pool.snapshot(key, "before", memo=Notes())
    assert first.key != second.key
    assert [snapshot.name for snapshot in pool.snapshots(key)] == ["before", "before"]
    pool.delete_snapshot(key, first.key)
    assert [snapshot.key for snapshot in pool.snapshots(key)] == [second.key]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b\nc", "vor dem Update \U0001f5fb", "%41"])
def test_a_snapshot_may_have_any_name(pool, raw, name):
    key = disk(pool, raw)
    assert pool.snapshot(key, name, memo=Notes()).name == name
    assert [snapshot.name for snapshot in pool.snapshots(key)] == [name]


def test_a_long_name_of_a_snapshot_is_cut_in_the_pool(pool, raw):
    key = disk(pool, raw)
    pool.snapshot(key, "\u00e4" * 5000, memo=Notes())
    kept = pool.snapshots(key)[0].name
    assert len(kept) > 20
    assert set(kept) == {"\u00e4"}


def test_a_snapshot_step_that_runs_again_makes_one_snapshot(pool, raw):
    key = disk(pool, raw)
    memo = Notes()
    assert pool.snapshot(key, "x", memo=memo) == pool.snapshot(key, "x", memo=memo)
    assert len(pool.snapshots(key)) == 1


def test_a_rollback_brings_back_the_size_and_may_run_again(pool, raw):
    key = disk(pool, raw)
    before = pool.snapshot(key, "before", memo=Notes())
    pool.grow(key, 8 * MIB)
    pool.rollback(key, before.key)
    pool.rollback(key, before.key)
    # OpenvStorage brings back the bytes; a volume that was grown stays so.
    size = 8 * MIB if isinstance(pool, VPool) else raw.stat().st_size
    assert pool.volume(key).size == size
    assert pool.snapshots(key) == [before]


def test_a_rollback_to_the_snapshot_of_another_volume_is_refused(pool, raw):
    key = disk(pool, raw)
    other = clone(pool, "machine-2").key
    snapshot = pool.snapshot(other, "x", memo=Notes())
    with pytest.raises(StorageFailed, match="no snapshot of"):
        pool.rollback(key, snapshot.key)


def test_deleting_a_volume_takes_its_snapshots_along(pool, raw):
    key = disk(pool, raw)
    pool.snapshot(key, "x", memo=Notes())
    pool.delete(key)
    assert [volume.name for volume in pool.volumes()] == ["image-1"]
    assert pool.snapshots(key) == []


def test_a_snapshot_is_cloned_like_a_volume(pool, raw):
    """So a machine becomes a template: what is written later is not in it."""
    snapshot = pool.snapshot(disk(pool, raw), "as template", memo=Notes())
    memo = Notes()
    made = pool.clone(
        snapshot.key, "machine-2", size=8 * MIB, host="kvm-a", memo=memo, progress=silent
    )
    assert made.size == 8 * MIB
    assert pool.volume(made.key) == made


def test_a_volume_follows_its_machine_to_another_host(pool, raw):
    key = disk(pool, raw)
    pool.move(key, "kvm-b")
    pool.move(key, "kvm-b")
    assert pool.volume(key).key == key


def test_who_raises_in_progress_stops_the_copy_and_it_can_be_made_again(pool, raw):
    def stop(_part: float) -> None:
        raise OperationCancelled("enough")

    imported(pool, raw)
    memo = Notes()
    with suppress(OperationCancelled):  # a copy may be done before anybody is told
        pool.clone("image-1", "machine-1", size=0, host="kvm-a", memo=memo, progress=stop)
    assert clone(pool, memo=memo).size == raw.stat().st_size
    assert len(pool.volumes()) == 2

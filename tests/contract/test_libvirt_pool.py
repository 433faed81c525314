"""What only a real libvirt pool can show: the bytes, and what hosts do to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ovcadmin.drivers.storage.libvirt_pool import LibvirtPool, ensure_pool
from ovcadmin.errors import StorageFailed, StorageFull
from tests.contract.storing import MIB, Notes, clone, imported
from tests.rig.base import ROOT, wait_until
from tests.rig.hypervisor import ENTER


def file_of(pool: LibvirtPool, key: str) -> Path:
    return Path(pool.disk(key, target="vda", boot_order=1).source)


def test_a_clone_has_the_templates_bytes_and_writes_do_not_reach_the_template(libvirt_pool, raw):
    imported(libvirt_pool, raw)
    clone(libvirt_pool, size=8 * MIB)
    disk, template = file_of(libvirt_pool, "machine-1"), file_of(libvirt_pool, "image-1")
    assert disk.read_bytes()[: raw.stat().st_size] == raw.read_bytes()
    with disk.open("r+b") as file:
        file.write(b"guest")
    assert template.read_bytes() == raw.read_bytes()


def test_holes_stay_holes(libvirt_pool, raw):
    imported(libvirt_pool, raw)
    assert file_of(libvirt_pool, "image-1").stat().st_blocks * 512 < raw.stat().st_size


def test_a_volume_is_just_as_large_as_the_running_disk_that_it_is_to_take(libvirt_pool):
    """QEMU copies to nothing larger or smaller."""
    key = libvirt_pool.create("copy", 8 * MIB + 512, host="kvm-a", memo=Notes()).key
    assert file_of(libvirt_pool, key).stat().st_size == 8 * MIB + 512


def test_a_rollback_brings_back_the_bytes(libvirt_pool, raw):
    key = imported(libvirt_pool, raw).key
    before = libvirt_pool.snapshot(key, "before", memo=Notes())
    with file_of(libvirt_pool, key).open("r+b") as file:
        file.write(b"ruin")
    libvirt_pool.rollback(key, before.key)
    assert file_of(libvirt_pool, key).read_bytes() == raw.read_bytes()


def test_the_remains_of_a_dead_attempt_are_made_anew(libvirt_pool, raw):
    """A half-made volume has the right name and size; only its bytes are wrong."""
    imported(libvirt_pool, raw)
    libvirt_pool.create("machine-1", raw.stat().st_size, host="kvm-a", memo=Notes())
    clone(libvirt_pool)
    assert file_of(libvirt_pool, "machine-1").read_bytes() == raw.read_bytes()
    assert len(libvirt_pool.volumes()) == 2


def test_fault_32_a_guest_that_writes_another_format_gets_no_file_of_the_host(
    libvirt_pool, libvirt_host, raw
):
    """Libvirt believes the header that it finds in a raw volume; its own copy follows it."""
    secret = libvirt_host.directory / "secret"
    secret.write_bytes(b"of the host alone" * 1000)
    evil = libvirt_host.directory / "evil.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", secret, evil, "1M"]
    subprocess.run(command, check=True)
    key = imported(libvirt_pool, raw).key
    with file_of(libvirt_pool, key).open("r+b") as file:
        file.write(evil.read_bytes())
    written = file_of(libvirt_pool, key).read_bytes()
    libvirt_host.virsh("pool-refresh", "ovc")
    assert "qcow2" in libvirt_host.virsh("vol-dumpxml", key, "ovc")
    copy = libvirt_pool.snapshot(key, "before", memo=Notes())
    assert file_of(libvirt_pool, copy.key).read_bytes() == written
    assert libvirt_pool.volume(key).size == len(written)
    with pytest.raises(StorageFailed, match="look like a qcow2 file"):
        libvirt_pool.grow(key, 64 * MIB)


def test_a_pool_that_keeps_its_volumes_elsewhere_is_not_taken_for_ours(libvirt_pool):
    with pytest.raises(StorageFailed, match="keeps its volumes in"):
        ensure_pool(libvirt_pool._quick, "ovc", "/tmp/elsewhere")


def test_what_others_write_into_the_pool_counts(libvirt_pool, libvirt_host):
    before = libvirt_pool.facts().available
    (libvirt_host.images / "ovc" / "foreign").write_bytes(os.urandom(64 * MIB))
    assert libvirt_pool.facts().available <= before - 32 * MIB


@pytest.fixture
def small_pool(libvirt_pool, libvirt_host):
    """A pool on a file system of 8 MiB."""
    path = libvirt_host.images / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path]
    inside = ["nsenter", *ENTER, f"--target={libvirt_host._init.pid}"]
    subprocess.run([*inside, *mount], check=True)
    ensure_pool(libvirt_pool._quick, "small", str(path))
    yield LibvirtPool(libvirt_pool._quick, libvirt_pool._bulk, "small")
    libvirt_host.virsh("pool-destroy", "small")
    subprocess.run([*inside, "umount", path], check=True)


def test_fault_31_a_full_pool_says_so(small_pool, raw):
    raw.write_bytes(os.urandom(16 * MIB))
    with pytest.raises(StorageFull):
        imported(small_pool, raw)
    small_pool.delete("image-1")
    raw.write_bytes(os.urandom(5 * MIB))
    imported(small_pool, raw)
    with pytest.raises(StorageFull, match="free"):
        clone(small_pool)
    assert [volume.name for volume in small_pool.volumes()] == ["image-1"]


CLONES = """
    import sys
    from ovcadmin.drivers.hypervisor.connection import Lane, Link
    from ovcadmin.drivers.storage.libvirt_pool import LibvirtPool

    class Notes(dict):
        set = dict.__setitem__

    links = [Link("kvm-a", sys.argv[1], lane) for lane in (Lane.STORE, Lane.COPY)]
    pool = LibvirtPool(*links, "ovc")
    print("copying", flush=True)
    pool.clone("image-1", "machine-1", size=0, host="", memo=Notes(), progress=lambda _: None)
"""


def test_fault_07_a_copy_that_was_killed_is_made_anew(libvirt_pool, libvirt_host, raw):
    raw.write_bytes(os.urandom(128 * MIB))
    imported(libvirt_pool, raw)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CLONES), libvirt_host.uri],
        stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    half = libvirt_host.images / "ovc" / "machine-1"
    wait_until(lambda: half.exists() and half.stat().st_blocks > 0, "half a copy")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert clone(libvirt_pool).size == raw.stat().st_size
    assert half.read_bytes() == raw.read_bytes()
    assert sorted(volume.name for volume in libvirt_pool.volumes()) == ["image-1", "machine-1"]

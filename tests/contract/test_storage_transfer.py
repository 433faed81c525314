"""Volumes that go from one storage pool to another: pools in memory and real libvirt pools."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ovcadmin.drivers.hypervisor.connection import Lane, Link
from ovcadmin.drivers.storage.base import take
from ovcadmin.drivers.storage.fake import FakePool
from ovcadmin.drivers.storage.libvirt_pool import LibvirtPool, ensure_pool
from ovcadmin.errors import StorageFailed

MIB = 2**20


class Notes(dict):
    """The memo of a step, in memory."""

    def set(self, key: str, value: str) -> None:
        self[key] = value


def silent(_part: float) -> None:
    pass


@pytest.fixture
def libvirt_pools(libvirt_host):
    """Two pools of one host, each with lanes of its own."""
    links, pools = [], []
    for name in ("first", "second"):
        quick, bulk = (Link(name, libvirt_host.uri, lane) for lane in (Lane.STORE, Lane.COPY))
        ensure_pool(quick, name, str(libvirt_host.images / name))
        links += [quick, bulk]
        pools.append(LibvirtPool(quick, bulk, name))
    yield pools
    for link in links:
        link.close()


@pytest.fixture(params=["fake", "libvirt"])
def pools(request):
    if request.param == "fake":
        return FakePool(), FakePool()
    return request.getfixturevalue("libvirt_pools")


@pytest.fixture
def raw(tmp_path):
    """A raw file with a hole in the middle."""
    path = tmp_path / "image.raw"
    path.write_bytes(b"boot" + bytes(2 * MIB - 8) + b"tail")
    return path


def filled(pool, raw: Path) -> str:
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    return pool.import_raw(str(raw), "disk", checksum=digest, progress=silent).key


def test_a_volume_is_taken_to_another_pool_byte_for_byte(pools, raw):
    first, second = pools
    key, notes = filled(first, raw), Notes()
    taken = take(second, first, key, "disk", memo=notes, progress=silent)
    assert (taken.name, taken.size) == ("disk", 2 * MIB)
    assert take(second, first, key, "disk", memo=notes, progress=silent) == taken
    assert first.volume(key) is not None, "the first one stays until it is deleted"
    if isinstance(second, LibvirtPool):
        path = Path(second.disk(taken.key, target="vda", boot_order=None).source)
        assert path.read_bytes() == raw.read_bytes()
        assert path.stat().st_blocks * 512 < MIB, "holes stay holes"


def test_a_volume_goes_to_no_pool_of_another_kind(libvirt_pools, raw):
    first, _ = libvirt_pools
    key = filled(first, raw)
    with pytest.raises(StorageFailed, match="another kind"):
        take(FakePool(), first, key, "disk", memo=Notes(), progress=silent)

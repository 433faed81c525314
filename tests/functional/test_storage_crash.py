"""A worker that is killed between any two steps of a storage operation: no orphan, no double."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading
from dataclasses import replace
from itertools import chain, count

import pytest

from ovcadmin.domain.images import ImageKind
from ovcadmin.drivers.downloads.web import WebDownloads
from ovcadmin.drivers.storage.openvstorage.client import Client
from ovcadmin.drivers.storage.openvstorage.driver import VPool
from ovcadmin.engine import reaper
from ovcadmin.models import (
    Image,
    ImageUpload,
    Operation,
    OperationState,
    Reservation,
    StoragePool,
    Volume,
    utcnow,
)
from ovcadmin.services import (
    image_removal,
    images,
    library,
    pools,
    quota_check,
    uploads,
    volume_changes,
)
from ovcadmin.work import Work
from tests.functional.dying import AMID, killed_at
from tests.functional.outside import nothing_waits, run_all
from tests.rig.openvstorage import settings_of, simulator

MIB = 2**20
CONTENT = os.urandom(MIB)


class Outside:
    """A vPool behind every row."""

    def __init__(self, settings, token, guid, routers, sources=()):
        self._pool = VPool(Client(settings, token), guid, routers=routers)
        self._sources = sources

    def storage(self, _storage_pool_id, _host_id):
        return self._pool

    def downloads(self):
        return WebDownloads(self._sources)


@pytest.fixture
def cluster(tmp_path):
    with simulator(tmp_path / "cluster", routers={"kvm-a": "127.0.0.1:0"}) as made:
        yield made


class Crashes:
    """Asks for the same thing again and again, each time with a worker that dies later."""

    def __init__(self, world, cluster, directory):
        self.world, self.cluster = world, cluster
        self.admin = world.admin()
        world.host()
        nothing_waits(world)
        with world.work() as work:
            self.store_id = work.db.query(StoragePool).one().id
            work.db.query(StoragePool).one().driver = "openvstorage"
        guid = cluster.cluster.vpool("vpool1").guid
        router = next(iter(cluster.cluster.routers))
        self.given = (settings_of(cluster), directory / "token", guid, {"kvm-a": router})
        self.calm()

    def calm(self):
        """What the making of the world or a copy of an image queued is over."""
        run_all(self.world, Outside(*self.given))

    def disks(self):
        return sorted((disk.name, disk.size) for disk in self.cluster.cluster.disks.values())

    def each(self, ask, settled, points=()):
        """Have `ask(work)` queue an operation, and a worker die before each commit in turn.

        Before that at the `points`.
        """
        for at in chain(points, count(1, 2)):
            with self.world.work(self.admin) as work:
                number = ask(work).id
            died = killed_at(self.world.settings, Outside, self.given, at)
            if died:
                with self.world.work() as work:
                    lapsed = work.db.get_one(Operation, number)
                    assert lapsed.state == OperationState.RUNNING, "it died in the middle"
                    lapsed.lease_until = utcnow()
                with self.world.work() as work:
                    reaper.reap(work)
            self.calm()
            with self.world.work() as work:
                ended = work.db.get_one(Operation, number)
                assert ended.state == OperationState.DONE, (at, ended.error_text)
                assert work.db.query(Reservation).filter_by(operation_id=number).all() == []
                assert quota_check.differences(work) == []
            settled(at)
            if not died:
                assert at > 4, "there are points before and after every commit"
                return


@pytest.fixture
def crashes(sqlite_world, cluster, tmp_path):
    made = Crashes(sqlite_world, cluster, tmp_path)
    yield made
    for disk in [*cluster.cluster.disks.values()]:
        cluster.cluster.delete(disk)


def store(work: Work, number: int) -> StoragePool:
    return work.db.get_one(StoragePool, number)


def make(crashes, work, name="data"):
    here = store(work, crashes.store_id)
    return volume_changes.create(work, here, here.pool, name=name, size=2 * MIB)


def rows(crashes):
    with crashes.world.work() as work:
        return [
            (row.name, row.size, row.operation_id)
            for row in work.db.query(Volume).filter_by(image_id=None)
        ]


def forget(crashes):
    with crashes.world.work() as work:
        for row in work.db.query(Volume).filter_by(image_id=None):
            volume_changes.delete(work, row)
    crashes.calm()
    assert crashes.disks() == rows(crashes) == []


@pytest.mark.timeout(300)
def test_fault_39_a_volume_is_made_once(crashes):
    def settled(at):
        assert crashes.disks() == [("data", 2 * MIB)], at
        assert rows(crashes) == [("data", 2 * MIB, None)], at
        forget(crashes)

    crashes.each(functools.partial(make, crashes), settled)


@pytest.mark.timeout(300)
def test_fault_39_a_volume_grows_once(crashes):
    sizes = count(3)

    def ask(work):
        row = work.db.query(Volume).filter_by(name="data").one()
        return volume_changes.grow(work, row, next(sizes) * MIB)

    def settled(at):
        size = (at // 2 + 3) * MIB
        assert crashes.disks() == [("data", size)], at
        assert rows(crashes) == [("data", size, None)], at

    with crashes.world.work() as work:
        make(crashes, work)
    crashes.calm()
    crashes.each(ask, settled)


@pytest.mark.timeout(300)
def test_fault_39_a_volume_goes_once(crashes):
    def again():
        with crashes.world.work() as work:
            make(crashes, work)
        crashes.calm()

    def ask(work):
        return volume_changes.delete(work, work.db.query(Volume).filter_by(name="data").one())

    def settled(at):
        assert crashes.disks() == rows(crashes) == [], at
        again()

    again()
    crashes.each(ask, settled)


def files(world):
    return sorted(path.read_bytes() for path in library.directory(world.settings).iterdir())


def image_settled(crashes, name):
    """One image with one file and one copy; then it goes, and nothing stays."""
    with crashes.world.work() as work:
        image = work.db.query(Image).filter_by(deleted_at=None).one()
        assert (image.name, image.size) == (name, MIB)
        assert [copy.key is not None for copy in image.volumes] == [True]
        assert work.db.query(ImageUpload).all() == []
    assert files(crashes.world) == [CONTENT]
    assert len(crashes.disks()) == 1
    with crashes.world.work() as work:
        image_removal.delete(work, work.db.get_one(Image, image.id))
    crashes.calm()
    assert crashes.disks() == files(crashes.world) == []


@pytest.mark.timeout(300)
def test_fault_39_an_upload_becomes_one_image(crashes, tmp_path):
    (tmp_path / "piece").write_bytes(CONTENT)

    def ask(work):
        pool = store(work, crashes.store_id).pool
        draft = uploads.Draft(name="Debian", kind=ImageKind.DISK)
        upload = uploads.begin(work, pool, draft, MIB)
        with (tmp_path / "piece").open("rb") as piece:
            uploads.take(work, upload, at=0, piece=piece, length=MIB)
        return work.db.get_one(Operation, upload.operation_id)

    crashes.each(ask, lambda _at: image_settled(crashes, "Debian"))


@pytest.mark.timeout(300)
def test_fault_39_an_image_goes_into_another_storage_pool_once(crashes):
    """A base image, copied from the library; the worker dies also while its bytes move."""
    file = library.directory(crashes.world.settings) / "debian.raw"
    file.write_bytes(CONTENT)
    checksum = hashlib.sha256(CONTENT).hexdigest()
    with crashes.world.work() as work:
        raw = images.Raw(path=str(file), size=MIB, checksum=checksum)
        number = images.register(work, pools.root(work), name="Debian", raw=raw).id

    def ask(work):
        return images.spread(work, work.db.get_one(Image, number), store(work, crashes.store_id))

    def settled(at):
        (disk,) = crashes.cluster.cluster.disks.values()
        assert disk.template, at
        assert crashes.cluster.cluster.path(disk).read_bytes() == CONTENT, at
        with crashes.world.work() as work:
            image = work.db.get_one(Image, number)
            assert [copy.key for copy in image.volumes] == [disk.guid], at
            image_removal.delete_copy(work, image, store(work, crashes.store_id))
        crashes.calm()
        assert crashes.disks() == [], at

    crashes.each(ask, settled, points=[AMID])


@pytest.fixture
def web(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web/disk.raw").write_bytes(CONTENT)
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "web")
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.timeout(300)
def test_fault_39_a_fetch_becomes_one_image(crashes, web, monkeypatch):
    sources = (f"{web} private",)
    crashes.given = (*crashes.given, sources)
    settings = replace(crashes.world.settings, image_sources=sources)
    monkeypatch.setattr(crashes.world, "settings", settings)

    def ask(work):
        draft = uploads.Draft(name="Debian", kind=ImageKind.DISK)
        return images.fetch(work, store(work, crashes.store_id).pool, draft, f"{web}disk.raw")

    crashes.each(ask, lambda _at: image_settled(crashes, "Debian"))

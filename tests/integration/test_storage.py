"""Storage pools with a real worker and a real iSCSI target: added, listed, fetched into, hung."""

from __future__ import annotations

import hashlib
import http.server
import threading
from functools import partial
from pathlib import Path

import pytest

from ovcadmin.domain.images import ImageKind
from ovcadmin.models import Image, Operation, StoragePool, Volume
from ovcadmin.services import hosts, images, operations, pools, storage_changes
from ovcadmin.services.uploads import Draft
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.tgt import INITIATOR, IQN, Target, iscsi_target

MIB = 2**20


def add_array(made: Cloud, target: Target, password: str) -> Operation:
    draft = storage_changes.Draft(
        name="array",
        driver="libvirt-iscsi-direct",
        source={
            "host": "127.0.0.1",
            "port": 3260,
            "device": IQN,
            "initiator": INITIATOR,
            "user": target.user,
        },
        password=password,
    )
    with made.work(write=True) as work:
        host = hosts.listing(work)[0]
        _, operation = storage_changes.add(work, pools.root(work), host, draft)
        number = operation.id
    return made.ended(number)


@pytest.mark.requirement("OVT-24", "OVT-68")
def test_an_array_is_logged_in_to_with_chap_and_its_luns_come_and_go(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> None:
    with (
        cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as made,
        iscsi_target(libvirt_host) as target,
    ):
        target.ask_for_chap()
        target.add_lun(1, 64 * MIB)
        made.worker()
        made.ready()
        assert add_array(made, target, "this is not it").state == "failed"
        with made.work() as work:
            assert work.db.query(StoragePool).filter_by(name="array").all() == []
        assert add_array(made, target, target.password).state == "done"
        target.add_lun(2, 32 * MIB)
        target.drop_lun(1)
        with made.work(write=True) as work:
            store = work.db.query(StoragePool).filter_by(name="array").one()
            number = storage_changes.refresh(work, store).id
        assert made.ended(number).state == "done"
        with made.work() as work:
            found = work.db.query(Volume).filter_by(storage_pool_id=store.id).all()
            assert [(row.name, row.size, row.offered) for row in found] == [
                ("unit:0:0:2", 32 * MIB, True)
            ]
        with made.work(write=True) as work:
            number = storage_changes.remove(work, work.db.get_one(StoragePool, store.id)).id
        assert made.ended(number).state == "done"
        assert "ovc-storage" not in libvirt_host.virsh("pool-list", "--all", "--name")


def test_an_image_is_fetched_from_an_allowed_address_and_copied(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> None:
    content = bytes(0x8001) + b"CD001" + bytes(2 * MIB)
    (tmp_path / "web").mkdir()
    (tmp_path / "web/netinst.iso").write_bytes(content)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with cloud(
            tmp_path, sqlite_url, libvirt_host, starter_image, image_sources=f"{base}/ private"
        ) as made:
            made.worker()
            made.ready()
            with made.work(write=True) as work:
                draft = Draft(name="Installer", kind=ImageKind.ISO)
                url = f"{base}/netinst.iso"
                number = images.fetch(work, pools.root(work), draft, url).id
            assert made.ended(number).state == "done"

            def copied() -> bool:
                with made.work() as work:
                    image = work.db.query(Image).filter_by(name="Installer").one()
                    return bool(image.volumes) and all(copy.key for copy in image.volumes)

            wait_until(copied, "the copy of the ISO", 30)
            with made.work() as work:
                image = work.db.query(Image).filter_by(name="Installer").one()
                assert image.checksum == hashlib.sha256(content).hexdigest()
                copy = image.volumes[0]
            path = libvirt_host.images / "volumes" / copy.name
            assert path.read_bytes().startswith(content)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_fault_38_storage_that_is_away_is_told_so_and_other_storage_goes_on(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> None:
    with (
        cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as made,
        iscsi_target(libvirt_host) as target,
    ):
        target.ask_for_chap()
        target.add_lun(1, 64 * MIB)
        made.worker()
        made.ready()
        assert add_array(made, target, target.password).state == "done"
        target.stop()
        with made.work(write=True) as work:
            store = work.db.query(StoragePool).filter_by(name="array").one()
            number = storage_changes.refresh(work, store).id
        # Meanwhile a machine is made on the storage that works.
        assert made.made("web01")
        assert made.ended(number, 90).state == "failed"

        def told() -> bool:
            with made.work() as work:
                return bool(work.db.get_one(StoragePool, store.id).trouble)

        wait_until(told, "the trouble of the array", 60)
        with made.work() as work:
            running = operations.Filter(running=True)
            assert operations.listing(work, running) == []

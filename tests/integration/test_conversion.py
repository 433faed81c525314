"""Machine templates in qcow2 become base images on a vPool: whole, once, whatever dies."""

from __future__ import annotations

import hashlib
import subprocess
from itertools import count
from pathlib import Path

import pytest

from ovcadmin.errors import InvalidInput
from ovcadmin.models import Operation, OperationState, utcnow
from ovcadmin.services import conversions, images, storage
from tests.integration import crashing
from tests.rig import vcloud
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.openvstorage import simulator

MIB = 2**20


@pytest.fixture
def running(tmp_path, libvirt_host):
    with simulator(tmp_path / "cluster", routers={libvirt_host.name: "127.0.0.1:0"}) as made:
        yield made


@pytest.fixture
def prepared(tmp_path, sqlite_url, libvirt_host, starter_image, running):
    """A cloud with an empty vPool and a machine template that boots."""
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as made:
        made.worker()
        made.ready()
        made.store_id = vcloud.add_vpool(made, running, vcloud.add_cluster(made, running))
        qcow2(made, "starter.qcow2", "-c", source=starter_image)
        yield made


def qcow2(cloud: Cloud, name: str, *words: str, source: Path) -> Path:
    directory = conversions.directory(cloud.settings)
    directory.mkdir(exist_ok=True)
    command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *words, source, directory / name]
    subprocess.run(command, check=True)
    return directory / name


def convert(cloud: Cloud, file: str = "starter.qcow2", name: str = "Base") -> int:
    with cloud.work(write=True) as work:
        store = storage.get(work, cloud.store_id)
        return conversions.submit(work, store, conversions.Wanted(file=file, name=name)).id


@pytest.mark.requirement("OVC-38", "OVC-45")
def test_a_template_becomes_a_base_image_and_the_second_run_changes_nothing(
    prepared: Cloud, running, starter_image
) -> None:
    ended = prepared.ended(convert(prepared), 100)
    assert ended.state == "done", ended.error_text
    disk = next(iter(running.cluster.disks.values()))
    assert disk.template
    assert len(running.cluster.disks) == 1
    raw = starter_image.read_bytes()
    content = running.cluster.path(disk).read_bytes()
    assert content[: len(raw)] == raw
    with prepared.work() as work:
        image = next(image for image in images.listing(work) if image.name == "Base")
        assert image.checksum == hashlib.sha256(content).hexdigest()
        assert [volume.key for volume in image.volumes] == [disk.guid]
    running.calls.clear()
    again = prepared.ended(convert(prepared), 60)
    assert again.state == "done"
    assert any("nothing to do" in line.text for line in again.log)
    assert not [path for _, method, path in running.calls if method == "POST"]


def test_fault_32_what_is_no_whole_qcow2_file_is_refused_and_nothing_is_left(
    prepared: Cloud, running, starter_image, tmp_path
) -> None:
    directory = conversions.directory(prepared.settings)
    secret = tmp_path / "secret"
    secret.write_bytes(b"of this machine alone" * 100)
    make = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*make, "-F", "raw", "-b", secret, directory / "backed", "1M"], check=True)
    other = f"data_file={directory}/other,data_file_raw=on"
    subprocess.run([*make, "-o", other, directory / "split", "1M"], check=True)
    (directory / "raw").write_bytes(bytes(MIB))
    (directory / "link").symlink_to(directory / "starter.qcow2")
    for file, why in (
        ("backed", "backing file"),
        ("split", "another file"),
        ("raw", "no qcow2 file"),
        ("link", "a link"),
        ("absent", "cannot be read"),
    ):
        ended = prepared.ended(convert(prepared, file), 60)
        assert ended.error_code == "image.invalid", (file, ended.error_text)
        assert why in ended.error_text
    assert running.cluster.disks == {}
    for path in ("../secret", "/etc/passwd", ".hidden", ""):
        with pytest.raises(InvalidInput):
            convert(prepared, path)


@pytest.mark.timeout(600)
@pytest.mark.requirement("OVC-45")
def test_fault_07_killed_at_any_point_the_conversion_goes_on(prepared: Cloud, running) -> None:
    prepared.freeze(prepared.processes[0])
    for at in count(1, 4):
        if not crash(prepared, at):
            break
        with prepared.work() as work:
            image = next(i for i in images.listing(work) if i.name == f"Base {at}")
            keys = [volume.key for volume in image.volumes]
        assert keys == [disk.guid for disk in running.cluster.disks.values()], at
        with prepared.work(write=True) as work:  # away with it, for the next round
            image = next(i for i in images.listing(work) if i.name == f"Base {at}")
            for volume in list(image.volumes):
                work.db.delete(volume)
            image.deleted_at = work.now()
        for disk in list(running.cluster.disks.values()):
            running.cluster.delete(disk)
        prepared.freeze(prepared.processes[0])
    assert at > 10


def crash(cloud: Cloud, at: int) -> bool:
    """Convert with a worker that dies at point `at`, let the other one go on; False after all."""
    dying = cloud.worker(Path(crashing.__file__), AT=str(at), CRASHES=conversions.TYPE)
    number = convert(cloud, name=f"Base {at}")
    wait_until(
        lambda: dying.code is not None or "points.passed" in dying.log, "the crash or the end", 60
    )
    crashed = dying.code is not None
    dying.kill()
    with cloud.work(write=True) as work:  # the time of its leases passes
        for operation in work.db.query(Operation).filter_by(state=OperationState.RUNNING):
            operation.lease_until = utcnow()
    cloud.processes[0].thaw()
    ended = cloud.ended(number, 60)
    assert ended.state == OperationState.DONE, (at, ended.error_text)
    return crashed

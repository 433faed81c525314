"""Hosts behind ssh: a real sshd inside a real libvirt host, and nothing else that leads there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from ovcadmin import green
from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor.base import VirtType
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.models import Host, Operation, OperationLog, OperationState
from ovcadmin.services import host_changes, images, pools, storage_changes
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.ssh import SshServer, make_key, ssh_server


@pytest.fixture
def server(
    tmp_path: Path, libvirt_host: LibvirtHost, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SshServer]:
    with ssh_server(tmp_path / "ssh", inside=libvirt_host) as made:
        monkeypatch.setenv("PATH", str(made.client), prepend=":")
        yield made


@pytest.fixture
def made(
    tmp_path: Path,
    sqlite_url: str,
    libvirt_host: LibvirtHost,
    starter_image: Path,
    server: SshServer,
) -> Iterator[Cloud]:
    """A console with a worker, on a machine that is no host itself."""
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image, local_host="none") as console:
        console.worker()
        yield console


def enrolled(made: Cloud, server: SshServer) -> Operation:
    """Enrol the host; the look at the way to it, ended."""
    given = host_changes.Details(name="far", uri=server.uri, virt_type="qemu")
    with made.work(write=True) as work:
        _, operation = host_changes.enroll(work, pools.root(work), given)
    return made.ended(operation.id)


def log(made: Cloud, operation: Operation) -> str:
    with made.work() as work:
        lines = select(OperationLog.text).where(OperationLog.operation_id == operation.id)
        return "\n".join(work.db.scalars(lines.order_by(OperationLog.id)))


def with_storage(made: Cloud, directory: Path, image: Path) -> None:
    """Add a directory of the host as storage, and an image of the console's own machine to it."""
    draft = storage_changes.Draft(name="far disks", driver="libvirt-dir", path=str(directory))
    with made.work(write=True) as work:
        host = work.db.scalars(select(Host)).one()
        _, operation = storage_changes.add(work, pools.root(work), host, draft)
    assert made.ended(operation.id).state == OperationState.DONE
    checksum = hashlib.sha256(image.read_bytes()).hexdigest()
    with made.work(write=True) as work:
        raw = images.Raw(path=str(image), size=image.stat().st_size, checksum=checksum)
        images.spread_to_serving(
            work, images.register(work, pools.root(work), name="Starter", raw=raw)
        )
    made.ready()


def test_a_machine_lives_on_a_host_that_only_ssh_reaches(
    made: Cloud, libvirt_host: LibvirtHost, starter_image: Path, server: SshServer
) -> None:
    looked = enrolled(made, server)
    assert looked.state == OperationState.DONE, looked.error_text
    assert f"answers on {libvirt_host.name}" in log(made, looked)
    wait_until(lambda: made.host_row().state == "up", "the host up")
    with_storage(made, libvirt_host.images / "far", starter_image)
    machine_id = made.made("web01", start=True)
    machine = made.machine(machine_id)
    assert libvirt_host.virsh("domstate", machine.domain_name) == "running"
    libvirt_host.virsh("suspend", machine.domain_name)
    made.shows(machine_id, "suspended", seconds=2)
    libvirt_host.virsh("resume", machine.domain_name)
    heard = bytearray()
    far = LibvirtHypervisor("far", server.uri, virt_type=VirtType.QEMU)
    with closing(far):
        stream = far.open_console(machine.uuid, on_data=heard.extend, on_close=lambda _reason: None)
        wait_until(lambda: green.sleep(0.05) or b"#" in heard, "a prompt on the console", 60)
        stream.close()
        green.sleep(0)
    made.act(machine_id, Action.POWER_OFF)
    made.act(machine_id, Action.DELETE)
    wait_until(lambda: libvirt_host.virsh("list", "--all", "--name") == "", "no domain left")


def test_the_way_that_ssh_does_not_find_is_explained(
    made: Cloud, server: SshServer, tmp_path: Path
) -> None:
    server.is_known_by(make_key(tmp_path / "other"))
    looked = enrolled(made, server)
    assert looked.state == OperationState.FAILED
    assert "Host key verification failed" in looked.error_text
    assert "shows another ssh key than the worker knows" in looked.error_text
    with made.work(write=True) as work:
        again = host_changes.check(work, made.host_row())
        server.is_known_by(server.public)
        server.believed.write_text(make_key(tmp_path / "somebody"))
    looked = made.ended(again.id)
    assert "Permission denied" in looked.error_text
    assert "authorized_keys of the user in the address" in looked.error_text

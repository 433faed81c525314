"""The worker process: what it sets up on a machine, how it lives beside others, how it ends."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.models import Host, Image, OperationState, StoragePool
from ovcadmin.services import hosts, images, pools, processes
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import LIBVIRT_POOL, cloud
from tests.rig.console import Console, Process, console


def counts(made: Console) -> tuple[int, int, int, int]:
    """Hosts, storage pools, images and copies that are written down."""
    with made.work() as work:
        found = images.listing(work)
        return (
            work.db.query(Host).count(),
            work.db.query(StoragePool).count(),
            work.db.query(Image).count(),
            sum(len(image.volumes) for image in found),
        )


@pytest.mark.requirement("OVC-37")
def test_the_first_start_enrols_this_machine_and_a_machine_runs_on_it(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> None:
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as made:
        made.worker()
        made.ready()
        host = made.host_row()
        assert (host.state, host.virt_type) == ("up", "qemu")
        assert host.cpus >= 1
        assert host.memory > 256 * 1024
        assert libvirt_host.virsh("version").startswith("Compiled against library: libvirt")
        assert f"QEMU {host.qemu_version}" in libvirt_host.virsh("version")
        assert "Emulation (TCG)" in host.virt_note

        machine_id = made.made("web01", start=True)
        machine = made.machine(machine_id)
        assert libvirt_host.virsh("domstate", machine.domain_name) == "running"
        xml = libvirt_host.virsh("dumpxml", machine.domain_name)
        volume = f"machine-{machine.uuid}-vda"
        assert f"{libvirt_host.images}/volumes/{volume}" in xml
        assert "type='raw'" in xml
        assert "qcow2" not in xml


def test_starting_again_or_twice_enrols_nothing_twice(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> None:
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as made:
        first, second = made.worker(), made.worker()
        made.ready()
        assert counts(made) == (1, 1, 1, 1)
        first.stop()
        second.stop()
        made.worker()
        made.worker()
        made.ready()
        assert made.made("web01")
        assert counts(made) == (1, 1, 1, 1)
        assert libvirt_host.virsh("pool-list", "--name").split() == [LIBVIRT_POOL]


def test_libvirt_may_come_up_after_the_worker(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> None:
    libvirt_host.stop_daemon()
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image) as made:
        worker = made.worker()
        worker.said("host.silent")
        assert made.host_row().state == "unresponsive"
        libvirt_host.start_daemon()
        made.ready()


def test_two_workers_share_the_work_of_one_host(
    tmp_path: Path, postgres_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> None:
    with cloud(tmp_path, postgres_url, libvirt_host, starter_image) as made:
        made.worker()
        made.worker()
        made.ready()
        ids = [made.create(f"web{number}", start=True) for number in range(6)]
        for machine_id in ids:
            assert made.settled(machine_id).state == OperationState.DONE
        assert len(libvirt_host.virsh("list", "--name").split()) == 6
        names = {made.ended(made.act(i, Action.POWER_OFF)).worker.split("@")[0] for i in ids}
        assert names <= {"worker-1", "worker-2"}
        assert all("operation.claimed" in process.log for process in made.processes)


def test_a_worker_says_that_it_is_up_and_says_goodbye(tmp_path: Path, sqlite_url: str) -> None:
    def signs(made: Console) -> list[tuple[str, bool, int]]:
        with made.work() as work:
            return [(s.process.kind, s.up, s.process.pid) for s in processes.listing(work)]

    with console(tmp_path, sqlite_url) as made:
        worker = made.worker()
        wait_until(lambda: signs(made) == [("worker", True, worker.pid)], "the sign of life")
        assert worker.stop() == 0
        assert signs(made) == []
        assert "Traceback" not in worker.log


def test_a_worker_that_loses_something_vital_ends_with_an_error(
    tmp_path: Path, sqlite_url: str
) -> None:
    """A database that is gone for good: half a worker would look alive and do nothing."""
    with console(tmp_path, sqlite_url) as made:
        script = tmp_path / "impatient.py"
        script.write_text(
            "from ovcadmin import green\n"
            "green.patch()\n"
            "import sys\n"
            "from pathlib import Path\n"
            "from ovcadmin.config import Settings\n"
            "from ovcadmin.worker import crew, main\n"
            "crew.PATIENCE_SECONDS = 0.5\n"
            "main.run(Settings.from_file(Path(sys.argv[1])))\n"
        )
        worker = made.worker(script)
        with made.database.write.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE operation RENAME TO lost")
        wait_until(lambda: worker.code is not None, "the end of the worker", 30)
        assert worker.code == 1
        assert "worker.broken" in worker.log


def test_a_host_that_is_removed_is_watched_no_more(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost
) -> None:
    with console(tmp_path, sqlite_url) as made:
        worker = made.worker()
        with made.work(write=True) as work:
            row = hosts.enroll(work, pools.root(work), name="h", uri=libvirt_host.uri)
            host_id = row.id
        worker.said("host.up")
        watching = sockets(worker)
        with made.work(write=True) as work:
            work.db.delete(work.db.get_one(Host, host_id))
        worker.said("host.dropped")
        wait_until(lambda: sockets(worker) < watching, "its connections closed")
        assert worker.code is None


def sockets(process: Process) -> int:
    found = 0
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed just now
            found += str(entry.readlink()).startswith("socket:")
    return found

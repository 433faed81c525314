"""OpenvStorage: machines cloned at once, what a call adds, and how fast templates are converted.

The cluster is the simulator on this machine, so its own work is in every figure.  References: the
tasks' own time with nothing else, the same call by the bare HTTP library, and `qemu-img convert`
alone into a file of the same file system.

`python -m bench.openvstorage [conversion] [machines]`: one part alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import urllib3

from bench._report import percentile, report, timed
from ovcadmin.drivers.storage.openvstorage.client import Client
from ovcadmin.models import Machine, Operation
from ovcadmin.services import conversions, images, machines, pools, sizes, storage
from ovcadmin.testing.openvstorage import Simulator
from tests import rig
from tests.rig import vcloud
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.openvstorage import settings_of, simulator, vpool_of

MACHINES = 100
TASK_SECONDS = 1.0
ROUNDS = 2
"""With and without delay in turn; the better time of each counts: others use the machine too."""
TASKS = 2
"""Of each machine: the clone, and growing it."""
CALLS = 300
CONTENT = 256 * 2**20


def create_all(at: Cloud) -> float:
    """Ask for all machines in one transaction; return the seconds until all are there."""
    with at.work(write=True) as work:
        image, size = images.listing(work)[0], sizes.listing(work.settings)[0]
        for number in range(MACHINES):
            order = machines.Order(name=f"machine {number}", image=image, size=size, start=False)
            machines.create(work, pools.root(work), order)
    begun = time.perf_counter()

    def ended() -> bool:
        with at.work() as work:
            return not work.db.query(Operation).filter(Operation.finished_at.is_(None)).count()

    wait_until(ended, "all machines", 600)
    took = time.perf_counter() - begun
    with at.work() as work:
        states = {row.state for row in work.db.query(Machine)}
    if states != {"stopped"}:
        raise RuntimeError(f"machines are {states}")
    return took


def hundred_machines(host: rig.LibvirtHost, directory: Path, seconds: float) -> float:
    routers = {host.name: "127.0.0.1:0"}
    # Leases as long as the product's own: what the tests take is too short for a hundred at once.
    slots = {"operation_slots": 200, "host_slots": 100, "operation_lease_seconds": 15}
    with (
        simulator(directory / "cluster", routers=routers, task_seconds=seconds) as running,
        cloud(
            directory, f"sqlite:///{directory}/bench.db", host, rig.starter_image(), **slots
        ) as at,
    ):
        worker = at.worker()
        at.ready()
        vcloud.prepare(at, running)
        took = create_all(at)
        worker.stop()
        return took


def calls(running: Simulator, directory: Path) -> None:
    client = Client(settings_of(running), directory / "token")
    vpool_of(running, client).volumes()
    token = json.loads((directory / "token").read_text())["token"]
    address = next(iter(running.addresses.values()))
    bare = urllib3.PoolManager(ca_certs=str(running.authority))
    headers = {"Accept": "application/json; version=6", "Authorization": f"Bearer {token}"}

    def plain() -> None:
        json.loads(bare.request("GET", f"{address}/api/vpools/?contents=", headers=headers).data)

    ours, theirs = [], []
    for _ in range(CALLS):
        ours.append(1000 * timed(lambda: client.get("vpools/", contents="")))
        theirs.append(1000 * timed(plain))
    for percent in (50, 95):
        report(
            f"one call, p{percent}", percentile(ours, percent), "ms",
            peer=percentile(theirs, percent),
        )  # fmt: skip


def conversion(host: rig.LibvirtHost, directory: Path) -> None:
    routers = {host.name: "127.0.0.1:0"}
    with (
        simulator(directory / "cluster", routers=routers) as running,
        cloud(directory, f"sqlite:///{directory}/bench.db", host, rig.starter_image()) as at,
    ):
        at.worker()
        at.ready()
        store_id = vcloud.add_vpool(at, running, vcloud.add_cluster(at, running))
        calls(running, directory)
        folder = conversions.directory(at.settings)
        folder.mkdir()
        raw, file = directory / "random.raw", folder / "random.qcow2"
        subprocess.run(["dd", "if=/dev/urandom", f"of={raw}", "bs=1M", f"count={CONTENT >> 20}"],
                       check=True, capture_output=True)  # fmt: skip
        command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, file]
        subprocess.run(command, check=True)
        alone = ["qemu-img", "convert", "-t", "writeback", "-f", "qcow2", "-O", "raw", file]
        peer = timed(lambda: subprocess.run([*alone, directory / "alone.raw"], check=True))
        with at.work(write=True) as work:
            wanted = conversions.Wanted(file=file.name, name="random")
            number = conversions.submit(work, storage.get(work, store_id), wanted).id
        ended = at.ended(number, 300)
        steps = {step.name: step for step in ended.steps}
        if ended.state != "done" or steps["convert"].finished_at is None:
            raise RuntimeError(ended.error_text)
        written = (steps["convert"].finished_at - steps["convert"].started_at).total_seconds()
        whole = (ended.finished_at - ended.started_at).total_seconds()
        report("conversion of 256 MiB, the writing", written, "s", peer=peer)
        report("conversion of 256 MiB, with all checks", whole, "s", peer=peer)


def main() -> None:
    wanted = sys.argv[1:] or ["conversion", "machines"]
    with rig.libvirt_host() as host, tempfile.TemporaryDirectory() as name:
        if "conversion" in wanted:
            conversion(host, _made(Path(name) / "conversion"))
            host.recover()
        if "machines" not in wanted:
            return
        took: dict[float, list[float]] = {0.0: [], TASK_SECONDS: []}
        for number in range(ROUNDS):
            for seconds, times in took.items():
                where = _made(Path(name) / f"{number}-{seconds:g}")
                times.append(hundred_machines(host, where, seconds))
                host.recover()
        at_once, slow = min(took[0.0]), min(took[TASK_SECONDS])
        report("100 machines, tasks without delay", at_once, "s")
        report("100 machines, tasks of 1 s", slow, "s", peer=at_once + TASKS * TASK_SECONDS)


def _made(path: Path) -> Path:
    path.mkdir()
    return path


if __name__ == "__main__":
    main()

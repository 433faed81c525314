"""One worker with very many hosts: how long a sweep takes, and what the worker costs at rest.

The hosts are fakes at the driver's edge, so that everything of the console is real and nothing of
libvirt is measured.  Then a tenth of them become black holes, and the same is measured again: the
reference of those figures is the one before.

`python -m bench.scale [HOSTS]`
"""

from __future__ import annotations

import os
import sys

if len(sys.argv) > 2:
    from ovcadmin import green

    green.patch()

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

from sqlalchemy import func, insert, select

from bench._report import percentile, report
from ovcadmin.config import Settings
from ovcadmin.domain.measurements import Counters
from ovcadmin.drivers.hypervisor.base import DomainState, HostFacts, PowerState, VirtType
from ovcadmin.drivers.hypervisor.fake import FakeHypervisor
from ovcadmin.drivers.hypervisor.stats import HostCounters
from ovcadmin.errors import HostUnresponsive
from ovcadmin.models import Host, Machine
from ovcadmin.services import hosts, pools
from ovcadmin.work import Work
from ovcadmin.worker import connect
from ovcadmin.worker.main import run
from tests.rig.base import wait_until
from tests.rig.console import Console, console

MACHINES = 20
REST_SECONDS = 20.0
HOLE_SECONDS = 8.0
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
FACTS = HostFacts(
    hostname="kvm", uuid="", arch="x86_64", cpu_model="EPYC", cpus=64, memory=2**28,
    libvirt_version="9.0.0", qemu_version="7.2.0", virt_type=VirtType.KVM, virt_note="",
    session=False,
)  # fmt: skip


class Quick(FakeHypervisor):
    """A host that answers at once, or never once the file of black holes is there.

    What its guests are called is known from the host's name.
    """

    def __init__(self, name: str, holes: Path) -> None:
        super().__init__(name)
        self._hole = name.endswith("0")
        self._holes = holes
        self._states = {
            uuid: DomainState(uuid=uuid, name=uuid, power=PowerState.RUNNING)
            for uuid in guests_of(name)
        }

    def _answer(self) -> None:
        if self._hole and self._holes.exists():
            time.sleep(HOLE_SECONDS)
            raise HostUnresponsive("It did not answer within 8 seconds.")

    def facts(self) -> HostFacts:
        self._answer()
        return FACTS

    def states(self) -> Mapping[str, DomainState]:
        self._answer()
        return self._states

    def guest_says(self, uuid: str) -> None:
        self._answer()

    def counters(self) -> HostCounters:
        """Say a tenth of its CPU time is busy."""
        self._answer()
        at = time.monotonic()
        cpu = int(at * FACTS.cpus * 10**8)
        return HostCounters(at=at, busy=cpu, idle=9 * cpu, memory_used=2**27)

    def guests(self) -> Mapping[str, Counters]:
        """Say a tenth of a CPU is busy in each guest."""
        self._answer()
        at = time.monotonic()
        used = Counters(at=at, cpu=int(at * 10**8), memory=2**18, received=int(at), sent=int(at))
        return dict.fromkeys(self._states, used)


def guests_of(host: str) -> list[str]:
    """Return the uuids of the machines that run on a host."""
    return [str(uuid5(NAMESPACE_DNS, f"{host}-{number}")) for number in range(MACHINES)]


def work(ini: Path) -> None:
    """Be the worker process."""
    connect.hypervisor = lambda row, _settings: Quick(row.name, ini.with_name("holes"))
    run(Settings.from_file(ini))


def cost(pid: int) -> tuple[float, float]:
    """Return the CPU seconds that a process took until now, and its memory, MiB."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS, int(words[21]) * PAGE / 2**20


def ages(made: Console, *, holes: bool) -> list[float]:
    """Return how long ago each healthy host was heard, seconds."""
    with made.work() as work:
        now = work.now()
        rows = work.db.execute(select(Host.name, Host.observed_at)).all()
    healthy = [at for name, at in rows if not holes or not name.endswith("0")]
    return [(now - at).total_seconds() for at in healthy if at is not None]


def phase(made: Console, pid: int, *, holes: bool) -> tuple[float, float]:
    """Return the worker's share of a CPU at rest, and the age of the healthy hosts, p95."""
    before, found, begun = cost(pid)[0], [], time.monotonic()
    while time.monotonic() - begun < REST_SECONDS:
        time.sleep(2)
        found += ages(made, holes=holes)
    share = (cost(pid)[0] - before) / (time.monotonic() - begun)
    return share, percentile(found, 95)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Look only now and then: looking costs what is measured."""

    def look() -> bool:
        time.sleep(0.5)
        return condition()

    wait_until(look, what, 240)


def enrol(work: Work, count: int) -> None:
    """Write down the hosts, and what runs on each."""
    root = pools.root(work)
    for number in range(count):
        host = hosts.enroll(work, root, name=f"kvm-{number}", uri=f"test:///{number}")
        plain = {
            "pool_id": root.id, "owner_id": work.actor.user_id, "host_id": host.id,
            "size_name": "small", "vcpus": 2, "memory": 262144, "storage": 15 * 10**9,
            "state": "running", "power": "running",
        }  # fmt: skip
        rows = [
            {**plain, "uuid": uuid, "name": uuid, "name_key": uuid}
            for uuid in guests_of(host.name)
        ]  # fmt: skip
        work.db.execute(insert(Machine), rows)


def measure(made: Console, count: int) -> None:
    with made.work(write=True) as work:
        enrol(work, count)
    begun = time.monotonic()
    worker = made.worker("-m", "bench.scale", "worker")

    def heard(state: str) -> int:
        with made.work() as work:
            return int(work.db.scalar(select(func.count()).where(Host.state == state)) or 0)

    eventually(lambda: heard("up") == count, "every host")
    report(f"first sweep over {count} hosts", time.monotonic() - begun, "s")
    share, age = phase(made, worker.pid, holes=False)
    report("share of a CPU at rest", share, "CPUs")
    report("age of what is known of a host, p95", age, "s", aim=10)
    report("memory of the worker", cost(worker.pid)[1], "MiB")
    (made.directory / "holes").touch()
    eventually(lambda: heard("unresponsive") == -(-count // 10), "the marks of the black holes")
    holed_share, holed = phase(made, worker.pid, holes=True)
    report("share of a CPU with a tenth black-holed", holed_share, "CPUs", peer=share)
    report("age of a healthy host with a tenth black-holed, p95", holed, "s", peer=age)


def main() -> None:
    if len(sys.argv) > 2:
        work(Path(sys.argv[2]))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with (
        tempfile.TemporaryDirectory() as directory,
        console(
            Path(directory), f"sqlite:///{directory}/bench.db", log_level="info"
        ) as made,
    ):  # fmt: skip
        measure(made, count)


if __name__ == "__main__":
    main()

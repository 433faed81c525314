"""Placement decisions a second with 1,000 hosts: the rules alone, and with the facts read first."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench._report import percentile, report
from ovcadmin.domain.choice import choose, pick
from ovcadmin.domain.placement import Candidate, Wanted
from ovcadmin.drivers.hypervisor.base import HostFacts, VirtType
from ovcadmin.drivers.storage.base import StoragePoolFacts
from ovcadmin.services import hosts, placement, pools, storage
from tests.rig.console import Console, console

HOSTS = 1000
SECONDS = 5.0
WANTED = Wanted(vcpus=2, memory=2 * 2**20, storage=15 * 10**9, image_id=None, image="")


def candidates() -> list[Candidate]:
    """Hosts of all kinds: some full, some busy, some closed."""
    made = random.Random(1)
    return [
        Candidate(
            host_id=number,
            host=f"kvm-{number}",
            responsive=made.random() > 0.02,
            enabled=made.random() > 0.02,
            serves=True,
            cpus=64,
            vcpu_room=1024,
            vcpus_committed=made.randrange(1024),
            memory=2**28,
            memory_committed=made.randrange(2**28),
            storage_pool_id=number,
            storage_available=made.randrange(10**13),
            has_image=True,
            load=made.random(),
            trend=made.uniform(-0.2, 0.2),
        )
        for number in range(1, HOSTS + 1)
    ]


def rate(decide: Callable[[], object]) -> tuple[float, list[float]]:
    """Decide for some seconds; return how many a second, and how long each took, ms."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while (begun := time.perf_counter()) < end:
        decide()
        times.append(1000 * (time.perf_counter() - begun))
    return len(times) / sum(times) * 1000, times


def fill(made: Console) -> None:
    facts = HostFacts(
        hostname="kvm", uuid="", arch="x86_64", cpu_model="EPYC", cpus=64, memory=2**28,
        libvirt_version="9.0.0", qemu_version="7.2.0", virt_type=VirtType.KVM, virt_note="",
        session=False,
    )  # fmt: skip
    space = StoragePoolFacts(capacity=10**13, available=10**13, active=True)
    with made.work(write=True) as work:
        root = pools.root(work)
        for number in range(HOSTS):
            row = hosts.enroll(work, root, name=f"kvm-{number}", uri=f"test:///kvm-{number}")
            hosts.answered(work, row.id, facts)
            target = storage.Target(driver="libvirt-dir", target="ovc", path="/volumes")
            store = storage.attach(work, root, row, name=f"kvm-{number} local", where=target)
            storage.observed(work, store.id, space)


def main() -> None:
    found = candidates()
    explained, _ = rate(lambda: choose(found, WANTED))
    many, _ = rate(lambda: pick(found, WANTED))
    report(f"decisions over {HOSTS} hosts", many, "decisions/s", aim=1000, peer=explained)
    with (
        tempfile.TemporaryDirectory() as directory,
        console(Path(directory), f"sqlite:///{directory}/bench.db") as made,
    ):
        fill(made)

        def decide() -> None:
            with made.work() as work:
                placement.choose(work, pools.root(work), WANTED)

        many, times = rate(decide)
    report(f"decisions over {HOSTS} hosts, with the facts read from SQLite", many, "decisions/s")
    report("one of these, p95", percentile(times, 95), "ms")


if __name__ == "__main__":
    main()

"""Hosts that hang: one whose libvirtd is stopped in the middle, one that is a black hole.

The same pages are loaded by the same browser, and the same operations run on a healthy host, with
all hosts in order and then while the two hang.  The reference of each figure is the one before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bench._report import percentile, report
from bench._site import Site, site
from ovcadmin.domain.states import Action
from ovcadmin.services import hosts, pools
from tests import rig
from tests.rig.base import wait_until
from tests.rig.network import LOOPBACK, black_hole

PAGES = ("/", "/machines", "/hosts", "/pools", "/operations", "/signin")
ROUNDS = 12
"""Start and power off, so many times."""
MACHINES = 20


class Browser:
    """Loads the pages one after the other until told to stop."""

    def __init__(self, at: Site) -> None:
        self._site = at.another()
        self._end = threading.Event()
        self.times: list[float] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            self.times += [self._site.load(path)[1] for path in PAGES]
            time.sleep(0.05)

    def stop(self) -> list[float]:
        self._end.set()
        self._thread.join()
        return self.times


def operations(at: Site, machine_id: int) -> list[float]:
    """Start and power off a machine; return how long each operation took in all, ms."""
    times = []
    for number in range(2 * ROUNDS):
        begun = time.perf_counter()
        operation = at.cloud.act(machine_id, (Action.START, Action.POWER_OFF)[number % 2])
        ended = at.cloud.ended(operation)
        if ended.state != "done":
            raise RuntimeError(ended.error_text)
        times.append(1000 * (time.perf_counter() - begun))
    return times[::2]


def phase(at: Site, machine_id: int) -> tuple[list[float], list[float]]:
    browser = Browser(at)
    done = operations(at, machine_id)
    return browser.stop(), done


def marking(at: Site, hang: Callable[[], int]) -> float:
    """Let a host hang; return the seconds until it is marked."""
    begun = time.monotonic()
    host_id = hang()
    wait_until(lambda: at.cloud.host_row(host_id).state == "unresponsive", "the mark", 60)
    return time.monotonic() - begun


def measure(at: Site, first: rig.LibvirtHost, second: rig.LibvirtHost, hole: int) -> None:
    cloud = at.cloud
    first_id = cloud.host_row().id
    second_id = cloud.add_host(second, "healthy")
    cloud.ready()
    for number in range(MACHINES):
        cloud.create(f"filler {number}", host_id=first_id)
    machine_id = cloud.made("bench", host_id=second_id)

    def freeze() -> int:
        first.freeze()
        return first_id

    def enroll() -> int:
        with cloud.work(write=True) as work:
            address = f"qemu+tcp://{LOOPBACK}:{hole}/system"
            return hosts.enroll(work, pools.root(work), name="hole", uri=address).id

    phase(at, machine_id)  # warm
    pages, done = phase(at, machine_id)
    browser = Browser(at)
    report("hung libvirtd is marked after", marking(at, freeze), "s", aim=15, peer=29.1)
    report("black-holed address is marked after", marking(at, enroll), "s", aim=15, peer=133.9)
    during = browser.stop()
    hung_pages, hung_done = phase(at, machine_id)
    first.thaw()
    for name, now, before in (
        ("pages while hosts begin to hang", during, pages),
        ("pages while hosts hang", hung_pages, pages),
        ("start on the healthy host while others hang", hung_done, done),
    ):
        for percent in (50, 95):
            report(
                f"{name}, p{percent}", percentile(now, percent), "ms",
                peer=percentile(before, percent),
            )  # fmt: skip


def main() -> None:
    with (
        black_hole() as hole,
        rig.libvirt_host() as first,
        rig.libvirt_host() as second,
        site(first) as at,
    ):
        measure(at, first, second, hole)


if __name__ == "__main__":
    main()

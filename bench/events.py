"""From a libvirt event to the changed page: a guest is suspended and resumed from outside.

The clock starts when the event reaches a connection of our own, in libvirt's thread.  It stops
when a page that heard the live event has fetched its fragment and finds the new word in it: what
a browser does, without the drawing.
"""

from __future__ import annotations

import json
import threading
import time

from bench._report import percentile, report
from bench._site import Site, site
from ovcadmin import green
from ovcadmin.drivers.hypervisor.base import HostEvent
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from tests import rig
from tests.rig.base import wait_until

ROUNDS = 60
WORDS = {"suspend": "suspended", "resume": "running"}


class Page:
    """An open page of one machine: it fetches its state again whenever it is told to."""

    def __init__(self, at: Site, machine_id: int) -> None:
        self._site = at
        self._change = {"kind": "machine", "id": machine_id}
        self._path = f"/machines/{machine_id}/fragments/state"
        self.seen: list[tuple[float, float, str]] = []
        """When it was told, when it had fetched, what it found."""
        self.open = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        for line in self._site.live():
            if line.startswith("event: hello"):
                self.open.set()
            if line.startswith("data: ") and self._change in _changes(line):
                told = time.time()
                text, _ = self._site.load(self._path)
                self.seen.append((told, time.time(), text))

    def shows(self, word: str, after: float) -> tuple[float, float] | None:
        """Times of the first look after `after` that found the word in the badge."""
        for told, fetched, text in list(self.seen):
            if fetched > after and f">{word}<" in text:
                return told, fetched
        return None


def _changes(line: str) -> list[object]:
    found = json.loads(line.removeprefix("data: "))
    return found if isinstance(found, list) else [found]


def measure(at: Site) -> None:
    cloud = at.cloud
    machine_id = cloud.made("bench", start=True)
    uuid = cloud.machine(machine_id).uuid
    events: list[HostEvent] = []
    own = LibvirtHypervisor("bench", cloud.host.uri)
    own.subscribe(events.append)
    page = Page(at, machine_id)
    page.open.wait(20)
    told, fetched = [], []
    for number in range(ROUNDS):
        verb = ("suspend", "resume")[number % 2]
        events.clear()
        getattr(own, verb)(uuid)
        while not any(event.uuid == uuid for event in events):
            green.sleep(0.001)
        at_event = min(event.received for event in events if event.uuid == uuid)
        looked = wait_until(lambda: page.shows(WORDS[verb], at_event), f"{verb} on the page")  # noqa: B023
        told.append(1000 * (looked[0] - at_event))
        fetched.append(1000 * (looked[1] - at_event))
        green.sleep(0.2)  # events that follow each other closely travel together
    own.close()
    report("libvirt event to live event, p50", percentile(told, 50), "ms")
    report("libvirt event to live event, p95", percentile(told, 95), "ms")
    report("libvirt event to changed page, p50", percentile(fetched, 50), "ms", aim=500)
    report("libvirt event to changed page, p95", percentile(fetched, 95), "ms", aim=500)


def main() -> None:
    with rig.libvirt_host() as host, site(host) as at:
        measure(at)


if __name__ == "__main__":
    main()

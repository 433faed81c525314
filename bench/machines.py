"""Machines beside virsh: start, power off and create from an image, and a hundred creates at once.

Ours is from the row of the operation, queued to done.  virsh does the same on the same host in
the same run: `start`, `destroy`, `vol-clone` with `define`; the two take turns, so that whatever
else the machine does hits both.  Aim: 1.15 times virsh and 100 ms.
"""

from __future__ import annotations

import tempfile
import time
from itertools import count
from pathlib import Path
from statistics import median

import psutil

from bench._report import report
from ovcadmin.domain.states import Action
from ovcadmin.models import OperationState
from ovcadmin.services import machine_edits, machines
from ovcadmin.services.machine_edits import Edit
from tests import rig
from tests.rig.base import wait_until
from tests.rig.cloud import LIBVIRT_POOL, Cloud, cloud

TURNS = 8
AT_ONCE = 100
RESTARTS = 3


def taken(made: Cloud, operation_id: int) -> float:
    """Milliseconds from queued to done."""
    found = made.ended(operation_id, 120)
    assert found.state == OperationState.DONE, found.error_text
    assert found.finished_at is not None
    return 1000 * (found.finished_at - found.created_at).total_seconds()


def virsh(made: Cloud, *commands: tuple[str, ...]) -> float:
    begun = time.perf_counter()
    for command in commands:
        made.host.virsh(*command)
    return 1000 * (time.perf_counter() - begun)


class Twins:
    """A machine of ours, and one that virsh is told to make like it."""

    def __init__(self, made: Cloud) -> None:
        self.made = made
        self.numbers = count(1)
        self.ours = made.made("bench")
        self.domain = made.machine(self.ours).domain_name
        self.xml = made.host.virsh("dumpxml", "--inactive", self.domain)
        self.image = next(
            name
            for name in made.host.virsh("vol-list", LIBVIRT_POOL).split()[::2]
            if name.startswith("image-")
        )
        self.clone()

    def clone(self) -> float:
        """What virsh takes for a disk from the image and a definition."""
        name = f"reference-{next(self.numbers)}"
        uuid = self.made.machine(self.ours).uuid
        text = self.xml.replace(f"machine-{uuid}-vda", name).replace(self.domain, name)
        text = text.replace(f"<uuid>{uuid}</uuid>", "")
        text = "\n".join(line for line in text.splitlines() if "<mac " not in line)
        path = self.made.directory / f"{name}.xml"
        path.write_text(text)
        self.reference = name
        return virsh(
            self.made, ("vol-clone", "--pool", LIBVIRT_POOL, self.image, name),
            ("define", str(path)),
        )  # fmt: skip

    def create(self) -> float:
        machine_id = self.made.create(f"bench {next(self.numbers)}")
        return taken(self.made, self.made.settled(machine_id).id)

    def act(self, action: Action) -> float:
        return taken(self.made, self.made.act(self.ours, action))


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        rig.libvirt_host("bench") as host,
        rig.postgres() as server,
        cloud(Path(folder), server.new_database(), host, rig.starter_image()) as made,
    ):
        made.worker()
        made.ready()
        twins = Twins(made)
        took: dict[str, list[tuple[float, float]]] = {"create": [], "start": [], "power off": []}
        for _ in range(TURNS):
            took["create"].append((twins.create(), twins.clone()))
            start = (twins.act(Action.START), virsh(made, ("start", twins.reference)))
            took["start"].append(start)
            off = (twins.act(Action.POWER_OFF), virsh(made, ("destroy", twins.reference)))
            took["power off"].append(off)
        for name, pairs in took.items():
            ours, theirs = (median(one) for one in zip(*pairs, strict=True))
            report(name, ours, "ms", aim=round(1.15 * theirs + 100), peer=theirs)
        kept_running(made, twins.ours)
        many(made)


def kept_running(made: Cloud, machine_id: int) -> None:
    """Seconds from the end of a guest's process until it runs again."""
    with made.work(write=True) as work:
        machine = machines.get(work, machine_id)
        machine_edits.edit(work, machine, Edit(keep_running=True), machine.version)
    twins = []
    for _ in range(RESTARTS):
        if made.machine(machine_id).state != "running":
            taken(made, made.act(machine_id, Action.START))
        domain = made.machine(machine_id).domain_name
        before = made.host.virsh("domid", domain)
        kill_guest(made.machine(machine_id).uuid)
        begun = time.perf_counter()
        wait_until(lambda: made.host.virsh("domid", domain) not in (before, "-"), "it again", 60)  # noqa: B023
        twins.append(time.perf_counter() - begun)
        made.settled(machine_id)
        made.shows(machine_id, "running")
    report("crashed guest runs again", median(twins), "s", aim=5)


def kill_guest(uuid: str) -> None:
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if line and "qemu-system" in line[0] and uuid in line:
            process.kill()


def many(made: Cloud) -> None:
    """A hundred creates asked for at once."""
    begun = time.perf_counter()
    asked = [made.create(f"many {number}") for number in range(AT_ONCE)]
    report("100 creates: asked for", 1000 * (time.perf_counter() - begun), "ms")
    wait_until(
        lambda: all(made.machine(number).tail_id is None for number in asked[-10:]), "all", 200
    )
    wait_until(lambda: all(made.machine(number).tail_id is None for number in asked), "all", 200)
    took = time.perf_counter() - begun
    assert all(made.machine(number).state == "stopped" for number in asked)
    report("100 creates: all done", 1000 * took, "ms")
    report("100 creates: a second", AT_ONCE / took, "machines/s")


if __name__ == "__main__":
    main()

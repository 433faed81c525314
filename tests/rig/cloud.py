"""A console with a real libvirt host behind it, and verbs for what tests do with machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ovcadmin.domain.resources import Resources
from ovcadmin.domain.states import Action
from ovcadmin.models import Host, Machine, Operation
from ovcadmin.services import hosts, images, machines, operations, pools, quotas, sizes, storage
from tests.rig.base import wait_until
from tests.rig.console import Console
from tests.rig.hypervisor import LibvirtHost

LIBVIRT_POOL = "openvcloud"


class Cloud(Console):
    """The first host is the console's own local one; `add_host` enrols others."""

    def __init__(
        self, directory: Path, database_url: str, host: LibvirtHost, image: Path, **settings: object
    ) -> None:
        local = {
            "local_host": host.uri,
            "local_storage": host.images / "volumes",
            "local_virt_type": "qemu",
            "starter_image": image,
        }
        super().__init__(directory, database_url, **{**local, **settings})
        self.host = host

    def ready(self, seconds: float = 150) -> None:
        """Wait until every host is up, with known storage and a copy of the image, and idle."""

        def complete() -> bool:
            with self.work() as work:
                stores = storage.listing(work)
                copies = [copy for image in images.listing(work) for copy in image.volumes]
                return (
                    bool(stores)
                    and all(host.state == "up" for host in hosts.listing(work))
                    and all(store.active for store in stores)
                    and len(copies) == len(stores)
                    and all(copy.key for copy in copies)
                    and not operations.listing(work, operations.Filter(running=True))
                )

        wait_until(complete, "hosts, storage and image", seconds)

    def add_host(self, host: LibvirtHost, name: str) -> int:
        """Enrol a further host with a storage pool of its own."""
        host.virsh("pool-define-as", LIBVIRT_POOL, "dir", "--target", str(host.images / "volumes"))
        host.virsh("pool-build", LIBVIRT_POOL)
        host.virsh("pool-start", LIBVIRT_POOL)
        with self.work(write=True) as work:
            root = pools.root(work)
            row = hosts.enroll(work, root, name=name, uri=host.uri, virt_type="qemu")
            target = storage.Target(driver="libvirt-dir", target=LIBVIRT_POOL)
            store = storage.attach(work, root, row, name=f"{name} local", where=target)
            work.db.refresh(store)
            for image in images.listing(work):
                images.spread(work, image, store)
            return row.id

    def create(self, name: str, *, start: bool = False, host_id: int | None = None) -> int:
        """Ask for a machine; on a certain host by closing the others for a moment."""
        with self.work(write=True) as work:
            for row in hosts.listing(work):
                row.enabled = host_id in (None, row.id)
            image = images.listing(work)[0]
            order = machines.Order(
                name=name, image=image, size=sizes.listing(work.settings)[0], start=start
            )
            return machines.create(work, pools.root(work), order).id

    def made(self, name: str, *, start: bool = False, host_id: int | None = None) -> int:
        """Ask for a machine and wait until it is there (and runs)."""
        machine_id = self.create(name, start=start, host_id=host_id)
        self.settled(machine_id)
        assert self.machine(machine_id).state == ("running" if start else "stopped")
        return machine_id

    def act(self, machine_id: int, action: Action) -> int:
        with self.work(write=True) as work:
            return machines.act(work, machines.get(work, machine_id), action).id

    def settled(self, machine_id: int, seconds: float = 60) -> Operation:
        """Wait for the end of all that is queued for the machine; return the last of it."""
        wait_until(lambda: self.machine(machine_id).tail_id is None, "an idle machine", seconds)
        with self.work() as work:
            mine = operations.Filter(machine_id=machine_id, limit=1)
            last = operations.listing(work, mine)[0].id
        return self.operation(last)

    def machine(self, machine_id: int) -> Machine:
        with self.work() as work:
            return work.db.get_one(Machine, machine_id)

    def word(self, machine_id: int) -> str:
        """What the machine's badge says."""
        with self.work() as work:
            machine = work.db.get_one(Machine, machine_id)
            return machines.badge(machine, machines.current_operation(work, machine)).word

    def shows(self, machine_id: int, word: str, seconds: float = 20) -> None:
        wait_until(
            lambda: self.word(machine_id) == word,
            f"{word} instead of {self.word(machine_id)}",
            seconds,
        )

    def host_row(self, host_id: int | None = None) -> Host:
        """A host, the local one by default."""
        with self.work() as work:
            found = hosts.listing(work)
            return next(row for row in found if host_id in (None, row.id))

    def used(self) -> Resources:
        """What is used and promised in the whole cloud."""
        with self.work() as work:
            root = pools.root(work).id
            used, pending = quotas.usage(work, [root])[root]
            return used + pending


@contextmanager
def cloud(
    directory: Path, database_url: str, host: LibvirtHost, image: Path, **settings: object
) -> Iterator[Cloud]:
    made = Cloud(directory, database_url, host, image, **settings)
    try:
        yield made
    finally:
        made.close()

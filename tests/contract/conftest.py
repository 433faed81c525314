"""What the contract suites share: waiting that lets events in, a host under test, its machines."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest

from ovcadmin import green
from ovcadmin.drivers.hypervisor.base import DiskSpec, MachineSpec, NicSpec, PowerState, VirtType
from ovcadmin.drivers.hypervisor.connection import Lane, Link
from ovcadmin.drivers.hypervisor.fake import FakeHypervisor
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.drivers.storage.libvirt_pool import LibvirtPool, ensure_pool
from ovcadmin.drivers.storage.openvstorage.client import Client
from tests.rig import openvstorage

T = TypeVar("T")
PROMPT = b"starter:~# "
DEADLINE = 1.5
"""Of an ordinary call of the fixture `hypervisor`, seconds."""


def until(condition: Callable[[], T], what: str, seconds: float = 40) -> T:
    """Wait while greenlets run and events come in; return the first true answer."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        green.sleep(0.01)
    return answer


class Machines:
    """Makes machines on the host under test."""

    def __init__(self, host, disks: Path | None, image: Path | None) -> None:
        self.host = host
        self.disks = disks
        self.image = image

    def spec(self, *, bootable: bool = False, **more) -> MachineSpec:
        uuid = str(uuid4())
        values = {
            "uuid": uuid,
            "name": f"m-{uuid[:8]}",
            "title": "A machine",
            "vcpus": 1,
            "memory": (192 if bootable else 32) * 1024,
            "virt_type": VirtType.QEMU,
            "disks": self._disks(uuid) if bootable else (),
            "nics": (NicSpec(mac="52:54:00:12:34:56", network=None),),
        }
        return MachineSpec(**values | more)

    def defined(self, **more) -> str:
        spec = self.spec(**more)
        self.host.define(spec)
        return spec.uuid

    def running(self, **more) -> str:
        uuid = self.defined(**more)
        self.host.start(uuid)
        return uuid

    def power(self, uuid: str) -> PowerState:
        return self.host.state(uuid).power

    def _disks(self, uuid: str) -> tuple[DiskSpec, ...]:
        if self.disks is None:
            return (DiskSpec(source=f"/fake/{uuid}", target="vda", boot_order=1),)
        disk = self.disks / f"{uuid}.raw"
        shutil.copy(self.image, disk)
        os.truncate(disk, 64 * 2**20)
        return (DiskSpec(source=str(disk), target="vda", boot_order=1),)


class Console:
    """A console as a test reads it."""

    def __init__(self, host, uuid: str) -> None:
        self.text = bytearray()
        self.ended: list[str] = []
        self.pauses: list[int] = []
        """Lengths of the text at which to pause."""
        self.paused = False
        self.stream = host.open_console(uuid, on_data=self._heard, on_close=self.ended.append)

    def _heard(self, chunk: bytes) -> None:
        assert not self.paused, "output in spite of the pause"
        self.text += chunk
        if self.pauses and len(self.text) > self.pauses[0]:
            self.pauses.pop(0)
            self.paused = True
            self.stream.pause()

    def go_on(self) -> None:
        self.paused = False
        self.stream.resume()

    def type(self, line: str) -> None:
        self.stream.write(line.encode() + b"\n")

    def prompt(self) -> None:
        """Wait until the guest has booted."""
        until(lambda: PROMPT in self.text, "the prompt", 100)

    def answers(self, line: str, seconds: float = 20) -> str:
        """Type a command; return what the guest prints up to its next prompt."""
        self.text.clear()
        self.type(line)
        until(lambda: PROMPT in self.text, f"the answer to {line}", seconds)
        return self.text.decode()


@contextmanager
def timed():
    """Seconds that the block took, in a list of one."""
    took: list[float] = []
    begun = time.monotonic()
    yield took
    took.append(time.monotonic() - begun)


@pytest.fixture
def hypervisor(libvirt_host):
    host = LibvirtHypervisor("kvm-a", libvirt_host.uri, deadline=DEADLINE, virt_type=VirtType.QEMU)
    yield host
    host.close()


@pytest.fixture
def machines_of(libvirt_host, starter_image):
    return lambda host: Machines(host, libvirt_host.images, starter_image)


@pytest.fixture
def libvirt_hypervisor(libvirt_host):
    host = LibvirtHypervisor("kvm-a", libvirt_host.uri, deadline=5, virt_type=VirtType.QEMU)
    yield host
    host.close()


@pytest.fixture(params=["fake", "libvirt"])
def host(request):
    """The host under test: both kinds keep the same contract."""
    if request.param == "fake":
        return FakeHypervisor("fake")
    return request.getfixturevalue("libvirt_hypervisor")


@pytest.fixture
def machines(host, request):
    if isinstance(host, FakeHypervisor):
        return Machines(host, None, None)
    images = request.getfixturevalue("libvirt_host").images
    return Machines(host, images, request.getfixturevalue("starter_image"))


@pytest.fixture
def libvirt_pool(libvirt_host):
    quick = Link("kvm-a", libvirt_host.uri, Lane.STORE)
    long = Link("kvm-a", libvirt_host.uri, Lane.COPY)
    ensure_pool(quick, "ovc", str(libvirt_host.images / "ovc"))
    yield LibvirtPool(quick, long, "ovc")
    quick.close()
    long.close()


@pytest.fixture
def raw(tmp_path):
    """A raw file with a hole in the middle."""
    path = tmp_path / "image.raw"
    path.write_bytes(b"boot" + bytes(2 * 2**20 - 8) + b"tail")
    return path


@pytest.fixture
def cluster(tmp_path):
    """A simulated OpenvStorage cluster of two storage routers."""
    routers = {"kvm-a": "127.0.0.1:0", "kvm-b": "127.0.0.2:0"}
    with openvstorage.simulator(tmp_path / "cluster", routers=routers) as running:
        yield running


@pytest.fixture
def client(cluster, tmp_path):
    made = Client(openvstorage.settings_of(cluster), tmp_path / "token")
    yield made
    made.close()


@pytest.fixture
def vpool(request, tmp_path):
    if openvstorage.REAL in os.environ:
        with openvstorage.real_vpool(tmp_path / "token") as real:
            yield real
    else:
        running = request.getfixturevalue("cluster")
        yield openvstorage.vpool_of(running, request.getfixturevalue("client"))

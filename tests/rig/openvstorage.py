"""A simulated OpenvStorage cluster, or a real one that the environment names.

A real one is asked with OVC_TEST_OPENVSTORAGE (addresses, separated by spaces),
OVC_TEST_OPENVSTORAGE_CLIENT, _SECRET, _VPOOL (its name), and _AUTHORITY (a file of certificates);
this machine must have the vPool mounted.  What the tests make there they delete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ovcadmin.domain import clusters
from ovcadmin.drivers.storage.openvstorage.client import Client
from ovcadmin.drivers.storage.openvstorage.driver import VPool
from ovcadmin.drivers.storage.openvstorage.settings import ClusterSettings, Patience
from ovcadmin.testing.openvstorage import Plan, Simulator

REAL = "OVC_TEST_OPENVSTORAGE"
SWIFT = Patience(
    connect=1,
    answer=2,
    task=6,
    sync=20,
    appear=2,
    stale=0.3,
    first_look=0.02,
    last_look=0.2,
    longest_pause=3,
)
"""Deadlines for a cluster on this machine."""


@contextmanager
def simulator(data: Path, **plan: object) -> Iterator[Simulator]:
    with Simulator(Plan(data=data, **plan)) as running:  # type: ignore[arg-type]
        yield running


def settings_of(running: Simulator, patience: Patience = SWIFT, **more: object) -> ClusterSettings:
    values = {
        "name": "cluster",
        "addresses": tuple(running.addresses.values()),
        "client_id": running.plan.client_id,
        "client_secret": running.plan.client_secret,
        "authority": running.authority.read_text(),
        "patience": patience,
        **more,
    }
    return ClusterSettings(**values)  # type: ignore[arg-type]


def vpool_of(running: Simulator, client: Client, name: str = "vpool1") -> VPool:
    """Return the driver of a vPool; host kvm-a has the first storage router, kvm-b the second."""
    guids = [router.guid for router in running.cluster.routers.values()]
    routers = dict(zip(("kvm-a", "kvm-b"), guids, strict=False))
    return VPool(client, running.cluster.vpool(name).guid, routers=routers)


@contextmanager
def real_vpool(token_file: Path) -> Iterator[VPool]:
    """The vPool that the environment names; it is emptied of what tests make."""
    authority = os.environ.get(f"{REAL}_AUTHORITY")
    settings = ClusterSettings(
        name="real",
        addresses=tuple(clusters.addresses(os.environ[REAL])),
        client_id=os.environ[f"{REAL}_CLIENT"],
        client_secret=os.environ[f"{REAL}_SECRET"],
        authority=Path(authority).read_text() if authority else "",
    )
    client = Client(settings, token_file)
    wanted = os.environ.get(f"{REAL}_VPOOL", "vpool1")
    vpool = next(item for item in client.every("vpools/") if item["name"] == wanted)
    routers = {
        host: str(item["guid"])
        for host, item in zip(("kvm-a", "kvm-b"), client.every("storagerouters/"), strict=False)
    }
    pool = VPool(client, vpool["guid"], routers=routers)
    before = {volume.key for volume in pool.volumes()}
    yield pool
    for _ in range(3):  # children first: what still has some goes in the next round
        for volume in pool.volumes():
            if volume.key not in before:
                with_children = client.get(f"vdisks/{volume.key}/", contents="child_vdisks")
                if not with_children["child_vdisks_guids"]:
                    pool.delete(volume.key)
    client.close()

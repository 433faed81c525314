"""A console whose machines live on a simulated OpenvStorage vPool."""

from __future__ import annotations

from ovcadmin.services import clusters, images, pools, storage, vpools
from ovcadmin.testing.openvstorage import Simulator
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud


def draft(running: Simulator, **more: str) -> clusters.Draft:
    values = {
        "name": "Cluster",
        "addresses": "\n".join(running.addresses.values()),
        "client_id": running.plan.client_id,
        "secret": running.plan.client_secret,
        "authority": running.authority.read_text(),
        **more,
    }
    return clusters.Draft(**values)


def add_cluster(cloud: Cloud, running: Simulator, **more: str) -> int:
    """Write the cluster down and wait until the worker has seen it."""
    with cloud.work(write=True) as work:
        cluster_id = clusters.create(work, pools.root(work), draft(running, **more)).id
    cluster_is(cloud, cluster_id, "up")
    return cluster_id


def cluster_is(cloud: Cloud, cluster_id: int, state: str, seconds: float = 30) -> None:
    def so() -> bool:
        with cloud.work() as work:
            return clusters.get(work, cluster_id).state == state

    wait_until(so, f"cluster {state}", seconds)


def add_vpool(cloud: Cloud, running: Simulator, cluster_id: int, name: str = "vpool1") -> int:
    """Attach a vPool to the root pool, and wait until it is active."""
    with cloud.work(write=True) as work:
        guid = running.cluster.vpool(name).guid
        cluster = clusters.get(work, cluster_id)
        store_id = vpools.add(work, cluster, pools.root(work), guid=guid, name=name).id

    def active() -> bool:
        with cloud.work() as work:
            return storage.get(work, store_id).active

    wait_until(active, "an active vPool")
    return store_id


def copy_image(cloud: Cloud, store_id: int) -> None:
    """Copy the first image to the vPool; what is made from it lives there alone."""
    with cloud.work(write=True) as work:
        image = images.listing(work)[0]
        operation = images.spread(work, image, storage.get(work, store_id))
        assert operation is not None
        number = operation.id
    ended = cloud.ended(number)
    assert ended.state == "done", ended.error_text


def prepare(cloud: Cloud, running: Simulator) -> int:
    """Have a vPool with the image on it; return the storage pool's id."""
    store_id = add_vpool(cloud, running, add_cluster(cloud, running))
    copy_image(cloud, store_id)
    return store_id

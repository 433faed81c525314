"""Accepting a create with its quota check: how long it takes, and how many a second.

1,000 pools, eight deep, with limits on every level, and 100 or 10,000 machines in them, half of
them running, a hundred on a host.  One accept is one transaction of the service that forms and
REST call: machine, operation, audit row, reservation over the whole chain.  Sixteen clients are
four processes of four threads each, as the web process would hold them; the clock runs when each
has accepted some, as in a console that has been up for a while.  PostgreSQL writes to the disk
before it says that a transaction is done, as it must.

On PostgreSQL sixteen clients are bound by processors, theirs and the server's: one accept takes
about 15 ms of a client's and 6 ms of the server's, with 100 machines as with 10,000.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from threading import Barrier
from uuid import uuid4

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from bench._database import settle
from bench._report import percentile, report, timed
from ovcadmin.domain.resources import NAMES, Limits
from ovcadmin.models import (
    PENDING,
    Host,
    HostStoragePool,
    Lineage,
    Machine,
    Pool,
    PoolUse,
    Quota,
    Reservation,
    StoragePool,
)
from ovcadmin.models.database import Database
from ovcadmin.services import hosts, images, machines, quotas, sizes
from tests import rig
from tests.integration.quota_cloud import Cloud, facts

CHAINS = 125
DEPTH = 8
SINGLE = 200
PROCESSES = 4
THREADS = 4
ON_A_HOST = 100
WARM = 6
"""Creates of each client before the clock starts: its statements are prepared then."""
SECONDS = 8.0
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
USE = ["pool_id", *NAMES, *PENDING.values()]
LIMITS = dict(Limits(vcpus=10**6, memory=2**40, machines=10**6, storage=10**16).items())


def furnish(cloud: Cloud, count_: int) -> list[int]:
    """Fill the tree below the root; return the ids of the deepest pools."""
    leaves = []
    with cloud.database.writing() as session:
        crew = _hosts(cloud, session, count_)
        root = session.query(Pool).filter(Pool.parent_id.is_(None)).one().id
        session.add(Quota(pool_id=root, **LIMITS))
        for chain in range(CHAINS):
            above, parent = [root], root
            for depth in range(DEPTH):
                name = f"pool {chain} {depth}"
                pool = Pool(parent_id=parent, name=name, name_key=name)
                session.add(pool)
                session.flush()
                session.add(Quota(pool_id=pool.id, **LIMITS))
                above.append(pool.id)
                session.add_all(
                    Lineage(ancestor_id=ancestor, pool_id=pool.id, distance=len(above) - 1 - place)
                    for place, ancestor in enumerate(above)
                )
                parent = pool.id
            leaves.append(parent)
        image = images.offered(cloud.system(session), session.get_one(Pool, root))[0].id
        session.execute(insert(Machine), list(_machines(leaves, count_, image, crew)))
        made = session.query(Machine.id, Machine.pool_id).all()
        session.execute(insert(Reservation), list(_reservations(made)))
        session.execute(insert(PoolUse).from_select(USE, quotas.added_up()))
    return leaves


def _hosts(cloud: Cloud, session: Session, count_: int) -> list[int]:
    """Put a host of 64 CPUs beside the first one for each hundred machines; return their ids."""
    work = cloud.system(session)
    store = session.query(StoragePool).one()
    for number in range(1, count_ // ON_A_HOST):
        host = hosts.enroll(work, store.pool, name=f"kvm-{number}", uri=f"test:///{number}")
        told = replace(facts(), hostname=host.name, uuid=str(number))
        hosts.answered(work, host.id, told)
        session.add(HostStoragePool(host_id=host.id, storage_pool_id=store.id))
    session.flush()
    return list(session.scalars(select(Host.id)))


def _machines(
    leaves: list[int], count_: int, image: int, hosts_: list[int]
) -> Iterator[dict[str, object]]:
    for number in range(count_):
        yield {
            "uuid": str(uuid4()), "pool_id": leaves[number % len(leaves)], "owner_id": 1,
            "name": f"m{number}", "name_key": f"m{number}",
            "host_id": hosts_[number % len(hosts_)], "image_id": image,
            "size_name": "small", "vcpus": 2, "memory": 262144, "storage": 15 * 10**9,
            "state": "running" if number % 2 else "stopped",
        }  # fmt: skip


def _reservations(made: list[tuple[int, int]]) -> Iterator[dict[str, object]]:
    none = dict.fromkeys(("vcpus", "memory", "nics", "machines", "redundancy", "storage"), 0)
    for number, pool_id in made:
        base = {"pool_id": pool_id, "machine_id": number, **none}
        yield {**base, "kind": "storage", "storage": 15 * 10**9}
        if number % 2:
            yield {**base, "kind": "running", "vcpus": 2, "memory": 262144, "nics": 1,
                   "machines": 1}  # fmt: skip


def accept(cloud: Cloud, leaf: int, name: str) -> None:
    with cloud.database.writing() as session:
        work = cloud.admin(session)
        pool = session.get_one(Pool, leaf)
        order = machines.Order(
            name=name,
            image=images.offered(work, pool)[0],
            size=sizes.get(cloud.settings, "small"),
        )
        machines.create(work, pool, order)


def clients(job: tuple[str, str, list[int], str], ready: Barrier) -> list[float]:
    """One process of clients; returns the seconds of each accept."""
    url, data_dir, leaves, prefix = job
    cloud = Cloud(url, data_dir)
    cloud.database = Database(url, pool_size=THREADS)

    def client(thread: int) -> list[float]:
        def one(number: int) -> None:
            leaf = leaves[(thread * 31 + number) % len(leaves)]
            accept(cloud, leaf, f"{prefix} {thread} {number}")

        for number in range(WARM):
            one(-1 - number)
        ready.wait()
        end = time.perf_counter() + SECONDS
        found = []
        while time.perf_counter() < end:
            found.append(timed(lambda: one(len(found))))
        return found

    with ThreadPoolExecutor(THREADS) as crowd:
        found = [seconds for part in crowd.map(client, range(THREADS)) for seconds in part]
    cloud.database.dispose()
    return found


def measure(kind: str, url: str, directory: str, count_: int) -> None:
    cloud = Cloud(url, directory)
    cloud.build()
    leaves = furnish(cloud, count_)
    settle(cloud.database)
    numbers = count()
    for leaf in leaves[:10]:
        accept(cloud, leaf, f"warm {next(numbers)}")
    times = [
        1000 * timed(lambda n=n: accept(cloud, leaves[n % CHAINS], f"one {n}"))  # type: ignore[misc]
        for n in range(SINGLE)
    ]
    name = f"{kind}, {count_} machines: accepting a create"
    aim = None if cloud.database.is_sqlite else 30
    report(f"{name}, p50", percentile(times, 50), "ms")
    report(f"{name}, p95", percentile(times, 95), "ms", aim=aim)
    cloud.database.dispose()
    jobs = [(url, directory, leaves, f"p{number}") for number in range(PROCESSES)]
    context = multiprocessing.get_context("spawn")
    with context.Manager() as shared, ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        ready = shared.Barrier(PROCESSES * THREADS)
        parts = [pool.submit(clients, job, ready) for job in jobs]
        waits = [seconds for part in parts for seconds in part.result()]
    aim = None if cloud.database.is_sqlite else 100
    report(f"{name}, 16 clients", len(waits) / SECONDS, "creates/s", aim=aim)
    report(f"{name}, 16 clients, p95", 1000 * percentile(waits, 95), "ms")


def main() -> None:
    for count_ in (100, 10_000):
        with tempfile.TemporaryDirectory() as directory:
            measure("SQLite", f"sqlite:///{directory}/ovcadmin.db", directory, count_)
        with rig.postgres(**DURABLE) as server, tempfile.TemporaryDirectory() as directory:
            measure("PostgreSQL", server.new_database(), directory, count_)


if __name__ == "__main__":
    main()

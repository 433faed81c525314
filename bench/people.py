"""People of a directory: sign-ins with it up and with its first server dead; 20,000 users at once.

The crowd is in teams of a hundred, each of which holds a role on a pool: what a synchronisation
changes of rights is worked out as well.  Half of the crowd vanishes in the end, then the realm is
deleted.

    bench/people.py [--people 2000] [sign-in] [sync] [vanish]     all parts when none is named

The real web process and a real worker on PostgreSQL, and a real OpenLDAP with StartTLS.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
from sqlalchemy import select

from bench._report import percentile, report
from ovcadmin.directories import Directories
from ovcadmin.models import Grant, Group, Operation, Role, utcnow
from ovcadmin.services import pools, realm_ends, realm_sync, realms
from ovcadmin.services.realm_tally import Tally
from tests import rig
from tests.rig import people
from tests.rig.base import wait_until
from tests.rig.console import Console, Process, console
from tests.rig.network import black_hole, free_ports
from tests.rig.slapd import Slapd, slapd

CROWD = 20_000
TEAM = 100
SIGN_INS = 100
CLIENTS = 2
LEASE = 15
"""s; what the product ships."""
QUICK = 100
"""ms: a sign-in while the process does nothing else."""
AIM = 500
"""ms: a person waits for it, and the directory hashes the password on purpose."""


def make_realm(on: Console, server: Slapd, name: str, servers: Sequence[str]) -> int:
    settings = {
        "servers": "\n".join(servers),
        "authority": server.ca_file.read_text(),
        "base": people.EXAMPLE,
        "people_base": people.CROWD,
        "bind_dn": f"cn=console,ou=services,{people.EXAMPLE}",
        "sync_minutes": 0,
    }
    draft = realms.Draft(label=name, settings=settings, password=people.PASSWORD)
    doors = Directories(on.settings.data_dir, threads=8)
    with on.work(write=True) as work:
        realm = realms.create(work, doors, name=name, kind="openldap", draft=draft)
        realms.set_enabled(work, realm, enabled=True)
        return realm.id


def sign_in(browser: httpx.Client, realm: str, number: int) -> float:
    """Milliseconds of one sign-in by somebody of the crowd."""
    browser.cookies.clear()
    form = {"name": f"u{number:05}", "password": people.PASSWORD, "realm": realm}
    begun = time.perf_counter()
    answer = browser.post("/signin", data=form)
    if answer.status_code != httpx.codes.SEE_OTHER:
        raise RuntimeError(f"sign-in answered {answer.status_code}")
    return 1000 * (time.perf_counter() - begun)


def warm_up(url: str) -> None:
    """Wait until the web process has made itself ready in the background."""
    with httpx.Client(base_url=url, timeout=30) as browser:
        wait_until(lambda: sign_in(browser, "up", 199) < QUICK, "a quick sign-in", 90)


def sign_ins(url: str, realm: str, label: str) -> None:
    times: list[float] = []

    def client(first: int) -> None:
        with httpx.Client(base_url=url, timeout=30) as browser:
            turns = range(first, first + SIGN_INS // CLIENTS)
            times.extend([sign_in(browser, realm, number) for number in turns])

    crowd = [
        threading.Thread(target=client, args=(number * SIGN_INS,)) for number in range(CLIENTS)
    ]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    report(f"sign-in p50, {label}", percentile(times, 50), "ms")
    report(f"sign-in p95, {label}", percentile(times, 95), "ms", aim=AIM)
    report(f"sign-in slowest, {label}", max(times), "ms")


def sync(on: Console, worker: Process, realm_id: int, label: str, **how: bool) -> Tally:
    with on.work(write=True) as work:
        realm = realms.get(work, realm_id)
        asked = realm_sync.submit(work, realm, dry=how.pop("dry", False), **how)
    lease = Lease(on, asked.id)
    done = on.ended(asked.id, 200)
    if done.state != "done" or done.attempt != 1 or not done.started_at or not done.finished_at:
        raise RuntimeError(done.error_text or f"attempt {done.attempt}")
    seconds = (done.finished_at - done.started_at).total_seconds()
    told = realm_sync.tally(done)
    assert told is not None, "it ended well"
    report(f"sync of {told.people} users, {label}", seconds, "s", aim=60)
    report(f"worker's memory after it, {label}", peak(worker.pid) / 1024, "MiB", aim=300)
    report(f"least that was left of the lease, {label}", lease.least(), "s")
    return told


class Lease:
    """Looks how well a worker keeps the lease of an operation while that runs."""

    def __init__(self, on: Console, operation_id: int) -> None:
        self._on = on
        self._id = operation_id
        self._left: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def least(self) -> float:
        """Seconds."""
        self._over.set()
        self._thread.join()
        return min(self._left, default=0)

    def _watch(self) -> None:
        running = select(Operation.lease_until).where(
            Operation.id == self._id, Operation.state == "running"
        )
        while not self._over.wait(0.2):
            with self._on.database.reading() as session:
                until = session.scalar(running)
            if until is not None:
                self._left.append((until - utcnow()).total_seconds())


def give_roles(on: Console) -> None:
    """Each team holds User on one of twenty pools."""
    with on.work(write=True) as work:
        role = work.db.scalars(select(Role).where(Role.name == "User")).one()
        places = [pools.create(work, pools.root(work), name=f"pool{n:02}") for n in range(20)]
        for number, group in enumerate(work.db.scalars(select(Group).order_by(Group.name)).all()):
            place = places[number % len(places)]
            work.db.add(Grant(group_id=group.id, role_id=role.id, pool_id=place.id))


def lose_half(on: Console, worker: Process, realm_id: int, crowd: int) -> None:
    """A filter that leaves half of the crowd out, first tried and then meant."""
    zeros = "0" * (len(f"{CROWD}") - len(f"{crowd}") + 1)
    with on.work(write=True) as work:
        realm = realms.get(work, realm_id)
        realm.settings = {**realm.settings, "people_filter": f"(uid=u{zeros}*)"}
        realm.version += 1
    for dry in (True, False):
        label = "half vanishes, dry run" if dry else "half vanishes"
        told = sync(on, worker, realm_id, label, dry=dry)
        lost = sum(line["count"] for line in told.rights)
        if told.counts["vanished"] != crowd // 2 or lost != crowd // 2:
            raise RuntimeError(f"{told.words}; {lost} lost a role")


def delete(on: Console, realm_id: int) -> None:
    with on.work(write=True) as work:
        realm = realms.get(work, realm_id)
        realms.set_enabled(work, realm, enabled=False)
        users = realm_ends.preview(work, realm).users
        begun = time.perf_counter()
        realm_ends.remove(work, realm, typed=realm.name)
        work.db.flush()
        seconds = time.perf_counter() - begun
    report(f"deletion of a realm of {users} users", seconds, "s", aim=10)


def peak(pid: int) -> int:
    """Highest resident memory of a process so far, KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def bench_sign_in(on: Console, server: Slapd, _crowd: int) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    right = f"localhost:{server.port}"
    ini = on.variant("web", web_listen=f"127.0.0.1:{port}", signin_failures=1000)
    on.start(sys.executable, "-m", "ovcadmin.manage.web", ini)
    wait_until(lambda: _answers(port), "the web process", 90)
    make_realm(on, server, "up", [right])
    warm_up(url)
    sign_ins(url, "up", "directory up")
    with black_hole() as dead:
        make_realm(on, server, "half", [f"127.0.0.1:{dead}", right])
        sign_ins(url, "half", "first server black-holed")


def bench_sync(on: Console, server: Slapd, _crowd: int) -> None:
    realm_id = make_realm(on, server, "up", [f"localhost:{server.port}"])
    worker = on.worker()
    report("worker's memory before", peak(worker.pid) / 1024, "MiB")
    sync(on, worker, realm_id, "all new, dry run", dry=True)
    sync(on, worker, realm_id, "all new")
    give_roles(on)
    sync(on, worker, realm_id, "nothing new")


def bench_vanish(on: Console, server: Slapd, crowd: int) -> None:
    realm_id = make_realm(on, server, "up", [f"localhost:{server.port}"])
    worker = on.worker()
    sync(on, worker, realm_id, "all new, to begin with")
    give_roles(on)
    lose_half(on, worker, realm_id, crowd)
    delete(on, realm_id)


PARTS = {"sign-in": bench_sign_in, "sync": bench_sync, "vanish": bench_vanish}


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    reader = argparse.ArgumentParser()
    reader.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    reader.add_argument("--people", type=int, default=CROWD, choices=(200, 2000, CROWD))
    wanted = reader.parse_args()
    with slapd(people.crowd(wanted.people)) as server, rig.postgres() as postgres:
        server.add(people.teams(wanted.people // TEAM, TEAM))
        for part in wanted.parts or PARTS:
            with (
                tempfile.TemporaryDirectory() as name,
                console(Path(name), postgres.new_database(), operation_lease_seconds=LEASE) as on,
            ):
                PARTS[part](on, server, wanted.people)


if __name__ == "__main__":
    main()

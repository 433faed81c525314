"""Every door at which something can be taken, at 100 % of the limit behind it.

The limits are those of the account above the pool, so that the whole chain is asked.  At each
door: refused while there is no room, accepted as soon as there is just enough, and what was
promised is free again when the operation fails.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from ovcadmin.domain.resources import Limits, Resources
from ovcadmin.domain.states import State
from ovcadmin.engine import store, types
from ovcadmin.models import (
    Host,
    HostStoragePool,
    Machine,
    Operation,
    OperationState,
    Profile,
    Snapshot,
    SnapshotPart,
    Volume,
)
from ovcadmin.services import (
    care,
    machines,
    migrations,
    pool_limits,
    pools,
    quota_check,
    quotas,
    snapshot_schedules,
    snapshots,
)
from tests.functional import test_adoption

GB = 10**9
MIB = 1024


class Estate:
    """An account with a pool of machines in every state, and the API in a user's hand."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.account = world.pool("Account")
        self.web = world.pool("Web", self.account)
        self.apart, self.beside = world.pool("Apart"), world.pool("Beside")
        self.host = world.host("kvm-a")
        self.other = world.host("kvm-b")
        self.image = world.image()
        for name, pool, state in (
            ("running", self.web, State.RUNNING), ("suspended", self.web, State.SUSPENDED),
            ("stopped", self.web, State.STOPPED), ("saved", self.web, State.SAVED),
            ("binned", self.web, State.BINNED), ("guest", self.apart, State.RUNNING),
            ("lodger", self.beside, State.RUNNING),
        ):  # fmt: skip
            self._machine(name, pool, state)
        kept = world.store(self.host)
        with world.work() as work:
            work.db.add(HostStoragePool(host_id=self.other.id, storage_pool_id=kept.id))
            work.db.get(Host, self.other.id).migration_uri = "tcp://kvm-b"
            work.db.add(
                Profile(
                    pool_id=self.web.id, name="Small", name_key="small", image_id=self.image.id,
                    size_name="tiny", start=False, created_at=work.now(),
                )
            )  # fmt: skip
            work.db.flush()
            self.store_id, self.profile_id = kept.id, work.db.query(Profile).one().id
        self.api = world.api(world.admin())
        test_adoption.found(world, self.host)

    def _machine(self, name: str, pool: Any, state: State) -> None:
        world = self.world
        made = world.machine(name, pool, host=self.host, state=state)
        kept = world.store(self.host).id
        with world.work() as work:
            row = work.db.get(Machine, made.id)
            row.power = "running" if state is State.RUNNING else "shutoff"
            row.protected = state in (State.STOPPED, State.SAVED)
            if state is State.BINNED:
                row.binned_at, row.purge_at = work.now(), work.now() + timedelta(days=7)
            work.db.add(
                Volume(
                    storage_pool_id=kept, name=f"{name}-vda", target="vda",
                    key=f"{name}-vda", size=row.storage, machine_id=row.id,
                )
            )  # fmt: skip
        setattr(self, name, made.id)

    def taken(self, pool: Any = None) -> Any:
        number = (pool or self.account).id
        with self.world.work() as work:
            used, pending = quotas.usage(work, [number])[number]
        return used + pending

    def limit(self, **room: int) -> None:
        """Give the account what it takes now as its limits, and so much more of these."""
        taken = self.taken()
        limits = {name: amount + room.get(name, 0) for name, amount in taken.items()}
        with self.world.work() as work:
            pool_limits.set_limits(work, pools.get(work, self.account.id), Limits(**limits))

    def end(self, number: int, state: OperationState) -> None:
        """What the worker does at the end of an operation."""
        with self.world.work() as work:
            operation = work.db.get(Operation, number)
            kind = types.get(operation.type)
            (kind.succeed if state is OperationState.DONE else kind.fail)(work, operation)
            store.end(work.db, operation, state, work.now())

    def books(self) -> None:
        with self.world.work() as work:
            assert quota_check.differences(work) == []

    def on(self, name: str, path: str, body: Any = None) -> Any:
        return self.api("POST", f"/machines/{getattr(self, name)}{path}", body)


@dataclass(frozen=True)
class Door:
    name: str
    needs: dict[str, int]
    ask: Callable[[Estate], Any]
    """Ask as a user does."""


def _order(estate: Estate) -> Any:
    body = {"name": "fresh", "image_id": estate.image.id, "size": "tiny"}
    return estate.api("POST", f"/pools/{estate.web.id}/machines", body)


def _resized(estate: Estate, *, vcpus: int = 0, memory: int = 0) -> Any:
    with estate.world.work() as work:
        row = work.db.get(Machine, estate.running)
        body = {"vcpus": row.vcpus + vcpus, "memory": row.memory + memory}
    return estate.on("running", "/resize", body)


def _with_snapshot(estate: Estate) -> Any:
    """Roll back to a snapshot from when the disk was larger."""
    with estate.world.work() as work:
        machine = machines.get(work, estate.stopped)
        disk = machine.volumes[0]
        snapshot = next(iter(snapshots.listing(work, machine)), None)
        if snapshot is None:
            part = SnapshotPart(volume=disk, key="old", size=disk.size + GB, counted=False)
            snapshot = Snapshot(
                machine_id=machine.id, name="larger", created_at=work.now(), parts=[part],
                taken_at=work.now(),
            )  # fmt: skip
            work.db.add(snapshot)
            work.db.flush()
        number = snapshot.id
    return estate.api("POST", f"/snapshots/{number}/roll-back")


def _adopted(estate: Estate) -> Any:
    body = {"uuid": test_adoption.UUID, "pool_id": estate.web.id, "name": "old-web"}
    return estate.api("POST", f"/hosts/{estate.host.id}/domains", body)


RUNS = {"vcpus": 1, "memory": 128 * MIB, "nics": 1, "machines": 1}
PROTECTED = {**RUNS, "redundancy": 1}
FOREIGN = {"vcpus": 2, "memory": 1024 * MIB, "storage": 10 * GB, "nics": 1, "machines": 1}
DOORS = [
    Door("create", {"storage": GB}, _order),
    Door("create by a profile", {"storage": GB}, lambda e: e.api(
        "POST", f"/profiles/{e.profile_id}/machines", {"pool_id": e.web.id})),
    Door("start", PROTECTED, lambda e: e.on("stopped", "/actions/start")),
    Door("restore of what was saved", PROTECTED, lambda e: e.on("saved", "/actions/restore")),
    Door("resize: vcpus", {"vcpus": 1}, lambda e: _resized(e, vcpus=1)),
    Door("resize: memory", {"memory": 128 * MIB}, lambda e: _resized(e, memory=128 * MIB)),
    Door("hot-add of a card", {"nics": 1}, lambda e: e.on("running", "/cards", {})),
    Door("a drive more", {"storage": GB}, lambda e: e.on("running", "/drives", {"size": GB})),
    Door("growth of a drive", {"storage": GB}, lambda e: e.api(
        "PATCH", f"/machines/{e.running}/drives/vda", {"size": 2 * GB})),
    Door("clone", {"storage": GB}, lambda e: e.on("stopped", "/clones", {"name": "twin"})),
    Door("snapshot", {"storage": GB}, lambda e: e.on("running", "/snapshots", {"name": "now"})),
    Door("snapshot revert", {"storage": GB}, _with_snapshot),
    Door("a volume of the pool", {"storage": GB}, lambda e: e.api(
        "POST", f"/storage-pools/{e.store_id}/volumes",
        {"name": "spare", "size": GB, "pool_id": e.web.id})),
    Door("import of a domain", FOREIGN, _adopted),
]  # fmt: skip
BETWEEN = [
    Door("move of a machine", {**RUNS, "storage": GB}, lambda e: e.on(
        "lodger", "/move", {"pool_id": e.web.id})),
    Door("move of a pool", {**RUNS, "storage": GB}, lambda e: e.api(
        "POST", f"/pools/{e.apart.id}/move", {"parent_id": e.account.id})),
]  # fmt: skip


@pytest.fixture
def estate(world) -> Estate:
    return Estate(world)


@pytest.mark.requirement("PEER-07", "OVT-29", "OVT-46")
@pytest.mark.timeout(300)
def test_fault_02_every_door_asks_the_same_chain_and_none_is_passed_by(estate):
    estate.books()
    for door in DOORS:
        before = estate.taken()
        for lacking in door.needs:
            room = {**door.needs, lacking: door.needs[lacking] - 1}
            _refused(estate, door, lacking, room)
        estate.limit(**door.needs)
        answer = door.ask(estate)
        assert answer.status_int == 202, (door.name, answer.text)
        grown = {name: amount for name, amount in (estate.taken() - before).items() if amount}
        assert set(grown) == set(door.needs), door.name
        number = answer.json["operation"]["id"]
        estate.end(number, OperationState.FAILED)
        assert estate.taken() == before, door.name
        estate.books()
    _migrates_at_the_limit(estate)
    _passes_what_counts_already(estate)
    for door in BETWEEN:
        _refused(estate, door, "machines", {**door.needs, "machines": 0})
        before = estate.taken()
        estate.limit(**door.needs)
        assert door.ask(estate).status_int == 200
        assert estate.taken() - before == Resources(**door.needs)
        estate.books()
    _a_limit_may_fall_below_its_use(estate)
    estate.books()


@pytest.mark.requirement("PEER-06", "OVT-46")
def test_fault_01_of_all_doors_to_a_running_machine_at_once_one_lets_in(estate):
    """Each is another machine by another way; the limit is two levels up, with room for one."""
    plenty = {"vcpus": 100, "memory": 2**30, "nics": 100, "redundancy": 100, "storage": 10**15}
    estate.limit(**plenty, machines=1)
    before = estate.taken()
    running = [door for door in (*DOORS, *BETWEEN) if "machines" in door.needs]
    assert len(running) == 5
    with ThreadPoolExecutor(len(running)) as crowd:
        answers = list(crowd.map(lambda door: door.ask(estate), running))
    told = {door.name: one.status_int for door, one in zip(running, answers, strict=True)}
    assert sorted(told.values()) in ([200, 409, 409, 409, 409], [202, 409, 409, 409, 409]), told
    refused = {one.json["code"] for one in answers if one.status_int == 409}
    assert refused == {"quota.exceeded"}
    assert estate.taken().machines == before.machines + 1
    estate.books()


@pytest.mark.requirement("PEER-06", "OVT-46")
def test_fault_01_of_all_doors_to_storage_at_once_as_many_let_in_as_there_is_room(estate):
    estate.limit(storage=4 * GB)
    before = estate.taken()
    web, store = f"/pools/{estate.web.id}/machines", f"/storage-pools/{estate.store_id}/volumes"
    order = {"image_id": estate.image.id, "size": "tiny"}
    volume = {"size": GB, "pool_id": estate.web.id}
    asks = [
        *(("POST", web, {**order, "name": f"new{number}"}) for number in range(4)),
        *(("POST", store, {**volume, "name": f"spare{number}"}) for number in range(4)),
        ("POST", f"/machines/{estate.stopped}/clones", {"name": "twin"}),
        ("POST", f"/machines/{estate.running}/snapshots", {"name": "now"}),
    ]
    with ThreadPoolExecutor(len(asks)) as crowd:
        answers = list(crowd.map(lambda ask: estate.api(*ask), asks))
    assert [one.status_int for one in answers].count(202) == 4, [one.text for one in answers]
    assert {one.json["code"] for one in answers if one.status_int != 202} == {"quota.exceeded"}
    assert estate.taken() == before + Resources(storage=4 * GB)
    estate.books()


def _refused(estate: Estate, door: Door, lacking: str, room: dict[str, int]) -> None:
    estate.limit(**room)
    before = estate.taken()
    refused = door.ask(estate)
    assert refused.status_int == 409, (door.name, refused.text)
    assert refused.json["code"] == "quota.exceeded", door.name
    blocks = refused.json["context"]["blocks"]
    assert {(block["resource"], block["pool_id"]) for block in blocks} == {
        (lacking, estate.account.id)
    }, door.name
    assert estate.taken() == before, door.name


def _migrates_at_the_limit(estate: Estate) -> None:
    """A running machine moves to the other host: nothing is counted twice, nor let go."""
    estate.limit()
    before = estate.taken()
    asked = estate.on("running", "/migrate", {"host_id": estate.other.id})
    assert asked.status_int == 202, asked.text
    assert estate.taken() == before
    with estate.world.work() as work:
        machine = machines.get(work, estate.running)
        operation = work.db.get(Operation, asked.json["operation"]["id"])
        migrations.ensure_fits(work, machine, estate.other.id)  # judged again when it runs
        machine.host_id = operation.target_host_id
    estate.end(asked.json["operation"]["id"], OperationState.DONE)
    assert estate.taken() == before
    estate.books()


def _passes_what_counts_already(estate: Estate) -> None:
    """A suspended machine holds what it resumes with, one in the bin its disks."""
    estate.limit()
    before = estate.taken()
    for name, action in (("suspended", "resume"), ("binned", "unbin")):
        asked = estate.on(name, f"/actions/{action}")
        assert asked.status_int == 202, asked.text
        estate.end(asked.json["operation"]["id"], OperationState.DONE)
        assert estate.taken() == before
    assert estate.on("binned", "/actions/start").json["code"] == "quota.exceeded"


def _a_limit_may_fall_below_its_use(estate: Estate) -> None:
    """It takes nothing away and stops growth, whatever a pool below is given."""
    path = f"/pools/{estate.account.id}/quota"
    limits = {"storage": 1, "machines": 1}
    assert estate.api("PUT", path, limits).status_int == 200
    plenty = {"storage": 10**15, "machines": 100}
    assert estate.api("PUT", f"/pools/{estate.web.id}/quota", plenty).status_int == 200
    for door in DOORS[1:4]:
        refused = door.ask(estate)
        assert refused.json["code"] == "quota.exceeded", (door.name, refused.text)
        blocks = refused.json["context"]["blocks"]
        assert {block["pool_id"] for block in blocks} == {estate.account.id}, door.name


def test_what_the_console_does_by_itself_passes_no_limit_either(estate):
    """A scheduled snapshot and the start of a machine that fell are refused as anybody's are."""
    estate.limit()
    before = estate.taken()
    with estate.world.work() as work:
        snapshot_schedules.take(work, estate.running)
        care.start_again(work, estate.stopped)
    assert estate.taken() == before
    told = estate.world.signed_in(estate.world.admin()).get("/audit").html.get_text(" ")
    assert "snapshot.scheduled" in told
    assert "machine.not_restarted" in told
    estate.limit(storage=GB, **PROTECTED)
    with estate.world.work() as work:
        snapshot_schedules.take(work, estate.running)
        care.start_again(work, estate.stopped)
    assert estate.taken() - before == Resources(storage=GB, **PROTECTED)

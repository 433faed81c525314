"""Attach or create: which volume a machine gets, and that two requests never get the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest

from ovcadmin.domain.resources import Limits, Resources
from ovcadmin.drivers.storage.base import StoragePoolFacts
from ovcadmin.drivers.storage.fake import FakePool
from ovcadmin.engine import types
from ovcadmin.engine.types import OperationType, Step
from ovcadmin.errors import Conflict, StorageUnavailable
from ovcadmin.models import Machine, Reservation, StoragePool, Volume, utcnow
from ovcadmin.operations import volumes as steps
from ovcadmin.services import (
    hosts,
    operations,
    pool_limits,
    pools,
    quota_check,
    quotas,
    reservations,
    storage,
    storage_usage,
    volumes,
)
from ovcadmin.services.reservations import Claim
from tests.functional.outside import Outside, nothing_waits, run_next

GB = 10**9


class Site:
    """A pool with a machine, and storage pools around it."""

    def __init__(self, world) -> None:
        self.world = world
        self.pool = world.pool("Web")
        self.other = world.pool("Shop")
        self.host = world.host()
        world.image()
        self.machine = world.machine("web01", self.pool)

    def store(
        self, name: str, *, driver="libvirt-dir", pool=None, available=10 * GB, capacity=10**12
    ) -> StoragePool:
        with self.world.work() as work:
            where = pools.get(work, (pool or self.pool).id)
            target = storage.Target(driver=driver, target=name, path=f"/{name}")
            made = storage.attach(
                work, where, hosts.get(work, self.host.id), name=name, where=target
            )
            facts = StoragePoolFacts(capacity=capacity, available=available, active=True)
            storage.observed(work, made.id, facts)
        return made

    def volume(self, store: StoragePool, name: str, size: int, **more) -> Volume:
        with self.world.work() as work:
            made = Volume(
                storage_pool_id=store.id, name=name, key=name, size=size,
                **{"offered": True, "created_at": work.now(), **more},
            )  # fmt: skip
            work.db.add(made)
        return made

    def choose(self, size: int, target: str = "vdb", **more) -> volumes.Choice:
        with self.world.work() as work:
            machine = work.db.get_one(Machine, self.machine.id)
            wish = volumes.Wish(machine=machine, target=target, **more)
            return volumes.choose(work, machine.pool, size, wish)


@pytest.fixture
def site(world) -> Site:
    return Site(world)


@pytest.mark.requirement("TPL-02")
def test_a_free_volume_of_exactly_the_size_is_attached_and_none_is_made(site):
    store = site.store("nfs")
    site.volume(store, "larger", 6 * GB)
    site.volume(store, "used", 5 * GB, machine_id=site.machine.id)
    site.volume(store, "of another pool", 5 * GB, pool_id=site.other.id)
    site.volume(store, "gone", 5 * GB, missing_at=utcnow())
    site.volume(store, "mounted by the host", 5 * GB, use="mounted")
    site.volume(store, "not offered", 5 * GB, offered=False)
    site.volume(site.store("elsewhere", pool=site.other), "in another's storage", 5 * GB)
    right = site.volume(store, "right", 5 * GB)
    choice = site.choose(5 * GB)
    assert (choice.attached, choice.volume.id) == (True, right.id)
    assert (choice.volume.machine_id, choice.volume.target) == (site.machine.id, "vdb")


@pytest.mark.requirement("TPL-03")
def test_else_it_is_made_in_the_first_storage_pool_that_can_and_has_room(site):
    site.store("a-target", driver="libvirt-iscsi-direct")
    site.store("b-full", available=GB)
    site.store("c-elsewhere", pool=site.other)
    first = site.store("d-lvm", driver="libvirt-logical")
    site.store("e-nfs", driver="libvirt-netfs")
    choice = site.choose(5 * GB)
    assert (choice.attached, choice.volume.storage_pool_id) == (False, first.id)
    assert choice.volume.key is None


def test_what_is_still_to_be_made_takes_room_already(site):
    first, second = site.store("a"), site.store("b")
    stores = [site.choose(6 * GB, target).volume.storage_pool_id for target in ("vdb", "vdc")]
    assert stores == [first.id, second.id]


@pytest.mark.requirement("TPL-04")
def test_else_it_fails_with_the_reason_of_every_storage_pool_and_nothing_is_left(site):
    site.store("small", available=GB)
    site.store("target", driver="libvirt-iscsi-direct")
    before = site.world.fingerprint()["volume"]
    with pytest.raises(StorageUnavailable) as refused:
        site.choose(10**16)
    assert "small has 1 GB free" in refused.value.text
    assert "target has volumes that are made elsewhere" in refused.value.text
    assert site.world.fingerprint()["volume"] == before


def test_of_two_requests_at_once_each_gets_a_volume_of_its_own(site):
    store = site.store("nfs")
    only = site.volume(store, "only", 5 * GB)
    chosen, go_on = Event(), Event()

    def first() -> volumes.Choice:
        with site.world.work() as work:
            machine = work.db.get_one(Machine, site.machine.id)
            choice = volumes.choose(
                work, machine.pool, 5 * GB, volumes.Wish(machine=machine, target="vdb")
            )
            chosen.set()
            go_on.wait(0.3)
            return choice

    def second() -> volumes.Choice:
        chosen.wait(10)
        return site.choose(5 * GB, "vdc")

    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(one) for one in (first, second)]
        one, two = (answer.result(20) for answer in answers)
    assert (one.volume.id, one.attached) == (only.id, True)
    assert (two.volume.id != only.id, two.attached) == (True, False)


def test_what_a_machine_wrote_stays_its_pools_and_is_counted_there(site):
    store = site.store("nfs", pool=site.world.root())
    site.volume(store, "lun", 5 * GB, found=True)
    taken = site.choose(5 * GB).volume
    with site.world.work() as work:
        volumes.keep(work, work.db.get_one(Volume, taken.id))
    with site.world.work() as work:
        row = work.db.query(Reservation).filter_by(volume_id=taken.id).one()
        assert (row.pool_id, row.storage) == (site.pool.id, 5 * GB)
        assert volumes.free(work, pools.get(work, site.other.id)) == []
        assert [one.id for one in volumes.free(work, pools.get(work, site.pool.id))] == [taken.id]
        assert [text for text in quota_check.differences(work) if "volume lun" in text] == []
    again = site.choose(5 * GB)
    assert again.volume.id == taken.id
    with site.world.work() as work:
        assert work.db.query(Reservation).filter_by(volume_id=taken.id).all() == []


def test_a_drive_from_a_volume_that_its_pool_has_already_takes_no_more_quota(site, monkeypatch):
    """At the limit it is accepted, once; however it ends, the pool's figure stays what it was."""
    kept = _at_the_limit(site)
    world = site.world
    api = world.api(world.user("anna", "User"))
    drives = f"/machines/{site.machine.id}/drives"
    before = _storage_taken(site)

    def ask() -> int:
        nothing_waits(world)
        asked = api("POST", drives, {"size": kept.size})
        assert asked.status_int == 202, asked.text
        assert _storage_taken(site) == before
        assert api("POST", drives, {"size": kept.size}).json["code"] == "quota.exceeded"
        return asked.json["operation"]["id"]

    assert api("POST", f"/operations/{ask()}/cancel").status_int in (200, 202)
    for breaks in (True, False):
        _only_provide(monkeypatch, kept.size, breaks=breaks)
        ask()
        ended = run_next(world, Outside())
        assert ended is not None
        assert bool(ended.error_code) is breaks, ended.error_text
        with world.work() as work:
            machine_id = work.db.get_one(Volume, kept.id).machine_id
            assert machine_id == (None if breaks else site.machine.id)
            assert quota_check.differences(work) == []
        assert _storage_taken(site) == before


def _at_the_limit(site) -> Volume:
    """Give the pool a volume that a machine left it, and no room beyond."""
    store = site.store("nfs")
    site.volume(store, "disk", site.machine.storage, machine_id=site.machine.id, target="vda")
    kept = site.volume(store, "kept", 5 * GB, pool_id=site.pool.id)
    amounts = Resources(storage=kept.size)
    held = Claim(pool_id=site.pool.id, volume_id=kept.id, kind="storage", amounts=amounts)
    with site.world.work() as work:
        reservations.add(work, [held])
    with site.world.work() as work:
        limits = Limits(storage=_storage_taken(site))
        pool_limits.set_limits(work, pools.get(work, site.pool.id), limits)
    return kept


def _storage_taken(site) -> int:
    with site.world.work() as work:
        used, pending = quotas.usage(work, [site.pool.id])[site.pool.id]
        return used.storage + pending.storage


def _only_provide(monkeypatch, size: int, *, breaks: bool) -> None:
    """Leave out of adding a drive what needs a host; let it fail behind that, or not."""

    def fail(_run) -> None:
        raise Conflict("The guest does not want it.")

    provide = Step(
        name="provide",
        text="Provide",
        run=lambda run: steps.provide(run, size=size, target=run.params["target"]),
        undo=steps.take_back,
    )
    more = (Step(name="plug", text="Plug", run=fail),) if breaks else ()
    known = dict(types._registry)
    known["machine.drive_add"] = replace(known["machine.drive_add"], steps=(provide, *more))
    monkeypatch.setattr(types, "_registry", known)


def test_a_volume_that_is_asked_for_by_name_must_be_free_for_the_machine(site):
    store = site.store("nfs")
    of_another = site.volume(store, "theirs", 5 * GB, pool_id=site.other.id)
    free = site.volume(store, "free", 7 * GB)
    with site.world.work() as work:
        wish = volumes.Wish(machine=work.db.get_one(Machine, site.machine.id), target="vdb")
        volumes.attach(work, work.db.get_one(Volume, free.id), wish)
        for other in (free, of_another):
            with pytest.raises(Conflict, match="cannot be attached"):
                volumes.attach(work, work.db.get_one(Volume, other.id), wish)


def attempt(site, outside, monkeypatch) -> str:
    """Run an operation that provides a volume of 5 GB; return how it ended."""
    monkeypatch.setattr(types, "_registry", dict(types._registry))
    provide = Step(
        name="provide",
        text="Provide",
        run=lambda run: steps.provide(run, size=5 * GB, target="vdb"),
        undo=steps.take_back,
    )
    types.register(
        OperationType(name="trial.provide", text="Try", privilege="modify", steps=(provide,))
    )
    nothing_waits(site.world)
    with site.world.work() as work:
        machine = work.db.get_one(Machine, site.machine.id)
        request = operations.Request(
            type="trial.provide", pool=machine.pool, name="it", machine=machine
        )
        operations.submit(work, request)
    ended = run_next(site.world, outside)
    assert ended is not None
    return ended.error_code


def test_a_storage_pool_that_turns_out_full_gives_way_to_the_next(site, monkeypatch):
    outside = Outside()
    full, roomy = site.store("a"), site.store("b")
    outside.pools[full.id] = FakePool(capacity=GB)
    assert attempt(site, outside, monkeypatch) == ""
    with site.world.work() as work:
        made = work.db.query(Volume).filter_by(machine_id=site.machine.id, target="vdb").one()
        assert (made.storage_pool_id, made.size) == (roomy.id, 5 * GB)
    assert [volume.name for volume in outside.pools[roomy.id].volumes()] == [made.name]
    assert outside.pools[full.id].volumes() == []


def test_when_none_has_room_in_truth_the_operation_fails_and_nothing_is_left(site, monkeypatch):
    outside = Outside()
    stores = [site.store("a"), site.store("b")]
    with site.world.work() as work:
        own = [store.id for store in volumes.serving(work, pools.get(work, site.pool.id))]
    for store_id in own:
        outside.pools[store_id] = FakePool(capacity=GB)
    before = site.world.fingerprint()["volume"]
    assert attempt(site, outside, monkeypatch) == "storage.none"
    assert site.world.fingerprint()["volume"] == before
    assert all(not outside.pools[store.id].volumes() for store in stores)


def test_where_volumes_are_found_those_that_nobody_has_are_what_is_free(site):
    store = site.store("array", driver="libvirt-iscsi-direct", capacity=8 * GB, available=0)
    first = site.volume(store, "unit:0:0:1", 5 * GB, found=True)
    other = site.volume(store, "unit:0:0:2", 3 * GB, found=True)
    reader = site.world.signed_in(site.world.admin())
    assert "8 GB free of 8 GB" in reader.get(f"/storage/{store.id}").html.get_text()
    with site.world.work() as work:
        work.db.get_one(Volume, other.id).machine_id = site.machine.id
    page = reader.get(f"/storage/{store.id}").html
    assert "5 GB free of 8 GB" in page.get_text()
    bars = [bar["aria-label"] for bar in page.select("[aria-label=Space] [role=img]")]
    assert bars == ["Volumes taken or kept back: 3 GB used, of 8 GB"]
    told = site.world.api(site.world.admin())("GET", f"/storage-pools/{store.id}").json
    assert (told["available"], told["promised"]) == (5 * GB, 3 * GB)
    with site.world.work() as work:
        storage_usage.note(work, work.db.get_one(StoragePool, store.id), {}, {})
    used = reader.get(f"/storage/{store.id}").html.select("td[data-label=Free]")
    assert [cell.text for cell in used] == ["5 GB"]
    assert "5 GB" in reader.get("/storage").html.find("a", string="array").find_parent("tr").text
    with site.world.work() as work:
        work.db.get_one(Volume, first.id).offered = False
    kept_back = reader.get(f"/storage/{store.id}").html.get_text()
    assert "0 B free of 8 GB" in kept_back


def test_a_volume_that_was_found_is_taken_back_from_its_pool(site):
    store = site.store("array", driver="libvirt-iscsi-direct")
    lun = site.volume(store, "unit:0:0:1", 5 * GB, found=True)
    with site.world.work() as work:
        before = quota_check.differences(work)
        row = work.db.get_one(Volume, lun.id)
        row.pool_id = site.pool.id
        amounts = Resources(storage=row.size)
        held = Claim(pool_id=site.pool.id, volume_id=row.id, kind="storage", amounts=amounts)
        reservations.add(work, [held])
    path = f"/storage-pools/{store.id}/volumes/{lun.id}"
    told = site.world.api(site.world.admin())("PATCH", path, {"offered": False})
    assert (told.json["pool"], told.json["offered"]) == (None, False)
    with site.world.work() as work:
        assert work.db.query(Reservation).filter_by(volume_id=lun.id).all() == []
        assert quota_check.differences(work) == before

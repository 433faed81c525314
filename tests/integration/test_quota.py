"""Quota under concurrency, on both databases, from several processes at once."""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text

import ovcadmin.operations  # noqa: F401 - registers the operation types
from ovcadmin.domain.resources import Limits, Resources
from ovcadmin.domain.states import Action, State
from ovcadmin.drivers.hypervisor.base import DomainState, PowerState
from ovcadmin.errors import QuotaExceeded
from ovcadmin.models import Machine, Operation, Pool
from ovcadmin.services import (
    machine_states,
    machines,
    pool_limits,
    pools,
    quota_check,
    quotas,
)
from tests.integration.quota_cloud import Cloud
from tests.rig.base import wait_until

PROCESSES = 4


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        yield pool


@pytest.fixture
def cloud(database_url, tmp_path, processes):
    made = Cloud(database_url, str(tmp_path))
    made.processes = processes
    made.build()
    yield made
    made.database.dispose()


@pytest.mark.requirement("PEER-06", "OVT-46")
def test_fault_01_fifty_parallel_creates_with_room_for_one_make_one(cloud):
    cloud.limit("Web", Limits(storage=15 * 10**9))
    assert cloud.race("try_create", list(range(50))) == 1
    assert cloud.taken("Web").storage == 15 * 10**9


@pytest.mark.requirement("OVT-52")
def test_fault_03_parallel_starts_stop_at_the_running_limit(cloud):
    """All are created: stopped machines take no place; three of ten may run."""
    ids = cloud.stopped_machines(10)
    cloud.limit("Web", Limits(machines=3))
    assert cloud.race("try_start", ids) == 3
    assert cloud.taken("Web").machines == 3


def test_one_machine_started_from_everywhere_at_once_starts_once(cloud):
    (machine_id,) = cloud.stopped_machines(1)
    with cloud.database.reading() as session:
        before = session.query(Operation).count()
    assert cloud.race("try_start", [machine_id] * 12) == 1
    with cloud.database.reading() as session:
        assert session.query(Operation).count() == before + 1
    assert cloud.taken("Web").machines == 1


@pytest.mark.requirement("OVT-54")
def test_stopping_frees_cpu_and_memory_but_not_storage(cloud):
    (machine_id,) = cloud.stopped_machines(1)
    assert cloud.taken("Web").vcpus == 0
    assert cloud.taken("Web").storage == 15 * 10**9
    with cloud.database.writing() as session:
        work = cloud.system(session)
        machine_states.enter(work, machines.get(work, machine_id), State.RUNNING)
    assert cloud.taken("Web").vcpus == 2
    with cloud.database.writing() as session:
        work = cloud.system(session)
        machine_states.enter(work, machines.get(work, machine_id), State.STOPPED)
    assert cloud.taken("Web").vcpus == 0
    assert cloud.taken("Web").storage == 15 * 10**9


def test_the_figures_of_the_rows_agree_with_the_states(cloud):
    ids = cloud.stopped_machines(3)
    with cloud.database.writing() as session:
        work = cloud.system(session)
        seen = {
            machines.get(work, number).uuid: DomainState(
                uuid="", name=f"ovc-{number}", power=PowerState.RUNNING
            )
            for number in ids
        }
        machines.observe(work, 1, seen, "sweep", work.now())
    with cloud.database.reading() as session:
        assert machine_states.reservation_differences(cloud.system(session)) == []
    assert cloud.taken("Web").machines == 3


def _books_agree(cloud):
    """Nothing lost, nothing twice; volumes aside, which only a worker makes."""
    with cloud.database.reading() as session:
        found = quota_check.differences(cloud.system(session))
    assert [line for line in found if "its volumes have" not in line] == []


@pytest.mark.requirement("PEER-06", "OVT-46", "OVT-53")
def test_two_hundred_parallel_creates_with_room_for_seven_make_seven(cloud):
    """The limit is that of the root, which nobody named."""
    cloud.limit("Cloud", Limits(storage=7 * 15 * 10**9))
    assert cloud.race("try_create", list(range(200))) == 7
    assert cloud.taken("Web").storage == 7 * 15 * 10**9
    with cloud.database.reading() as session:
        assert session.query(Machine).count() == 7
    _books_agree(cloud)


@pytest.mark.requirement("PEER-06", "OVT-29")
def test_two_hundred_parallel_starts_with_room_for_eleven_start_eleven(cloud):
    ids = cloud.stopped_machines(200)
    cloud.limit("Cloud", Limits(vcpus=2 * 11))
    assert cloud.race("try_start", ids) == 11
    assert (cloud.taken("Web").vcpus, cloud.taken("Web").machines) == (22, 11)
    _books_agree(cloud)


@pytest.mark.requirement("PEER-06", "PEER-07")
def test_two_hundred_parallel_resizes_with_room_for_nine_grow_nine(cloud):
    ids = cloud.machines(200, State.RUNNING)
    cloud.limit("Cloud", Limits(vcpus=2 * 200 + 9))
    assert cloud.race("try_resize", ids) == 9
    assert (cloud.taken("Web").vcpus, cloud.taken("Web").machines) == (409, 200)
    _books_agree(cloud)


def test_fault_04_siblings_together_never_exceed_their_parent(cloud):
    """Each was promised all of it; the parent is then cut below what is there."""
    with cloud.database.writing() as session:
        work = cloud.system(session)
        web = session.query(Pool).filter_by(name="Web").one()
        for name in ("Left", "Right"):
            pools.create(work, web, name=name)
    size = 15 * 10**9
    for name, room in (("Web", 5), ("Left", 5), ("Right", 5)):
        cloud.limit(name, Limits(storage=room * size))
    jobs = [(("Left", "Right")[number % 2], number) for number in range(40)]
    assert cloud.race("try_create_in", jobs) == 5
    cloud.limit("Web", Limits(storage=2 * size))
    assert cloud.race("try_create_in", [("Left", 90), ("Right", 91)]) == 0
    assert cloud.taken("Web").storage == 5 * size
    _books_agree(cloud)


def test_creates_and_moves_at_once_exceed_no_level_and_lock_nobody_out(cloud):
    """Pools change places under each other while machines are made in them."""
    size = 15 * 10**9
    with cloud.database.writing() as session:
        work = cloud.system(session)
        root = pools.root(work)
        for name in ("East", "West"):
            side = pools.create(work, root, name=name)
            pools.create(work, side, name=f"{name} space")
    cloud.limit("East", Limits(storage=4 * size))
    cloud.limit("West", Limits(storage=6 * size))
    jobs = []
    for number in range(48):
        jobs.append(("try_create_in", (("East space", "West space")[number % 2], number)))
        if number % 4 == 0:
            moves = [("East space", "West"), ("West space", "East"),
                     ("East space", "East"), ("East", "West space")]  # fmt: skip
            jobs.append(("try_move", moves[number // 4 % 4]))
    cloud.race("step", jobs)
    for name, room in (("East", 4), ("West", 6)):
        assert cloud.taken(name).storage <= room * size
    _books_agree(cloud)


def test_fault_07_a_process_killed_between_two_writes_leaves_all_as_it_was(cloud):
    """Whatever it was about to write, commit included; the next one finds its room and no lock."""
    stopped, running = cloud.stopped_machines(1) + cloud.machines(1, State.RUNNING)
    for verb, argument in (
        ("try_create", 1), ("try_start", stopped), ("end_operation", stopped),
        ("try_resize", running),
    ):  # fmt: skip
        before = cloud.taken("Cloud")
        for step in itertools.count():
            if not _killed_before(cloud, step, verb, argument):
                break
            assert cloud.taken("Cloud") == before, (verb, step)
        assert step > 5, verb
        _books_agree(cloud)
    assert cloud.taken("Cloud") == Resources(
        vcpus=5, memory=2 * 262144, nics=2, machines=2, storage=3 * 15 * 10**9
    )


def _killed_before(cloud, step: int, verb: str, argument: object) -> bool:
    cloud.database.dispose()
    context = multiprocessing.get_context("fork")
    doomed = context.Process(target=cloud.die_before, args=(step, verb, argument))
    doomed.start()
    doomed.join(60)
    assert doomed.exitcode in (0, -signal.SIGKILL)
    return doomed.exitcode != 0


def test_fault_02_a_saved_machine_is_restored_within_the_limits_only(cloud):
    ids = cloud.stopped_machines(2)
    with cloud.database.writing() as session:
        work = cloud.system(session)
        machine_states.enter(work, machines.get(work, ids[0]), State.SUSPENDED)
        machine_states.enter(work, machines.get(work, ids[1]), State.SAVED)
    cloud.limit("Web", Limits(machines=1))
    assert cloud.taken("Web").machines == 1
    for machine_id, action, refused in (
        (ids[1], Action.RESTORE, True),
        (ids[0], Action.RESUME, False),  # it counts already: nothing more is taken
    ):
        try:
            with cloud.database.writing() as session:
                work = cloud.admin(session)
                machines.act(work, machines.get(work, machine_id), action)
        except QuotaExceeded:
            assert refused
        else:
            assert not refused
    _books_agree(cloud)


def test_a_limit_that_is_lowered_while_a_create_waits_counts_for_it(cloud):
    """The create looked at nothing that decides before its turn came."""
    cloud.limit("Web", Limits(storage=15 * 10**9))
    with cloud.database.writing() as session:
        work = cloud.system(session)
        web = session.query(Pool).filter_by(name="Web").one()
        pool_limits.set_limits(work, web, Limits(storage=0))
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(cloud.try_create, 1)
            if not cloud.database.is_sqlite:  # there it waits for its very first statement
                _wait_for_a_waiter(session)
            session.commit()
            assert not waiting.result(20)
    assert cloud.taken("Web").storage == 0
    _books_agree(cloud)


def _wait_for_a_waiter(session):
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    wait_until(lambda: session.scalar(waits) > 0, "the other create to wait")


def test_what_a_rolled_back_savepoint_took_is_not_counted(cloud):
    """One of a list is refused, the others go on: its part is void."""
    (machine_id,) = cloud.stopped_machines(1)
    size = 15 * 10**9
    with cloud.database.writing() as session:
        savepoint = session.begin_nested()
        cloud._create(session, "void")
        savepoint.rollback()
        with session.begin_nested():
            cloud._create(session, "kept")
        savepoint = session.begin_nested()
        work = cloud.system(session)
        machine_states.enter(work, machines.get(work, machine_id), State.RUNNING)
        assert quotas.usage(work, [1])[1][0].machines == 1  # counted, and then undone
        savepoint.rollback()
    assert cloud.taken("Web").storage == 2 * size
    assert cloud.taken("Web").machines == 0
    _books_agree(cloud)


def test_a_counter_that_is_wrong_is_reported_and_set_right(cloud):
    """With a lost row and a row too many, as no path of the console leaves them."""
    ids = cloud.stopped_machines(3)
    with cloud.database.writing() as session:
        work = cloud.system(session)
        machine_states.enter(work, machines.get(work, ids[0]), State.RUNNING)
    with cloud.database.writing() as session:
        session.execute(text("UPDATE pool_use SET vcpus = vcpus + 5, pending_memory = 7"))
        session.execute(
            text("DELETE FROM reservation WHERE machine_id = :id AND kind = 'storage'"),
            {"id": ids[1]},
        )
    with cloud.database.reading() as session:
        found = "\n".join(quota_check.differences(cloud.system(session)))
    assert "Web (2): vcpus is counted as 7, its reservations come to 2" in found
    assert "Cloud (1): pending memory is counted as 7, its reservations come to 0" in found
    assert f"m1 ({ids[1]}) storage: holds" in found
    with cloud.database.writing() as session:
        quota_check.repair(cloud.system(session))
    _books_agree(cloud)
    assert cloud.taken("Web").storage == 3 * 15 * 10**9
    assert cloud.taken("Web").vcpus == 2


def test_machines_of_one_host_change_while_others_are_started(cloud):
    """A sweep counts many machines at its end, starts count theirs: none waits for ever."""
    ids = cloud.stopped_machines(24)
    jobs = [("try_start", number) for number in ids]
    for place in range(6):
        jobs.insert(4 * place, ("see_running", tuple(ids[place::6])))
    assert cloud.race("step", jobs) > 0
    _books_agree(cloud)


def test_the_migration_counts_what_was_there_before(cloud):
    """What runs, what is off and what is only promised, at every level of the tree."""
    ids = cloud.stopped_machines(3)
    with cloud.database.writing() as session:
        work = cloud.system(session)
        machine_states.enter(work, machines.get(work, ids[0]), State.RUNNING)
    assert cloud.try_create(9)
    with cloud.database.reading() as session:
        before = quotas.usage(cloud.system(session), [1, 2])
    assert before[1][1].storage == 15 * 10**9, "one is pending"
    with cloud.database.write.begin() as connection:
        connection.execute(text("DROP TABLE pool_use"))
        with Operations.context(MigrationContext.configure(connection)):
            importlib.import_module("ovcadmin.models.migrations.versions.0023_pool_use").upgrade()
    with cloud.database.reading() as session:
        assert quotas.usage(cloud.system(session), [1, 2]) == before
    _books_agree(cloud)

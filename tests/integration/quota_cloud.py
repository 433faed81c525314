"""A cloud without a worker, in which several processes ask for machines at once."""

from __future__ import annotations

import itertools
import os
import signal
from uuid import uuid4

from sqlalchemy import event

import ovcadmin.operations  # noqa: F401 - registers the operation types
from ovcadmin.config import Settings
from ovcadmin.domain.resources import Limits
from ovcadmin.domain.states import Action, State
from ovcadmin.drivers.hypervisor.base import DomainState, HostFacts, PowerState, VirtType
from ovcadmin.drivers.storage.base import StoragePoolFacts
from ovcadmin.engine import store
from ovcadmin.errors import Busy, InvalidInput, PoolBusy, QuotaExceeded, StateConflict
from ovcadmin.models import Machine, OperationState, Pool, User
from ovcadmin.models.database import Database
from ovcadmin.services import (
    devices,
    hosts,
    images,
    machine_states,
    machines,
    pool_limits,
    pool_moves,
    pools,
    quotas,
    reservations,
    setup,
    sizes,
    storage,
)
from ovcadmin.services.reservations import Claim
from ovcadmin.work import SYSTEM, Actor, Work
from tests.rig import database


class Cloud:
    """A database with one host, one image and one pool, and what a test does with them."""

    def __init__(self, url: str, data_dir: str) -> None:
        self.url, self.data_dir = url, data_dir
        self.database = Database(url)
        self.settings = Settings.from_mapping(
            {"ovc.database_url": url, "ovc.data_dir": str(data_dir)}
        )

    def system(self, session) -> Work:
        return Work(db=session, actor=SYSTEM, settings=self.settings)

    def admin(self, session) -> Work:
        user = session.query(User).first()
        actor = Actor(user_id=user.id, name="admin@internal", door="api")
        return Work(db=session, actor=actor, settings=self.settings)

    def build(self) -> None:
        database.fill(self.url)
        with self.database.writing() as session:
            work = self.system(session)
            setup.initialise(work)
            root = pools.root(work)
            host = hosts.enroll(work, root, name="kvm-a", uri="test:///a")
            hosts.answered(work, host.id, facts())
            where = storage.Target(driver="libvirt-dir", target="ovc", path="/volumes")
            store = storage.attach(work, root, host, name="local", where=where)
            full = StoragePoolFacts(capacity=10**15, available=10**15, active=True)
            storage.observed(work, store.id, full)
            raw = images.Raw(path="/starter.raw", size=10**7, checksum="0")
            image = images.register(work, root, name="starter", raw=raw)
            images.spread(work, image, store)
            session.flush()
            image.volumes[0].key = "image-1"
            pools.create(work, root, name="Web")

    def limit(self, name: str, limits: Limits) -> None:
        with self.database.writing() as session:
            work = self.system(session)
            pool = session.query(Pool).filter_by(name=name).one()
            pool_limits.set_limits(work, pool, limits)

    def stopped_machines(self, count: int) -> list[int]:
        return self.machines(count, State.STOPPED)

    def machines(self, count: int, state: State) -> list[int]:
        """Put machines into Web as if they had been made long ago, with what they take."""
        prefix = "m" if state is State.STOPPED else state[0]
        with self.database.writing() as session:
            web = session.query(Pool).filter_by(name="Web").one()
            owner = session.query(User).first()
            made = [
                Machine(
                    uuid=str(uuid4()), pool_id=web.id, owner_id=owner.id, name=f"{prefix}{number}",
                    name_key=f"{prefix}{number}", host_id=1, image_id=1, size_name="small",
                    vcpus=2, memory=262144, storage=15 * 10**9, nic_count=1, state=state,
                )
                for number in range(count)
            ]  # fmt: skip
            session.add_all(made)
            session.flush()
            claims = [
                Claim(pool_id=web.id, machine_id=one.id, kind=kind, amounts=amounts)
                for one in made
                for kind, amounts in machine_states.due(one).items()
                if amounts
            ]
            reservations.add(self.system(session), claims)
            return [one.id for one in made]

    def _create(self, session, name: str, pool_name: str = "Web") -> Machine:
        work = self.admin(session)
        pool = session.query(Pool).filter_by(name=pool_name).one()
        image = images.offered(work, pool)[0]
        order = machines.Order(name=name, image=image, size=sizes.get(self.settings, "small"))
        return machines.create(work, pool, order)

    def try_create(self, number: int) -> bool:
        try:
            with self.database.writing() as session:
                self._create(session, f"new{number}")
        except QuotaExceeded:
            return False
        return True

    def try_start(self, machine_id: int) -> bool:
        try:
            with self.database.writing() as session:
                work = self.admin(session)
                machines.act(work, machines.get(work, machine_id), Action.START)
        except (QuotaExceeded, Busy, StateConflict):
            return False
        return True

    def try_resize(self, machine_id: int) -> bool:
        """Ask for one vCPU more."""
        try:
            with self.database.writing() as session:
                work = self.admin(session)
                row = machines.get(work, machine_id)
                devices.resize(work, row, vcpus=row.vcpus + 1, memory=row.memory)
        except QuotaExceeded:
            return False
        return True

    def end_operation(self, machine_id: int) -> None:
        """Write down that what the machine does was done, as a worker does."""
        with self.database.writing() as session:
            work = self.system(session)
            operation = machines.get(work, machine_id).tail
            assert operation is not None
            machine_states.succeeded(work, operation)
            store.end(session, operation, OperationState.DONE, work.now())

    def try_create_in(self, job: tuple[str, int]) -> bool:
        """Create in the named pool; the job's number makes the name."""
        try:
            with self.database.writing() as session:
                self._create(session, f"new{job[1]}", job[0])
        except QuotaExceeded:
            return False
        return True

    def try_move(self, job: tuple[str, str]) -> bool:
        """Move the first pool under the second."""
        try:
            with self.database.writing() as session:
                work = self.admin(session)
                pool, parent = (session.query(Pool).filter_by(name=name).one() for name in job)
                pool_moves.move(work, pool, parent)
        except (QuotaExceeded, InvalidInput, PoolBusy):
            return False
        return True

    def see_running(self, ids: tuple[int, ...]) -> bool:
        """Take in a sweep in which these machines run and no other is seen to have changed."""
        with self.database.writing() as session:
            work = self.system(session)
            for number in ids:
                machine = machines.get(work, number)
                seen = DomainState(uuid="", name="", power=PowerState.RUNNING)
                machines.observe_one(work, 1, machine.uuid, seen, "event", work.now())
        return True

    def step(self, job: tuple[str, tuple[str, object]]) -> bool:
        return getattr(self, job[0])(job[1])

    def die_before(self, step: int, verb: str, argument: object) -> None:
        """In a process of its own: do it, and be killed before it writes once more or commits."""
        self.database.write.dispose(close=False)
        steps = itertools.count()

        def die(*_: object) -> None:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        def execute(_connection, _cursor, statement: str, *_: object) -> None:
            if statement.split(None, 1)[0] in ("INSERT", "UPDATE", "DELETE", "WITH"):
                die()

        event.listen(self.database.write, "before_cursor_execute", execute)
        event.listen(self.database.write, "commit", die)
        getattr(self, verb)(argument)

    def race(self, verb: str, arguments: list) -> int:
        """Call `verb` once for each argument from several processes; return how many won."""
        jobs = [(self.url, self.data_dir, verb, argument) for argument in arguments]
        return sum(self.processes.map(_one, jobs))

    def taken(self, name: str):
        with self.database.reading() as session:
            pool = session.query(Pool).filter_by(name=name).one()
            used, pending = quotas.usage(self.system(session), [pool.id])[pool.id]
            return used + pending


def facts() -> HostFacts:
    return HostFacts(
        hostname="kvm-a", uuid="u", arch="x86_64", cpu_model="m", cpus=64, memory=2**30,
        libvirt_version="9.0.0", qemu_version="7.2.0", virt_type=VirtType.QEMU, virt_note="",
        session=False,
    )  # fmt: skip


def _one(job: tuple[str, str, str, object]) -> bool:
    url, data_dir, verb, argument = job
    cloud = _of_this_process(url, data_dir)
    return getattr(cloud, verb)(argument)


_clouds: dict[str, Cloud] = {}


def _of_this_process(url: str, data_dir: str) -> Cloud:
    return _clouds.setdefault(url, Cloud(url, data_dir))

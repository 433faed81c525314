"""A small cloud in every state that pages can show, and the addresses of all its pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ovcadmin.domain.states import Action, State
from ovcadmin.engine import store
from ovcadmin.errors import StorageFailed
from ovcadmin.models import Host, Image, Machine, Operation, OperationState, Pool
from ovcadmin.services import hosts, machine_states, machines
from tests.functional.world import World

LONG = "the machine with the longest name that anybody here ever gave to a machine, honestly"
MACHINES = (
    ("web01", State.RUNNING, "small"),
    ("web02", State.RUNNING, "small"),
    ("db-main", State.SUSPENDED, "medium"),
    ("build-01", State.STOPPED, "large"),
    ("mail", State.SAVED, "tiny"),
    (LONG, State.STOPPED, "tiny"),
)


CARE = ("snapshots", "snapshots/schedule", "edit", "lease", "clone", "template", "actions/bin")
"""Parts of a machine's address where it is looked after."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    pool: Pool
    host: Host
    silent_host: Host
    image: Image
    machines: dict[str, Machine]
    failed: Operation
    running: Operation

    def addresses(self) -> list[str]:
        """Every page that can be opened by its address alone."""
        machine = self.machines["web01"].id
        stopped = self.machines["build-01"].id
        return [
            *self._about_people(),
            *self._about_care(stopped),
            "/",
            "/pools",
            f"/pools/{self.pool.id}",
            f"/pools/new?parent={self.pool.id}",
            f"/pools/{self.pool.id}/edit",
            f"/pools/{self.pool.id}/quota",
            f"/pools/{self.pool.id}/delete",
            *(
                f"/pools/{self.pool.id}/{part}"
                for part in ("move", "state", "persons", "policy", "forecast", "lend", "tags")
            ),
            "/requests",
            "/logical-groups",
            "/logical-groups/new",
            "/tags?word=web",
            f"/machines/{stopped}/move",
            "/machines",
            "/machines?q=state:running",
            "/machines?q=nothing-is-called-this",
            "/machines/new",
            f"/machines/new?pool={self.pool.id}",
            f"/machines/{machine}",
            f"/machines/{stopped}",
            f"/machines/{machine}/console",
            f"/machines/{machine}/actions/power_off",
            f"/machines/{stopped}/actions/delete",
            "/hosts",
            f"/hosts/{self.host.id}",
            f"/hosts/{self.silent_host.id}",
            "/images",
            f"/images/{self.image.id}",
            "/storage",
            "/storage/1",
            "/operations",
            "/operations?state=failed",
            f"/operations/{self.failed.id}",
            f"/operations/{self.running.id}",
            "/consumption",
            f"/consumption/{self.machines['web01'].created_at:%Y-%m}",
            "/consumption/2019-01",
            "/help",
            "/help/errors/quota.exceeded",
        ]

    def _about_care(self, machine: int) -> list[str]:
        return [
            *(f"/machines/{machine}/{part}" for part in CARE),
            "/machines/bin",
            "/profiles",
            f"/profiles/new?pool={self.pool.id}",
            f"/pools/{self.pool.id}/snapshot-schedule",
        ]

    def _about_people(self) -> list[str]:
        return [
            "/users",
            "/users/new",
            "/realms",
            "/realms/new",
            f"/pools/{self.pool.id}/grants",
            f"/pools/{self.pool.id}/grants/new?who=user-1",
            "/grants/1/revoke",
            f"/users/1/rights?pool={self.pool.id}",
            "/roles/2/edit",
            "/audit",
            "/profile/second-factor",
            "/profile",
        ]


def furnish(world: World) -> Sample:
    account = world.pool("Engineering", vcpus=64)
    pool = world.pool(
        "Web", account, vcpus=12, memory=8 * 2**20, nics=10, machines=4, redundancy=2,
        storage=200 * 10**9,
    )  # fmt: skip
    world.pool("Research", account)
    host, silent_host = world.host("kvm-a"), world.host("kvm-b")
    image = world.image("Debian 12")
    made = {name: _machine(world, pool, host, name, state, size) for name, state, size in MACHINES}
    made["win-print"] = _machine(world, pool, silent_host, "win-print", State.RUNNING, "tiny")
    with world.work() as work:
        hosts.silent(work, silent_host.id, "no answer within 8 s")
    return Sample(
        pool=pool,
        host=host,
        silent_host=silent_host,
        image=image,
        machines=made,
        failed=_failed(world, made["build-01"]),
        running=_running(world, made["web02"]),
    )


def _machine(world: World, pool: Pool, host: Host, name: str, state: State, size: str) -> Machine:
    made = world.machine(name, pool, host=host, size=size)
    with world.work() as work:
        machine = machines.get(work, made.id)
        machine.created_at = work.now() - timedelta(hours=1)
        if state is not State.STOPPED:
            machine_states.enter(work, machine, state)
    return machine


def _failed(world: World, machine: Machine) -> Operation:
    with world.work() as work:
        operation = machines.act(work, machines.get(work, machine.id), Action.DELETE)
        operation.started_at = work.now()
        error = StorageFailed("The volume of build-01 cannot be deleted: input/output error.")
        operation.error_code, operation.error_text = error.code, error.text
        store.note(work.db, operation, "QEMU said: input/output error.", work.now())
        machine_states.failed(work, operation)
        store.end(work.db, operation, OperationState.FAILED, work.now())
    return operation


def _running(world: World, machine: Machine) -> Operation:
    with world.work() as work:
        operation = machines.act(work, machines.get(work, machine.id), Action.SUSPEND)
        operation.state, operation.progress = OperationState.RUNNING.value, 62
        operation.started_at, operation.step = work.now(), "Suspend the guest"
    return operation

"""Random histories of pools, machines, limits, moves and loans against a plain model of the rules.

The model keeps a tree and a list, and adds up what is below each pool every time it is asked.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ovcadmin.domain.resources import Limits
from ovcadmin.domain.states import Action
from ovcadmin.engine import types
from ovcadmin.engine.store import end
from ovcadmin.errors import Conflict, InvalidInput
from ovcadmin.models import Loan, Machine, Operation, OperationState, Pool
from ovcadmin.services import (
    images,
    loans,
    machine_edits,
    machines,
    person_quotas,
    pool_limits,
    pool_moves,
    pool_states,
    pools,
    quota_check,
    quotas,
    sizes,
)
from tests.functional.quota_model import ENDS, GB, Guest, Model, Node

picks = st.integers(0, 7)
amounts = st.one_of(st.integers(1, 4), st.none())


class History(RuleBasedStateMachine):
    world: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.world.reset()
        self.world.host()
        self.world.image()
        root = self.world.root()
        self.root = root.id
        self.users = {name: self.world.user(name, "Administrator") for name in ("anna", "ben")}
        self.model = Model(pools={root.id: Node(parent=None)})
        self.names = iter(range(10**6))
        # Two siblings with limits, a pool below the first, and a few stopped machines.
        for parent in (0, 0, 1):
            self.make_pool(parent)
        self.set_limits(1, 2, 3)
        self.set_limits(2, 2, None)
        for pick, owner in ((1, "anna"), (2, "ben"), (3, "anna"), (3, "ben")):
            self.create(pick, owner)
            self.finish(0, well=True)
        # One of the first's two running machines is lent: the second start below it is refused.
        self.lend(1, 2, 1)
        # A pool with machines in it changes its place.
        self.move_pool(3, 2)

    def _try(self, expected: bool, act: Any, owner: str = "anna") -> Any:
        """Do it; it must be accepted exactly when the model says so."""
        result, told = None, ""
        try:
            with self.world.work(self.users[owner]) as work:
                result = act(work)
        except (Conflict, InvalidInput) as error:
            told = error.text
        assert (told == "") is expected, told or "accepted against the rules"
        return result

    def _pool(self, pick: int) -> int:
        return sorted(self.model.pools)[pick % len(self.model.pools)]

    def _guest(self, pick: int, *states: str) -> int | None:
        found = [n for n, guest in sorted(self.model.guests.items()) if guest.state in states]
        return found[pick % len(found)] if found else None

    @precondition(lambda self: len(self.model.pools) < 8)
    @rule(pick=picks)
    def make_pool(self, pick: int) -> None:
        parent = self._pool(pick)
        name = f"pool{next(self.names)}"
        made = self._try(
            not self.model.closed(parent),
            lambda work: pools.create(work, pools.get(work, parent), name=name).id,
        )
        if made:
            self.model.pools[made] = Node(parent=parent)

    @rule(pick=picks, running=amounts, stored=amounts)
    def set_limits(self, pick: int, running: int | None, stored: int | None) -> None:
        number = self._pool(pick)
        size = None if stored is None else stored * GB
        limits = Limits(machines=running, storage=size)
        self._try(True, lambda work: pool_limits.set_limits(work, pools.get(work, number), limits))
        self.model.pools[number].machines = running
        self.model.pools[number].storage = stored

    @rule(pick=picks, share=amounts)
    def limit_persons(self, pick: int, share: int | None) -> None:
        number, limits = self._pool(pick), Limits(machines=share)
        self._try(
            True,
            lambda work: person_quotas.set_limits(work, pools.get(work, number), "", limits),
        )
        self.model.pools[number].share = share

    @precondition(lambda self: len(self.model.guests) < 10)
    @rule(pick=picks, owner=st.sampled_from(["anna", "ben"]))
    def create(self, pick: int, owner: str) -> None:
        number = self._pool(pick)
        model = self.model
        expected = not model.closed(number) and model.fits(model.chain(number), [], 1)

        made = self._try(expected, lambda work: self._order(work, number), owner)
        if made:
            model.guests[made[0]] = Guest(pool=number, owner=owner, operation=made[1])

    def _order(self, work: Any, number: int) -> tuple[int, int]:
        pool = pools.get(work, number)
        order = machines.Order(
            name=f"machine{next(self.names)}",
            image=images.offered(work, pool)[0],
            size=sizes.get(work.settings, "tiny"),
        )
        made = machines.create(work, pool, order)
        return made.id, made.tail_id

    @rule(pick=picks)
    def start_and_finish(self, pick: int) -> None:
        self.start(pick)
        self.finish(pick, well=True)

    @rule(pick=picks)
    def start(self, pick: int) -> None:
        number = self._guest(pick, "stopped")
        if number is None:
            return
        model, guest = self.model, self.model.guests[number]
        expected = not model.closed(guest.pool) and model.fits(
            model.chain(guest.pool), [guest.owner], 0
        )
        operation = self._act(expected, number, Action.START)
        if operation:
            guest.state, guest.operation = "starting", operation

    @rule(pick=picks)
    def stop(self, pick: int) -> None:
        number = self._guest(pick, "running")
        if number is not None:
            guest = self.model.guests[number]
            guest.operation = self._act(True, number, Action.POWER_OFF)
            guest.state = "stopping"

    @rule(pick=picks, for_good=st.booleans())
    def delete(self, pick: int, for_good: bool) -> None:
        """What is in the bin still counts; what is removed for good does not."""
        number = self._guest(pick, "stopped")
        if number is not None:
            guest = self.model.guests[number]
            guest.operation = self._act(True, number, Action.DELETE if for_good else Action.BIN)
            guest.state = "deleting" if for_good else "binning"
            self.finish(pick, well=True)

    @rule(pick=picks)
    def bring_back(self, pick: int) -> None:
        number = self._guest(pick, "binned")
        if number is not None:
            guest = self.model.guests[number]
            operation = self._act(not self.model.closed(guest.pool), number, Action.UNBIN)
            if operation:
                guest.state, guest.operation = "unbinning", operation

    @rule(pick=picks, owner=st.sampled_from(["anna", "ben"]))
    def give(self, pick: int, owner: str) -> None:
        """Another owner: what it takes counts for his share of each pool above."""
        model, number = self.model, self._guest(pick, "stopped", "starting", "running")
        if number is None or model.guests[number].owner == owner:
            return
        guest = model.guests[number]
        held = {
            step: sum(one.runs and one.owner == owner for one in model.below(step))
            for step in model.chain(guest.pool)
        }
        shares = {step: model.pools[step].share for step in held}
        expected = not guest.runs or all(
            share is None or held[step] < share for step, share in shares.items()
        )

        def act(work: Any) -> bool:
            machine = machines.get(work, number)
            machine_edits.edit(work, machine, machine_edits.Edit(owner=owner), machine.version)
            return True

        if self._try(expected, act):
            guest.owner = owner

    @rule(pick=picks, count=st.integers(1, 3))
    def order_and_think_again(self, pick: int, count: int) -> None:
        """Part of a transaction is undone: whatever it took is free."""
        with self.world.work(self.users["anna"]) as work:
            savepoint = work.db.begin_nested()
            for _ in range(count):
                try:
                    self._order(work, self._pool(pick))
                except (Conflict, InvalidInput):
                    break
            savepoint.rollback()

    def _act(self, expected: bool, number: int, action: Action) -> Any:
        return self._try(
            expected, lambda work: machines.act(work, machines.get(work, number), action).id
        )

    @rule(pick=picks, well=st.booleans())
    def finish(self, pick: int, well: bool) -> None:
        """The worker ends an operation, well or badly."""
        number = self._guest(pick, *ENDS)
        if number is None:
            return
        guest = self.model.guests[number]
        with self.world.work() as work:
            operation = work.db.get(Operation, guest.operation)
            kind = types.get(operation.type)
            (kind.succeed if well else kind.fail)(work, operation)
            outcome = OperationState.DONE if well else OperationState.FAILED
            end(work.db, operation, outcome, work.now())
        after = ENDS[guest.state][0 if well else 1]
        if after:
            guest.state = after
        else:
            del self.model.guests[number]

    @rule(pick=picks, to=picks)
    def move_pool(self, pick: int, to: int) -> None:
        number, parent, model = self._pool(pick), self._pool(to), self.model
        within = model.below(number)
        fresh = [
            step for step in model.chain(parent)
            if step not in model.chain(model.pools[number].parent)
        ]  # fmt: skip
        expected = (
            number != self.root
            and number not in model.chain(parent)
            and model.pools[number].parent != parent
            and not model.closed(parent)
            and not any(number in loan[:2] for loan in model.loans)
            and not any(guest.busy for guest in within)
            and model.fits(fresh, [one.owner for one in within if one.runs], len(within))
        )

        def act(work: Any) -> bool:
            pool_moves.move(work, pools.get(work, number), pools.get(work, parent))
            return True

        if self._try(expected, act):
            model.pools[number].parent = parent

    @rule(pick=picks, to=picks)
    def move_machine(self, pick: int, to: int) -> None:
        number = self._guest(pick, "stopped", "running")
        if number is None:
            return
        model, guest, target = self.model, self.model.guests[number], self._pool(to)
        fresh = [step for step in model.chain(target) if step not in model.chain(guest.pool)]
        running = [guest.owner] if guest.runs else []
        expected = (
            guest.pool != target and not model.closed(target) and model.fits(fresh, running, 1)
        )

        def act(work: Any) -> bool:
            pool_moves.move_machine(work, machines.get(work, number), pools.get(work, target))
            return True

        if self._try(expected, act):
            guest.pool = target

    @rule(pick=picks, rarely=st.integers(0, 3))
    def freeze_or_thaw(self, pick: int, rarely: int) -> None:
        number = self._pool(pick)
        node = self.model.pools[number]
        if not node.frozen and rarely:
            return
        change = pool_states.thaw if node.frozen else pool_states.freeze
        self._try(True, lambda work: change(work, pools.get(work, number)))
        node.frozen = not node.frozen

    @precondition(lambda self: len(self.model.loans) < 3)
    @rule(pick=picks, to=picks, amount=st.integers(1, 3))
    def lend(self, pick: int, to: int, amount: int) -> None:
        lender, borrower, model = self._pool(pick), self._pool(to), self.model
        up = sum(guest.runs for guest in model.below(lender))
        limit = model.limit(lender)
        expected = (
            lender not in (borrower, self.root)
            and model.pools[lender].parent == model.pools[borrower].parent
            and limit is not None
            and model.pools[borrower].machines is not None
            and up + amount <= limit
        )

        def act(work: Any) -> bool:
            until = work.now() + timedelta(days=1)
            terms = loans.Terms(resource="machines", amount=amount, until=until)
            loans.lend(work, pools.get(work, lender), pools.get(work, borrower), terms)
            return True

        if self._try(expected, act):
            model.loans.append((lender, borrower, amount))

    @precondition(lambda self: self.model.loans)
    @rule(pick=picks)
    def give_back(self, pick: int) -> None:
        """Before its end: only what the borrower does not use."""
        model = self.model
        number = pick % len(model.loans)
        _, borrower, amount = model.loans[number]
        limit, up = model.limit(borrower), sum(one.runs for one in model.below(borrower))
        expected = limit is None or up <= limit - amount

        def act(work: Any) -> bool:
            rows = work.db.query(Loan).filter(Loan.returned_at.is_(None)).order_by(Loan.id)
            loans.give_back(work, rows.all()[number])
            return True

        if self._try(expected, act):
            del model.loans[number]

    @invariant()
    def the_figures_are_those_of_the_model(self) -> None:
        model = self.model
        with self.world.work() as work:
            use = quotas.usage(work, model.pools)
            for number, node in model.pools.items():
                taken = use[number][0] + use[number][1]
                below = model.below(number)
                assert taken.machines == sum(guest.runs for guest in below)
                assert taken.storage == len(below) * GB
                assert work.db.get(Pool, number).parent_id == node.parent
            found = quota_check.differences(work)
            assert [line for line in found if "its volumes have" not in line] == []
            assert work.db.query(Machine).count() >= len(model.guests)


@pytest.mark.requirement("PEER-06")
@pytest.mark.timeout(300)
def test_histories_keep_to_the_rules(world):
    examples = 16 if world.database.is_sqlite else 5
    run_state_machine_as_test(
        type("OnThisWorld", (History,), {"world": world}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # making a history shorter would take minutes
            suppress_health_check=list(HealthCheck),
        ),
    )

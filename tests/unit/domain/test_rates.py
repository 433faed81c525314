from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain.rates import Part, Taker, divide, spread

CLOUD, SALES, SHOP, OFFICE = 1, 2, 3, 4
ABOVE = {
    CLOUD: frozenset({CLOUD}),
    SALES: frozenset({CLOUD, SALES}),
    SHOP: frozenset({CLOUD, SALES, SHOP}),
    OFFICE: frozenset({CLOUD, SALES, OFFICE}),
}
INNER_FIRST = (SHOP, OFFICE, SALES, CLOUD)


def taker(number: int, pool: int, own: int | None = None, least: int = 1) -> Taker:
    return Taker(machine_id=number, pools=ABOVE[pool], own=own, least=least)


@st.composite
def _taker(draw: st.DrawFn, number: int) -> Taker:
    least = draw(st.integers(1, 4))
    own = draw(st.none() | st.integers(least, 400))
    return taker(number, draw(st.sampled_from(INNER_FIRST)), own, least)


crowds = st.integers(0, 8).flatmap(lambda size: st.tuples(*(_taker(n) for n in range(size))))
limits_of_pools = st.dictionaries(st.sampled_from(INNER_FIRST), st.integers(1, 2000))


def in_order(limits: dict[int, int]) -> list[tuple[int, int]]:
    return [(pool, limits[pool]) for pool in INNER_FIRST if pool in limits]


def given_to(one: Taker, parts: dict[int, Part]) -> int | None:
    return parts[one.machine_id].amount if one.machine_id in parts else one.own


@given(limits_of_pools, crowds)
def test_no_pool_gives_more_than_its_limit_and_nobody_gets_more_than_his_own(limits, crowd):
    parts = divide(in_order(limits), crowd)
    for one in crowd:
        amount = given_to(one, parts)
        assert amount is None or one.least <= amount
        assert one.own is None or (amount is not None and amount <= one.own)
    for pool, limit in limits.items():
        those = [one for one in crowd if pool in one.pools]
        # Nothing at all would be no limit to a hypervisor: the least is given in any case.
        least = sum(one.least for one in those)
        amounts = [given_to(one, parts) for one in those]
        assert None not in amounts
        assert sum(amounts) <= max(limit, least)


@given(limits_of_pools, crowds)
def test_who_gets_less_than_he_may_is_bound_by_a_pool_that_gives_nobody_more(limits, crowd):
    """And that pool has given all it has, but for less than one unit each."""
    parts = divide(in_order(limits), crowd)
    for one in crowd:
        part = parts.get(one.machine_id)
        if part is None:
            continue
        those = [other for other in crowd if part.pool_id in other.pools]
        amounts = {other.machine_id: given_to(other, parts) for other in those}
        assert sum(amounts.values()) > limits[part.pool_id] - len(those)
        assert all(amounts[other.machine_id] <= max(part.amount, other.least) for other in those)


@given(st.integers(1, 2000), crowds.filter(bool))
def test_who_stops_leaves_what_he_had_to_the_others(limit, crowd):
    before, after = divide([(CLOUD, limit)], crowd), divide([(CLOUD, limit)], crowd[1:])
    for one in crowd[1:]:
        amount = given_to(one, after)
        assert amount is None or amount >= (given_to(one, before) or 0)


def test_two_halve_a_limit_and_one_alone_has_it_all():
    both = [taker(1, SALES, 200), taker(2, SHOP, 200)]
    halves = {number: Part(amount=50, pool_id=SALES) for number in (1, 2)}
    assert divide([(SALES, 100)], both) == halves
    assert divide([(SALES, 100)], both[:1]) == {1: Part(amount=100, pool_id=SALES)}


def test_what_one_leaves_the_others_share():
    crowd = [taker(1, SALES, 10), taker(2, SALES, 100), taker(3, SALES, 100)]
    parts = divide([(SALES, 100)], crowd)
    assert 1 not in parts
    assert parts[2].amount == parts[3].amount == 45


def test_the_pool_that_binds_is_told():
    crowd = [taker(1, SHOP, 100), taker(2, SHOP, 100), taker(3, OFFICE, 100)]
    parts = divide([(SHOP, 40), (SALES, 100)], crowd)
    assert parts == {
        1: Part(amount=20, pool_id=SHOP),
        2: Part(amount=20, pool_id=SHOP),
        3: Part(amount=60, pool_id=SALES),
    }


def test_a_limit_above_all_that_can_be_taken_binds_nobody():
    assert divide([(SALES, 300)], [taker(1, SALES, 100), taker(2, SALES, 200)]) == {}


def test_nobody_is_given_nothing():
    """Zero is no limit to a hypervisor: too many for a limit have the least each."""
    parts = divide([(SALES, 3)], [taker(number, SALES) for number in range(5)])
    assert {part.amount for part in parts.values()} == {1}


def test_one_machine_divides_its_part_among_its_drives():
    assert spread(100, [(1, None), (1, 20), (1, None)]) == [40, 20, 40]
    assert spread(100, [(1, 30), (1, 20)]) == [30, 20]


def test_many_machines_are_divided_quickly():
    crowd = [taker(number, SHOP, 100) for number in range(5000)]
    begun = time.process_time()
    parts = divide([(SHOP, 100_000), (SALES, 90_000), (CLOUD, 50_000)], crowd)
    assert time.process_time() - begun < 5
    assert {part.amount for part in parts.values()} == {10}

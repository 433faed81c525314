"""Consumption arithmetic: exact, additive over time, blind to samples."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain.consumption import LifeEvent, Month, Used
from ovcadmin.domain.consumption import used as used_by_pool

START = datetime(2026, 11, 1, tzinfo=UTC)


def event(hours: float, *, running: bool, storage: int = 15 * 10**9, pool_id: int = 1) -> LifeEvent:
    return LifeEvent(
        at=START + timedelta(hours=hours), kind="x", pool_id=pool_id, running=running, vcpus=2,
        memory=262144, storage=storage,
    )  # fmt: skip


def used(life, start, end) -> Used:
    return sum(used_by_pool(life, start, end).values(), Used())


def test_what_is_used_counts_where_the_machine_was():
    life = [event(0, running=True), event(3, running=True, pool_id=2), event(4, running=False)]
    found = used_by_pool(life, START + timedelta(hours=1), START + timedelta(hours=6))
    assert {pool: one.vcpu_hours for pool, one in found.items()} == {1: 4, 2: 2}
    later = used_by_pool(life[:2], START + timedelta(hours=3), START + timedelta(hours=5))
    assert set(later) == {2}, "it was moved before"


def test_a_known_life_gives_the_figures_that_one_would_write_down():
    life = [event(0, running=False), event(1, running=True), event(4, running=False)]
    total = used(life, START, START + timedelta(hours=10))
    assert total.vcpu_hours == pytest.approx(3 * 2)
    assert total.memory_gib_hours == pytest.approx(3 * 0.25)
    assert total.storage_gb_hours == pytest.approx(10 * 15)


def test_what_began_before_the_month_counts_from_its_first_second():
    life = [event(-100, running=True)]
    assert used(life, START, START + timedelta(hours=5)).vcpu_hours == pytest.approx(10)


def test_nothing_counts_after_the_end_of_a_life():
    life = [event(0, running=True), event(2, running=False, storage=0)]
    assert used(life, START, START + timedelta(days=30)).storage_gb_hours == pytest.approx(30)


lives = st.lists(
    st.tuples(st.integers(0, 700), st.booleans()), min_size=1, max_size=12, unique_by=lambda e: e[0]
).map(lambda events: [event(hour, running=running) for hour, running in sorted(events)])


@given(lives, st.integers(0, 720), st.integers(0, 720))
def test_two_parts_of_a_time_add_up_to_the_whole(life, one, other):
    low, high = sorted((one, other))
    cut = START + timedelta(hours=low)
    end = START + timedelta(hours=high)
    whole = used(life, START, end)
    parts = used(life, START, cut) + used(life, cut, end)
    assert parts.vcpu_hours == pytest.approx(whole.vcpu_hours)
    assert parts.storage_gb_hours == pytest.approx(whole.storage_gb_hours)


@given(st.integers(2000, 2100), st.integers(1, 12))
def test_fault_39_months_tile_time_without_gap_or_overlap(year, number):
    month = Month(year, number)
    assert month.end == month.next().start
    assert month.next().previous() == month
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "x", "2026-11-01"])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        Month.parse(text)

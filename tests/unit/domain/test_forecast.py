"""Forecast: pure arithmetic, held against slower and plainer ways of counting."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain.forecast import (
    HostRoom,
    Moment,
    by_hosts,
    by_quota,
    daily,
    days_to_full,
    how_many,
    slope,
)
from ovcadmin.domain.quota import Room
from ovcadmin.domain.resources import Resources

SIZE = Resources(vcpus=2, memory=4, nics=1, machines=1, storage=10)
amounts = st.integers(0, 60)
hosts = st.lists(
    st.builds(
        HostRoom,
        cpus=st.integers(1, 4),
        vcpus=st.integers(-3, 9),
        memory=st.integers(-5, 30),
        storage_pool_id=st.sampled_from([None, 1, 2]),
        storage=st.just(0),
    ),
    max_size=5,
)


def _with_storage(rooms, free):
    """Hosts of one storage pool see the same free space."""
    return [
        HostRoom(
            cpus=room.cpus,
            vcpus=room.vcpus,
            memory=room.memory,
            storage_pool_id=room.storage_pool_id,
            storage=free.get(room.storage_pool_id, 0),
        )
        for room in rooms
    ]


def _one_by_one(rooms):
    """Place machines one after the other until none fits."""
    memory, vcpus = [room.memory for room in rooms], [room.vcpus for room in rooms]
    free = {room.storage_pool_id: room.storage for room in rooms}
    count = 0
    while True:
        for number, room in enumerate(rooms):
            place = room.storage_pool_id
            if place is None or room.cpus < SIZE.vcpus:
                continue
            fits = memory[number] >= SIZE.memory and vcpus[number] >= SIZE.vcpus
            if fits and free[place] >= SIZE.storage:
                memory[number] -= SIZE.memory
                vcpus[number] -= SIZE.vcpus
                free[place] -= SIZE.storage
                count += 1
                break
        else:
            return count


@given(hosts, amounts, amounts)
def test_as_many_as_could_be_placed_one_by_one(rooms, first, second):
    rooms = _with_storage(rooms, {1: first, 2: second})
    assert by_hosts(SIZE, rooms).count == _one_by_one(rooms)


@given(st.dictionaries(st.sampled_from(["vcpus", "memory", "machines", "storage"]), amounts))
def test_the_tightest_limit_decides(left):
    rooms = {name: Room(amount=amount, level="Web") for name, amount in left.items()}
    found = by_quota(SIZE, rooms)
    counts = {name: amount // getattr(SIZE, name) for name, amount in left.items()}
    assert (found.count if found else None) == (min(counts.values()) if counts else None)


def test_the_tighter_of_quota_and_hosts_is_named():
    host = HostRoom(cpus=4, vcpus=64, memory=40, storage_pool_id=1, storage=1000)
    left = {"vcpus": Room(amount=6, level="Web")}
    assert how_many(SIZE, left, [host]).tightest == "vCPUs of Web"
    assert how_many(SIZE, left, [host]).count == 3
    assert how_many(SIZE, {}, [host]).tightest == "memory of the hosts"
    assert how_many(SIZE, {}, [replace(host, vcpus=6)]).tightest == "vCPUs of the hosts"
    assert how_many(SIZE, {}, [replace(host, storage=20)]).tightest == "storage of the hosts"
    assert how_many(SIZE, {}, []).count == 0


@given(st.floats(-50, 50), st.floats(-100, 100), st.integers(2, 40))
def test_the_slope_of_a_line_is_its_rise(rise, start, count):
    line = [start + rise * place for place in range(count)]
    assert slope(line) == pytest.approx(rise, abs=1e-6)


@given(st.integers(0, 100), st.integers(0, 100), st.floats(-5, 5))
def test_days_to_full_reach_the_limit(taken, limit, growth):
    days = days_to_full(taken, limit, growth)
    if taken >= limit:
        assert days == 0
    elif days is not None:
        assert taken + days * growth == pytest.approx(limit)
    else:
        assert growth <= 0 or (limit - taken) / growth > 3650


def test_a_life_is_summed_as_it_was_at_each_moment():
    day = datetime(2026, 3, 1, tzinfo=UTC)
    up, down = Resources(vcpus=2, machines=1, storage=10), Resources(storage=10)
    life = [Moment(at=day, amounts=up), Moment(at=day + timedelta(days=2), amounts=down)]
    moments = [day + timedelta(days=back - 1) for back in range(5)]
    held = daily([life, life], moments)
    assert [one.vcpus for one in held] == [0, 4, 4, 0, 0]
    assert [one.storage for one in held] == [0, 20, 20, 20, 20]

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain.shares import share

WORKERS = ("a", "b", "c")


def settle(held: dict[int, str], alive: list[str]) -> dict[int, str]:
    """Let each living worker have some turns."""
    for _ in range(3):
        for me in alive:
            change = share(held, me, len(alive))
            held |= dict.fromkeys(change.take, me)
            held |= dict.fromkeys(change.leave, "")
    return held


@given(
    st.dictionaries(st.integers(0, 60), st.sampled_from(("", *WORKERS)), max_size=40),
    st.lists(st.sampled_from(WORKERS), min_size=1, unique=True),
)
def test_every_host_has_a_living_worker_and_none_has_too_many(held, alive):
    """The hosts of the dead are free, as when their leases have run out."""
    known = {host: worker if worker in alive else "" for host, worker in held.items()}
    settled = settle(known, alive)
    assert set(settled.values()) <= set(alive)
    most = -(-len(held) // len(alive))
    assert all(list(settled.values()).count(worker) <= most for worker in alive)


def test_an_even_division_stays_as_it_is():
    held = {1: "a", 2: "b", 3: "a", 4: "b"}
    assert not share(held, "a", 2).leave
    assert not share(held, "b", 2).take

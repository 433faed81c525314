"""Quota arithmetic: nothing that is accepted can exceed a level, nothing that fits is refused."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain.quota import Level, blocks, fits, freeing, phrase, promised, room, shifted
from ovcadmin.domain.resources import NAMES, Limits, Resources

amounts = st.integers(min_value=0, max_value=50)
resources = st.builds(Resources, **dict.fromkeys(NAMES, amounts))
limits = st.builds(Limits, **dict.fromkeys(NAMES, st.none() | amounts))
levels = st.builds(
    Level, pool_id=st.integers(1, 9), name=st.just("p"), limits=limits, used=resources,
    pending=resources,
)  # fmt: skip


@given(st.lists(levels, min_size=1, max_size=5), resources)
def test_what_is_not_blocked_fits_every_level(chain, wanted):
    if blocks(chain, wanted):
        return
    for level in chain:
        for name, limit in level.limits.items():
            if limit is not None and getattr(wanted, name):
                assert getattr(level.taken + wanted, name) <= limit


@given(st.lists(levels, min_size=1, max_size=5), resources)
def test_each_block_is_true_and_says_how_much_is_short(chain, wanted):
    for block in blocks(chain, wanted):
        assert block.short > 0
        assert block.used + block.pending + block.wanted - block.short == block.limit


@given(levels)
def test_nothing_wanted_is_never_blocked_even_over_the_limit(level):
    assert blocks([level], Resources()) == []


def test_a_refusal_names_pool_figures_and_what_is_short():
    level = Level(
        pool_id=3,
        name="Web",
        limits=Limits(memory=1024 * 1024),
        used=Resources(memory=768 * 1024),
        pending=Resources(memory=128 * 1024),
    )
    (block,) = blocks([level], Resources(memory=256 * 1024))
    assert block.explain() == (
        "Web: memory 768 MiB + 128 MiB pending of 1 GiB used, 256 MiB wanted, 128 MiB short"
    )


def test_an_amount_is_written_with_what_it_is_of():
    told = [
        phrase(*pair) for pair in (("vcpus", 1), ("nics", 2), ("machines", 1), ("memory", 1024))
    ]
    assert told == ["1 vCPU", "2 NICs", "1 running machine", "1 MiB of memory"]


@given(st.lists(levels, min_size=1, max_size=5), resources)
def test_room_says_the_same_as_the_check(chain, wanted):
    assert fits(room(chain), wanted) is (blocks(chain, wanted) == [])


@given(st.lists(levels, min_size=1, max_size=4), resources, resources)
def test_room_after_more_is_taken_is_the_room_of_fuller_levels(chain, more, wanted):
    fuller = [replace(level, used=level.used + more) for level in chain]
    assert fits(room(chain, more), wanted) is (blocks(fuller, wanted) == [])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), unique_by=lambda pair: pair[0]),
       st.integers(1, 30))  # fmt: skip
def test_what_is_named_frees_enough_and_no_single_one_is_left_out(held, short):
    chosen = freeing(held, short)
    amount = dict(held)
    if not chosen:
        assert sum(amount.values()) < short
        return
    assert sum(amount[number] for number in chosen) >= short
    single = [value for value in amount.values() if value >= short]
    if single:
        assert [amount[number] for number in chosen] == [min(single)]
    else:
        # One fewer would not do.
        assert sum(amount[number] for number in chosen[:-1]) < short


@given(limits, resources, resources)
def test_a_loan_is_in_force_and_never_makes_a_limit_negative(given_limits, lent, borrowed):
    for name, limit in shifted(given_limits, borrowed - lent).items():
        own = getattr(given_limits, name)
        if own is None:
            assert limit is None
        else:
            assert limit == max(own + getattr(borrowed, name) - getattr(lent, name), 0)


def test_a_limit_warns_above_its_percentage_only_while_something_is_taken():
    level = Level(
        pool_id=1, name="Web", limits=Limits(vcpus=10, machines=0), used=Resources(),
        pending=Resources(), warnings={"vcpus": 50},
    )  # fmt: skip
    assert level.warned(Resources(vcpus=5)) == []
    assert level.warned(Resources(vcpus=6, machines=1, storage=9)) == ["vcpus", "machines"]
    assert promised([Limits(vcpus=4), Limits(), Limits(vcpus=3, storage=1)]) == Resources(
        vcpus=7, storage=1
    )

"""The load of a host: never outside its bounds, reset counters are no load."""

from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain.load import Load, follow, part

parts = st.floats(0, 1)


def test_counters_that_were_reset_or_stand_still_say_nothing():
    assert part(-5, 10) is None
    assert part(5, -10) is None
    assert part(0, 0) is None
    assert part(1, 3) == 0.25


@given(st.lists(st.tuples(parts, st.floats(0.1, 600)), min_size=1))
def test_a_load_stays_between_nothing_and_all(stretches):
    load = None
    for busy, seconds in stretches:
        load = follow(load, busy, seconds)
    assert -1e-9 <= load.now <= 1 + 1e-9
    assert -1 <= load.trend <= 1


def test_a_rising_load_has_a_trend_upwards_and_a_steady_one_has_none():
    rising, steady = Load(now=0.1, slow=0.1), Load(now=0.5, slow=0.5)
    for step in range(60):
        rising = follow(rising, 0.1 + step / 100, 10)
        steady = follow(steady, 0.5, 10)
    assert rising.trend > 0.2
    assert abs(steady.trend) < 1e-6

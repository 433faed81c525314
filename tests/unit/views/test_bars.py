"""Figures and stretches of bars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.views.bars import Bar

GIB = 2**20
TB = 10**12


def bar(used, pending=0, limit=None, resource="vcpus", **more):
    return Bar(resource=resource, label="Label", used=used, pending=pending, limit=limit, **more)


def test_figures_share_one_unit_chosen_by_the_largest():
    figures = bar(41 * GIB, 4 * GIB, 64 * GIB, "memory").figures
    assert (figures.used, figures.pending, figures.limit, figures.unit) == (
        "41",
        "4",
        "64",
        "GiB",
    )
    figures = bar(16 * TB // 10, TB // 10, 2 * TB, "storage").figures
    assert (figures.used, figures.pending, figures.limit, figures.unit) == (
        "1.6",
        "0.1",
        "2",
        "TB",
    )


def test_what_is_there_is_never_shown_as_nothing():
    assert bar(10**6, limit=2 * TB, resource="storage").figures.used == "<0.1"
    (_, _, width) = bar(1, limit=10**6).parts[0]
    assert width > 0


@pytest.mark.parametrize(
    ("used", "pending", "limit", "tone"),
    [
        (0, 0, 0, ""),
        (8, 0, 10, ""),
        (8, 1, 10, "over"),
        (9, 1, 10, "full"),
        (12, 0, 10, "full"),
        (5, 0, None, "open"),
    ],
)
def test_the_tone_warns_before_anything_is_refused(used, pending, limit, tone):
    assert bar(used, pending, limit).tone == tone


def test_a_level_without_a_limit_says_so():
    assert bar(3).note == "no limit here"
    assert bar(3).spoken == "Label: 3 used, no limit here"
    assert bar(12, limit=10).note == "2 over"


@given(*(st.integers(0, 2**53) for _ in range(3)), st.none() | st.integers(0, 2**53))
def test_stretches_follow_each_other_and_stay_within_the_bar(used, pending, wanted, limit):
    parts = bar(used, pending, limit, wanted=wanted).parts
    starts = [start for _, start, _ in parts]
    assert starts == sorted(starts)
    assert all(0 <= start <= 100 for start in starts)
    assert all(0 < width <= 100 for _, _, width in parts)

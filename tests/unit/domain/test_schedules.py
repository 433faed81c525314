"""Times that come again: what cron would do."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain import schedules

NOW = datetime(2026, 11, 21, 20, 30, 45, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("hourly", "2026-11-21 21:00"),
        ("daily", "2026-11-22 02:00"),
        ("weekly", "2026-11-22 02:00"),
        ("monthly", "2026-12-01 02:00"),
        ("*/15 * * * *", "2026-11-21 20:45"),
        ("30 20 * * *", "2026-11-22 20:30"),
        ("0 8-18/2 * * 1-5", "2026-11-23 08:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 0 1 * 0", "2026-11-22 00:00"),
        ("0 0 * * 7", "2026-11-22 00:00"),
    ],
)
def test_the_next_moment(text, following):
    found = schedules.read(text, NOW).after(NOW)
    assert found == datetime.fromisoformat(f"{following}+00:00")


@pytest.mark.parametrize(
    "text", ["", "daily daily", "60 * * * *", "* * * *", "a * * * *", "5-1 * * * *",
             "*/0 * * * *", "0 0 31 2 *", "1,,2 * * * *", "٣ * * * *"],
)  # fmt: skip
def test_what_is_no_schedule_is_said_to_be_none(text):
    with pytest.raises(ValueError, match=r".+"):
        schedules.read(text, NOW)


@given(
    st.integers(0, 20 * 366 * 86400).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    st.integers(0, 59),
    st.integers(0, 23),
    st.integers(0, 6),
)
def test_the_next_moment_is_later_fits_and_none_is_left_out(now, minute, hour, weekday):
    times = schedules.read(f"{minute} {hour} * * {weekday}", now)
    found = times.after(now)
    assert found > now
    assert (found.minute, found.hour, (found.weekday() + 1) % 7) == (minute, hour, weekday)
    assert found - now <= timedelta(days=7)

"""Times that come again, written as in cron: minute, hour, day of month, month, day of week.

Each field is `*`, a number, a range `1-5`, a step `*/15` or `8-18/2`, or several with commas.
Days of the week are 0 to 7, Sunday is 0 and 7.  All in UTC.  As in cron, when both days are given
either will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)
WORDS = {
    "hourly": "0 * * * *",
    "daily": "0 2 * * *",
    "weekly": "0 2 * * 0",
    "monthly": "0 2 1 * *",
}
"""Short for the usual ones."""
LONGEST_YEARS = 9
"""29 February may be eight years away."""


@dataclass(frozen=True)
class Times:
    """The moments of a schedule.  `text` is its normal form."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """Monday is 0, as `datetime` has it."""
    either: bool
    """Day of month and day of week are both given: one of them is enough."""

    def after(self, moment: datetime) -> datetime:
        """Return the first moment of the schedule that is later than `moment`."""
        at = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = moment + timedelta(days=366 * LONGEST_YEARS)
        while at < end:
            if at.month not in self.months or not self._on(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in self.hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in self.minutes:
                at += timedelta(minutes=1)
            else:
                return at
        raise ValueError("This day never comes.")

    def _on(self, at: datetime) -> bool:
        day, weekday = at.day in self.days, at.weekday() in self.weekdays
        return (day or weekday) if self.either else (day and weekday)


def read(text: str, now: datetime) -> Times:
    """Read a schedule; raises `ValueError` with what is wrong, for people."""
    normal = WORDS.get(text.strip().lower(), " ".join(text.split()))
    parts = normal.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(
            "Write five fields, such as 0 2 * * * for every day at 02:00 UTC, or one of "
            f"{', '.join(WORDS)}."
        )
    found = [_field(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    times = Times(
        text=normal,
        minutes=found[0],
        hours=found[1],
        days=found[2],
        months=found[3],
        weekdays=frozenset((day - 1) % 7 for day in found[4]),
        either=parts[2] != "*" and parts[4] != "*",
    )
    times.after(now)
    return times


def _field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        values |= _part(part, name, low, high)
    return frozenset(values)


def _part(text: str, name: str, low: int, high: int) -> set[int]:
    span, slash, step = text.partition("/")
    first, dash, last = span.partition("-")
    if span == "*":
        begin, end = low, high
    else:
        begin = _number(first, name)
        end = _number(last, name) if dash else (high if slash else begin)
    every = _number(step, name) if slash else 1
    if not low <= begin <= end <= high or every < 1:
        raise ValueError(f"“{text[:40]}” is no {name}: it goes from {low} to {high}.")
    return set(range(begin, end + 1, every))


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ValueError(f"“{text[:40]}” is no {name}.")
    return int(text)

"""Small marks that lists repeat on every row: badges of states, and times.

They are made here and not by macros, whose call costs more than a row of a table.
"""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup, escape

from ovcadmin.services.machines import Badge
from ovcadmin.views.show import age, clock, exact


def badge_mark(badge: Badge, icon: str) -> Markup:
    """Shape, word and colour; percent while busy; since when, where that matters."""
    percent = "" if badge.percent is None else f" · {badge.percent} %"
    since = ""
    if badge.since is not None:
        since = (
            f'<time class="since" {_moment(badge.since)} data-clock="since ">'
            f"since {clock(badge.since)} UTC</time>"
        )
    return Markup(  # noqa: S704 - every part is escaped, or one of our own words
        f'<span class="badge {badge.tone}"><svg class="{badge.shape}" aria-hidden="true">'
        f'<use href="{icon}"/></svg><span>{escape(badge.word)}{percent}</span>{since}</span>'
    )


def age_mark(moment: datetime, now: datetime, suffix: str = "") -> Markup:
    """`3 h` with the exact time on hover; `suffix` such as " ago"."""
    said = escape(suffix)
    return Markup(  # noqa: S704
        f'<time {_moment(moment)} data-age="{said}">{age(moment, now)}{said}</time>'
    )


def clock_mark(moment: datetime) -> Markup:
    """Show the time of day, in the reader's zone where script runs."""
    return Markup(f'<time {_moment(moment)} data-clock="">{clock(moment)}</time>')  # noqa: S704


def exact_mark(moment: datetime) -> Markup:
    return Markup(f'<time {_moment(moment)} data-exact="">{exact(moment)}</time>')  # noqa: S704


def _moment(moment: datetime) -> str:
    return f'datetime="{moment.isoformat()}" title="{exact(moment)}"'

"""Consumption: the months, and the usage report of one; amounts of use and nothing else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.consumption import Month
from ovcadmin.errors import NotFound
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.services import consumption, loans
from ovcadmin.services.consumption import Account, Row, Space
from ovcadmin.services.loans import Stretch
from ovcadmin.views.pages import Crumb, Empty, Page
from ovcadmin.views.tables import Column, Heading, columns

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
HEADINGS = (
    Heading(label="Machine", sort="machine"),
    Heading(label="Created", sort="created"),
    Heading(label="Destroyed", sort="destroyed"),
    Heading(label="vCPU-hours", sort="vcpus", number=True),
    Heading(label="Memory GiB-hours", sort="memory", number=True),
    Heading(label="Storage GB-hours", sort="storage", number=True),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def named(month: Month) -> str:
    """Return `November 2026`."""
    return f"{MONTHS[month.month - 1]} {month.year}"


@dataclass(frozen=True, kw_only=True)
class OverviewPage(Page):
    months: Sequence[tuple[str, str, int]]
    """Name of each month, newest first, its address, and how many machines lived in it."""
    empty: Empty


@dataclass(frozen=True, kw_only=True)
class ReportPage(Page):
    month: str
    accounts: Sequence[Account]
    columns: Sequence[Column]
    files: Sequence[tuple[str, str]]
    loans: Sequence[Stretch]
    """What pools lent each other in that month."""
    ended: bool
    """Whether the month is over; a running one is summed up to now."""


_KEYS = {
    "machine": lambda row: row.machine.name_key,
    "created": lambda row: row.created,
    # What still lives comes last.
    "destroyed": lambda row: (row.destroyed is None, row.destroyed or row.created),
    "vcpus": lambda row: row.used.vcpu_hours,
    "memory": lambda row: row.used.memory_gib_hours,
    "storage": lambda row: row.used.storage_gb_hours,
}


def in_order(accounts: Sequence[Account], sort: str) -> list[Account]:
    """Sort the machines within each cloud space."""
    key = _KEYS.get(sort.removeprefix("-"), _KEYS["machine"])
    return [
        Account(
            pool=account.pool,
            spaces=[
                Space(
                    pool=space.pool,
                    rows=sorted(space.rows, key=key, reverse=sort.startswith("-")),
                )
                for space in account.spaces
            ],
        )
        for account in accounts
    ]


@view_config(
    route_name="consumption",
    request_method="GET",
    renderer="consumption/overview.pt",
    permission=SIGNED_IN,
)
def overview(request: Any) -> dict[str, Any]:
    page = OverviewPage(
        title="Consumption",
        section="consumption",
        months=[
            (
                named(entry.month),
                request.route_path("consumption_month", month=str(entry.month)),
                entry.machines,
            )
            for entry in consumption.overview(request.work)
        ],
        empty=Empty(
            why="Nothing has been used yet.",
            more="From the first machine on, each month has its report here.",
        ),
    )
    return {"page": page}


@view_config(
    route_name="consumption_month",
    request_method="GET",
    renderer="consumption/report.pt",
    permission=SIGNED_IN,
)
def report(request: Any) -> dict[str, Any]:
    month = _month(request)
    sort = request.GET.get("sort", "machine")
    path = request.route_path("consumption_month", month=str(month))
    page = ReportPage(
        title=f"Consumption in {named(month)}",
        month=named(month),
        section="consumption",
        crumbs=[Crumb(label="Consumption", url=request.route_path("consumption"))],
        accounts=in_order(consumption.report(request.work, month), sort),
        columns=columns(request, path, HEADINGS, sort),
        files=[
            (kind.upper(), request.route_path("consumption_file", month=str(month), kind=kind))
            for kind in ("csv", "json")
        ],
        loans=loans.between(request.work, month.start, month.end),
        ended=month.end <= request.work.now(),
    )
    return {"page": page}


@view_config(
    route_name="consumption_file",
    match_param="kind=json",
    request_method="GET",
    renderer="json",
    permission=SIGNED_IN,
)
def as_json(request: Any) -> dict[str, Any]:
    month = _month(request)
    lines = [asdict(line) for line in flat(consumption.report(request.work, month))]
    return {"month": str(month), "machines": lines}


@view_config(
    route_name="consumption_file",
    match_param="kind=csv",
    request_method="GET",
    permission=SIGNED_IN,
)
def as_csv(request: Any) -> Response:
    month = _month(request)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(Line.__dataclass_fields__)
    for line in flat(consumption.report(request.work, month)):
        writer.writerow([harmless(value) for value in asdict(line).values()])
    return Response(
        text.getvalue(),
        content_type="text/csv",
        charset="utf-8",
        content_disposition=f'attachment; filename="consumption-{month}.csv"',
    )


@dataclass(frozen=True, kw_only=True)
class Line:
    """One machine of a report as a file has it; times in UTC."""

    account: str
    cloud_space: str
    machine: str
    uuid: str
    created: str
    destroyed: str
    vcpu_hours: float
    memory_gib_hours: float
    storage_gb_hours: float

    @classmethod
    def of(cls, account: Account, space: Space, row: Row) -> Line:
        return cls(
            account=account.pool.name,
            cloud_space=space.pool.name,
            machine=row.machine.name,
            uuid=row.machine.uuid,
            created=_moment(row.created),
            destroyed=_moment(row.destroyed),
            vcpu_hours=round(row.used.vcpu_hours, 6),
            memory_gib_hours=round(row.used.memory_gib_hours, 6),
            storage_gb_hours=round(row.used.storage_gb_hours, 6),
        )


def flat(accounts: Sequence[Account]) -> Iterator[Line]:
    for account in accounts:
        for space in account.spaces:
            for row in space.rows:
                yield Line.of(account, space, row)


def harmless(value: Any) -> Any:
    """Keep a spreadsheet from running a name such as `=cmd()` as a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _moment(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""


def _month(request: Any) -> Month:
    try:
        return Month.parse(request.matchdict["month"])
    except ValueError:
        raise NotFound("There is no such month.") from None

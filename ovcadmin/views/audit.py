"""The audit log: filters that live in the address, pages by cursor, files to take away."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.services import audit_log
from ovcadmin.services.audit_log import Filter
from ovcadmin.views.consumption import harmless
from ovcadmin.views.pages import Page
from ovcadmin.views.tables import address, whole_number

KINDS = (
    "user", "group", "role", "realm", "session", "token", "pool", "machine", "host", "image",
    "storage_pool", "operation",
)  # fmt: skip
OUTCOMES = (*audit_log.SETTLED, audit_log.REFUSED)
FIELDS = ("actor", "action", "kind", "object", "pool", "since", "until", "outcome")
COLUMNS = (
    "id", "at", "actor", "door", "address", "request_id", "action", "object_kind", "object_id",
    "object_name", "pool_id", "operation_id", "before", "after", "outcome",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AuditPage(Page):
    tab: str = "audit"
    rows: Sequence[Any]
    pools: Mapping[int, str]
    asked: Mapping[str, str]
    """The filter as it was typed."""
    wrong: str
    """Why a part of the filter was left aside."""
    older: str
    newest: str
    files: Sequence[tuple[str, str]]
    kinds: Sequence[str] = KINDS
    outcomes: Sequence[str] = OUTCOMES

    @staticmethod
    def told(row: Any) -> str:
        """What changed, on one line."""
        return "; ".join(
            f"{name}: {_short(row.before.get(name))} → {_short(row.after.get(name))}"
            if name in row.before and name in row.after
            else f"{name}: {_short(row.after.get(name, row.before.get(name)))}"
            for name in {**row.before, **row.after}
            if row.before.get(name) or row.after.get(name)
        )


@view_config(
    route_name="audit",
    request_method="GET",
    renderer="audit/list.pt",
    permission=Privilege.SEE_GRANTS,
)
def listing(request: Any) -> dict[str, Any]:
    asked = {name: request.GET.get(name, "")[:100] for name in FIELDS}
    wanted, wrong = _filter(asked, request.GET.get("before", ""))
    rows, cursor = audit_log.listing(request.work, wanted)
    path = request.route_path("audit")
    return {
        "page": AuditPage(
            title="Audit log",
            section="users",
            rows=rows,
            pools=audit_log.pool_names(request.work, rows),
            asked=asked,
            wrong=wrong,
            older=address(request, path, before=cursor) if cursor else "",
            newest=address(request, path, before=None) if wanted.before else "",
            files=[
                (kind.upper(), address(request, request.route_path("audit_file", kind=kind)))
                for kind in ("csv", "json")
            ],
        )
    }


@view_config(route_name="audit_file", request_method="GET", permission=Privilege.SEE_GRANTS)
def file(request: Any) -> Response:
    """Return what matches, newest first, at most `audit_log.MOST` rows; older ones by `before`."""
    asked = {name: request.GET.get(name, "")[:100] for name in FIELDS}
    wanted, _ = _filter(asked, request.GET.get("before", ""))
    rows, cursor = audit_log.listing(request.work, wanted, size=audit_log.MOST)
    write = {"csv": _csv, "json": _json}[request.matchdict["kind"]]
    return write(rows, cursor)


def _csv(rows: Sequence[Any], cursor: int | None) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([harmless(_cell(getattr(row, name))) for name in COLUMNS])
    return _download(text.getvalue(), "text/csv", "csv", cursor)


def _json(rows: Sequence[Any], cursor: int | None) -> Response:
    lines = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
    body = json.dumps({"rows": lines, "before": cursor}, default=lambda at: at.isoformat())
    return _download(body, "application/json", "json", cursor)


def _download(body: str, kind: str, suffix: str, cursor: int | None) -> Response:
    response = Response(
        body.encode(),
        content_type=kind,
        charset="utf-8" if kind == "text/csv" else None,
        content_disposition=f'attachment; filename="audit.{suffix}"',
    )
    if cursor is not None:
        response.headers["X-Older-Before"] = str(cursor)
    return response


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _filter(asked: Mapping[str, str], before: str) -> tuple[Filter, str]:
    """Read the filter; what makes no sense is left aside and said."""
    days, wrong = {}, []
    for name in ("since", "until"):
        try:
            days[name] = date.fromisoformat(asked[name]) if asked[name] else None
        except ValueError:
            days[name] = None
            wrong.append(f"“{asked[name]}” is no day; write it like 2026-11-21.")
    pool = asked["pool"]
    if pool and not whole_number(pool, 0):
        wrong.append("The pool is a number, as in its address.")
    wanted = Filter(
        actor=asked["actor"].strip(),
        action=asked["action"].strip(),
        kind=asked["kind"],
        object=asked["object"].strip(),
        pool_id=whole_number(pool, 0) or None,
        outcome=asked["outcome"],
        before=whole_number(before, 0) or None,
        **days,
    )
    return wanted, " ".join(wrong)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"

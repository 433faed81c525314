"""Operations: the list, one operation with its steps and log, cancel and retry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.answers import article_path
from ovcadmin.errors import Forbidden
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import operations, retries
from ovcadmin.services.operations import Filter
from ovcadmin.views.chrome import DRAWER_ROWS
from ovcadmin.views.forms import Problem
from ovcadmin.views.pages import Crumb, Empty, Page, crumbs
from ovcadmin.views.tables import address, whole_number

PAGE = 50
STATES = ("queued", "running", "done", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True)
class OperationsPage(Page):
    rows: Sequence[Any]
    state: str
    states: Sequence[tuple[str, str]]
    """Each state with the address of the list narrowed to it; blank is all."""
    older: str
    """Address of the next, older page."""
    fragment: str
    empty: Empty

    @classmethod
    def of(cls, request: Any) -> OperationsPage:
        state = request.GET.get("state", "")
        wanted = Filter(
            state=state if state in STATES else "",
            place=whole_number(request.GET.get("before", ""), 0) or None,
            limit=PAGE + 1,
        )
        found = operations.listing(request.work, wanted)
        path = request.route_path("operations")
        following = address(request, path, before=found[PAGE - 1].id) if len(found) > PAGE else ""
        return cls(
            title="Operations",
            section="operations",
            rows=found[:PAGE],
            state=wanted.state,
            states=[
                (name or "all", address(request, path, state=name, before=None))
                for name in ("", *STATES)
            ],
            older=following,
            fragment=address(request, request.route_path("operations_fragment", part="rows")),
            empty=_nothing(request, wanted),
        )


def _nothing(request: Any, wanted: Filter) -> Empty:
    if wanted.state or wanted.place:
        return Empty(
            why="No operation fits this filter.",
            step="Show all",
            url=request.route_path("operations"),
        )
    return Empty(
        why="Nothing has been done yet.",
        more="What takes over a second or touches a host is listed here, with its steps and log.",
    )


@dataclass(frozen=True, kw_only=True)
class OperationPage(Page):
    operation: Any
    may_cancel: bool
    may_retry: bool
    problem: Problem | None
    """Why it failed."""

    @classmethod
    def of(cls, context: Any, request: Any) -> OperationPage:
        operation = context.operation
        acts = operations.privilege(operation) in context.privileges
        failed = operation.state == "failed" and operation.error_code
        return cls(
            title=operation.title,
            section="operations",
            crumbs=[
                Crumb(label="Operations", url=request.route_path("operations")),
                *crumbs(request, context.pool),
            ],
            pool_id=operation.pool_id,
            operation=operation,
            may_cancel=acts and operations.may_cancel(operation),
            may_retry=acts and operation.state in ("failed", "cancelled"),
            problem=Problem(
                code=operation.error_code,
                text=operation.error_text,
                article=article_path(operation.error_code),
                context=operation.error_context,
            )
            if failed
            else None,
        )


@view_config(
    route_name="operations",
    request_method="GET",
    renderer="operations/list.pt",
    permission=SIGNED_IN,
)
@view_config(
    route_name="operations_fragment",
    request_method="GET",
    match_param="part=rows",
    renderer="operations/rows.pt",
    permission=SIGNED_IN,
)
def listing(request: Any) -> dict[str, Any]:
    return {"page": OperationsPage.of(request)}


@view_config(
    route_name="operations_fragment",
    request_method="GET",
    match_param="part=drawer",
    renderer="operations/drawer.pt",
    permission=SIGNED_IN,
)
def drawer(request: Any) -> dict[str, Any]:
    return {"rows": operations.listing(request.work, Filter(limit=DRAWER_ROWS))}


@view_config(
    route_name="operation",
    request_method="GET",
    renderer="operations/operation.pt",
    permission=Privilege.VIEW,
)
@view_config(
    route_name="operation_fragment",
    request_method="GET",
    match_param="part=state",
    renderer="operations/state.pt",
    permission=Privilege.VIEW,
)
def operation(context: Any, request: Any) -> dict[str, Any]:
    return {"page": OperationPage.of(context, request)}


@view_config(route_name="operation_cancel", request_method="POST", permission=Privilege.VIEW)
def cancel(context: Any, request: Any) -> Response:
    _ensure_may(context)
    operations.cancel(request.work, context.operation)
    request.flash(f"Asked to cancel “{context.operation.title}”.")
    return HTTPSeeOther(request.route_path("operation", id=context.operation.id))


@view_config(route_name="operation_retry", request_method="POST", permission=Privilege.VIEW)
def retry(context: Any, request: Any) -> Response:
    _ensure_may(context)
    again = retries.retry(request.work, context.operation)
    request.flash(f"“{again.title}” is queued again.")
    return HTTPSeeOther(request.route_path("operation", id=again.id))


def _ensure_may(context: Any) -> None:
    """Raise `Forbidden` unless the user may ask for such an operation himself."""
    needed = operations.privilege(context.operation)
    if needed not in context.privileges:
        raise Forbidden(
            f"This needs the privilege “{needed}” on {context.pool.name}.", privilege=needed
        )

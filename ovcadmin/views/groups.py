"""Groups of directories: their members, and the roles that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.services import groups, rights
from ovcadmin.views.pages import Page
from ovcadmin.views.tables import Pager, pager, whole_number


@dataclass(frozen=True, kw_only=True)
class GroupsPage(Page):
    tab: str = "groups"
    q: str
    lines: Sequence[groups.Line]
    pager: Pager


@dataclass(frozen=True, kw_only=True)
class GroupPage(Page):
    tab: str = "groups"
    group: Any
    members: Sequence[Any]
    pager: Pager
    grants: Sequence[Any]


@view_config(
    route_name="groups",
    request_method="GET",
    renderer="groups/list.pt",
    permission=Privilege.SEE_GRANTS,
)
def listing(request: Any) -> dict[str, Any]:
    q, page = request.GET.get("q", "")[:100], _page(request)
    lines, total = groups.listing(request.work, q, page=page)
    shown = _pager(request, request.route_path("groups"), page, total)
    return {"page": GroupsPage(title="Groups", section="users", q=q, lines=lines, pager=shown)}


@view_config(
    route_name="group",
    request_method="GET",
    renderer="groups/group.pt",
    permission=Privilege.SEE_GRANTS,
)
def show(context: Any, request: Any) -> dict[str, Any]:
    group, page = context.group, _page(request)
    members, total = groups.members(request.work, group, page=page)
    return {
        "page": GroupPage(
            title=group.name,
            section="users",
            group=group,
            members=members,
            pager=_pager(request, request.route_path("group", id=group.id), page, total),
            grants=rights.of_group(request.work, group),
        )
    }


def _page(request: Any) -> int:
    return max(whole_number(request.GET.get("page", ""), 1), 1)


def _pager(request: Any, path: str, page: int, total: int) -> Pager:
    pages = max(1, -(-total // groups.PAGE))
    return pager(request, path, page=page, pages=pages, total=total, size=groups.PAGE)

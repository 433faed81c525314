"""The people of a pool: who holds which role on it and why; giving, changing, revoking roles.

Each change is shown with what it would do (services/reach) before its button is pressed: the
steps are pages of their own, so they work without script and can be sent to somebody as a link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.errors import InvalidInput
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import grants, reach
from ovcadmin.services.reach import Reach
from ovcadmin.views.calls import Call
from ovcadmin.views.forms import Done, Form, choice, text
from ovcadmin.views.pages import Page, crumbs
from ovcadmin.views.tables import Pager, pager, whole_number

PAGE = 100
USUAL = "User"
"""The role that is looked at first."""


class NewGrant(colander.Schema):
    who = text("", kind="hidden", longest=30)
    role = choice("Role")


class ChangedGrant(colander.Schema):
    role = choice("Role")


@dataclass(frozen=True, kw_only=True)
class GrantsPage(Page):
    pool: Any
    q: str
    lines: Sequence[grants.Line]
    pager: Pager
    may_set: bool


@dataclass(frozen=True, kw_only=True)
class SearchPage(Page):
    """Whom?"""

    pool: Any
    q: str
    found: Sequence[grants.Candidate]
    total: int
    pager: Pager


@dataclass(frozen=True, kw_only=True)
class ChangePage(Page):
    """Which role, and what would it do?"""

    pool: Any
    who: str
    subject: Any
    """A user or group; `named` is how it is called."""
    named: str
    role: Any
    """The role that is looked at."""
    roles: Sequence[Any]
    """All that the reader may give here."""
    left_out: bool
    """Whether there are roles that hold more than the reader does."""
    form: Form
    reach: Reach
    button: str
    call: Call
    grant: Any = None


@view_config(
    route_name="pool_grants",
    request_method="GET",
    renderer="grants/list.pt",
    permission=Privilege.SEE_GRANTS,
)
def listing(context: Any, request: Any) -> dict[str, Any]:
    pool, q = context.pool, request.GET.get("q", "")[:100]
    page = max(whole_number(request.GET.get("page", ""), 1), 1)
    lines, total = grants.listing(request.work, pool, q, page=page, size=PAGE)
    return {
        "page": GrantsPage(
            title=f"People of {pool.name}",
            section="pools",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            pool=pool,
            q=q,
            lines=lines,
            pager=_pager(request, request.route_path("pool_grants", id=pool.id), page, total, PAGE),
            may_set=Privilege.SET_GRANTS in context.privileges,
        )
    }


@view_config(
    route_name="pool_grant_search",
    request_method="GET",
    renderer="grants/search.pt",
    permission=Privilege.SET_GRANTS,
)
def search(context: Any, request: Any) -> dict[str, Any]:
    pool, q = context.pool, request.GET.get("q", "")[:100]
    page = max(whole_number(request.GET.get("page", ""), 1), 1)
    found, total = grants.candidates(request.work, pool, q, page=page)
    path = request.route_path("pool_grant_search", id=pool.id)
    return {
        "page": SearchPage(
            title=f"Give a role on {pool.name}",
            section="pools",
            crumbs=crumbs(request, pool),
            pool_id=pool.id,
            pool=pool,
            q=q,
            found=found,
            total=total,
            pager=_pager(request, path, page, total, grants.PAGE),
        )
    }


@view_config(
    route_name="pool_grant_new",
    request_method=("GET", "POST"),
    renderer="grants/change.pt",
    permission=Privilege.SET_GRANTS,
)
def new(context: Any, request: Any) -> dict[str, Any] | Response:
    pool, work = context.pool, request.work
    who = request.params.get("who", "")
    subject = grants.subject(work, who)
    roles = grants.grantable(work, pool)
    role = _looked_at(request, roles)
    form = Form(NewGrant(), {"who": who, "role": role.id}, choices={"role": _choices(roles)})
    done = form.submit(request, lambda values: _give(request, pool, values, roles))
    if done is not None:
        return done
    named = grants.named(subject)
    kind = "group_id" if named.startswith("group ") else "user_id"
    return {
        "page": _change_page(
            request,
            pool,
            f"Give {named} a role on {pool.name}",
            who=who,
            subject=subject,
            roles=roles,
            role=role,
            form=form,
            reach=reach.of(work, pool, subject, role=role),
            button=f"Give {role.name} on {pool.name}",
            call=Call("POST", f"/pools/{pool.id}/grants", {kind: subject.id, "role_id": role.id}),
        )
    }


def _give(request: Any, pool: Any, values: dict[str, str], roles: Sequence[Any]) -> Done:
    subject = grants.subject(request.work, values["who"])
    role = _of(roles, values["role"])
    grants.give(request.work, pool, subject, role)
    return Done(
        text=f"{grants.named(subject)} is {role.name} on {pool.name}.",
        path=request.route_path("pool_grants", id=pool.id),
    )


@view_config(
    route_name="grant",
    request_method=("GET", "POST"),
    renderer="grants/change.pt",
    permission=Privilege.SET_GRANTS,
)
def change(context: Any, request: Any) -> dict[str, Any] | Response:
    grant, pool, work = context.grant, context.pool, request.work
    subject = grants.subject_of(grant)
    roles = grants.grantable(work, pool)
    role = _looked_at(request, roles, grant.role)
    form = Form(ChangedGrant(), {"role": role.id}, choices={"role": _choices(roles)})
    done = form.submit(request, lambda values: _change(request, grant, values, roles))
    if done is not None:
        return done
    return {
        "page": _change_page(
            request,
            pool,
            f"Role of {grants.named(subject)} on {pool.name}",
            who="",
            subject=subject,
            roles=roles,
            role=role,
            form=form,
            grant=grant,
            reach=reach.of(work, pool, subject, role=role, without=grant),
            button=f"Make it {role.name}",
            call=Call("PATCH", f"/grants/{grant.id}", {"role_id": role.id}),
        )
    }


def _change(request: Any, grant: Any, values: dict[str, str], roles: Sequence[Any]) -> Done:
    role = _of(roles, values["role"])
    grants.change(request.work, grant, role)
    return Done(
        text=f"{grants.named(grants.subject_of(grant))} is {role.name} on {grant.pool.name} now.",
        path=request.route_path("pool_grants", id=grant.pool_id),
    )


@view_config(
    route_name="grant_revoke",
    request_method=("GET", "POST"),
    renderer="grants/revoke.pt",
    permission=Privilege.SET_GRANTS,
)
def revoke(context: Any, request: Any) -> dict[str, Any] | Response:
    grant, pool, work = context.grant, context.pool, request.work
    subject = grants.subject_of(grant)
    form = Form(colander.Schema())
    done = form.submit(request, lambda _: _revoke(request, grant))
    if done is not None:
        return done
    return {
        "page": _change_page(
            request,
            pool,
            f"Revoke {grant.role.name} of {grants.named(subject)} on {pool.name}",
            who="",
            subject=subject,
            roles=(),
            role=grant.role,
            form=form,
            grant=grant,
            reach=reach.of(work, pool, subject, without=grant),
            button=f"Revoke {grant.role.name} on {pool.name}",
            call=Call("DELETE", f"/grants/{grant.id}"),
        )
    }


def _revoke(request: Any, grant: Any) -> Done:
    named, pool = grants.named(grants.subject_of(grant)), grant.pool
    role = grant.role.name
    grants.revoke(request.work, grant)
    return Done(
        text=f"{named} is not {role} on {pool.name} any more.",
        path=request.route_path("pool_grants", id=pool.id),
    )


def _change_page(request: Any, pool: Any, title: str, **parts: Any) -> ChangePage:
    return ChangePage(
        title=title,
        section="pools",
        crumbs=crumbs(request, pool),
        pool_id=pool.id,
        pool=pool,
        named=grants.named(parts["subject"]),
        left_out=len(parts["roles"]) < grants.how_many_roles(request.work),
        **parts,
    )


def _looked_at(request: Any, roles: Sequence[Any], present: Any = None) -> Any:
    """Return the role that the address names; else the present, the usual, or the first one."""
    wanted = request.params.get("role", "")
    found = next((role for role in roles if str(role.id) == wanted), present)
    if found is None and not roles:
        raise InvalidInput("There is no role here that holds no more than you do yourself.")
    return found or next((role for role in roles if role.name == USUAL), roles[0])


def _of(roles: Sequence[Any], number: str) -> Any:
    return next(role for role in roles if str(role.id) == number)


def _choices(roles: Sequence[Any]) -> list[tuple[str, str]]:
    return [(str(role.id), role.name) for role in roles]


def _pager(request: Any, path: str, page: int, total: int, size: int) -> Pager:
    pages = max(1, -(-total // size))
    return pager(request, path, page=page, pages=pages, total=total, size=size)

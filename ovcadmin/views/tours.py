"""Guided tutorials: the list, and one with its marks beside the reader's own machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.errors import NotFound
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import knowledge, machine_lists, tours
from ovcadmin.services.knowledge import Article
from ovcadmin.services.tours import Standing
from ovcadmin.views.pages import Crumb, Page
from ovcadmin.views.steps import addressed


@dataclass(frozen=True, kw_only=True)
class ToursPage(Page):
    tours: Sequence[tuple[Any, Standing]]


@dataclass(frozen=True, kw_only=True)
class TourPage(Page):
    article: Article
    standing: Standing
    html: Markup
    badge: Any
    """Of the reader's machine, if it is there and may be seen."""
    may_control: bool
    total: int


@view_config(
    route_name="tours", request_method="GET", renderer="knowledge/tours.pt", permission=SIGNED_IN
)
def listing(request: Any) -> dict[str, Any]:
    page = ToursPage(
        title="Guided tutorials",
        section="getting_started",
        tours=tours.listing(request.work),
    )
    return {"page": page}


@view_config(
    route_name="tour",
    request_method=("GET", "POST"),
    renderer="knowledge/tour.pt",
    permission=SIGNED_IN,
)
@view_config(
    route_name="tour_fragment",
    request_method="GET",
    match_param="part=steps",
    renderer="knowledge/tour_steps.pt",
    permission=SIGNED_IN,
)
def show(request: Any) -> dict[str, Any] | Response:
    """Show a tutorial; POST begins it, or begins it anew."""
    article = knowledge.get(request.work, request.matchdict["section"], request.matchdict["slug"])
    if not article.rendered.ticks:
        raise NotFound("This article has no steps to follow.")
    if request.method == "POST":
        tours.begin(request.work, article)
        request.flash("It follows you now: each step is marked when you have done it.")
        return HTTPSeeOther(request.path)
    return {"page": _page(request, article)}


def _page(request: Any, article: Article) -> TourPage:
    work = request.work
    standing = tours.standing(work, article)
    machine = standing.machine
    held = _held(request, machine)
    there = machine is not None and machine.deleted_at is None and Privilege.VIEW in held
    at_hand = machine.id if machine and there else None
    way = [Crumb(label="Guided tutorials", url=request.route_path("tours"))]
    back = request.route_path("tour", section=article.section, slug=article.slug)
    html = addressed(tours.fill(article, _marks(standing)), back, at_hand)
    return TourPage(
        title=article.title,
        section="getting_started",
        crumbs=way,
        article=article,
        standing=standing,
        html=html,
        badge=machine_lists.rows(work, [machine])[0].badge if machine and there else None,
        may_control=there and Privilege.CONTROL in held,
        total=len(standing.done),
    )


def _held(request: Any, machine: Any) -> frozenset[Privilege]:
    if machine is None:
        return frozenset()
    return privileges_on(request.db, request.identity.user_id, machine.pool_id)


def _marks(standing: Standing) -> Any:
    def mark(at: int, _tick: Any) -> str:
        if standing.done[at]:
            return '<span class="tick done" role="img" aria-label="done">✓</span>'
        now = " now" if standing.begun_at and at == standing.next else ""
        told = "next" if now else "not done yet"
        return f'<span class="tick{now}" role="img" aria-label="{told}">○</span>'

    return mark

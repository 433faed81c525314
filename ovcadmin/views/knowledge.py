"""The knowledge base for its readers: sections, articles, search, and whether an article helped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.renderers import render_to_response
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from ovcadmin.errors import NotFound
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    catalogue,
    knowledge,
    knowledge_edits,
    knowledge_opinions,
    knowledge_search,
    people,
)
from ovcadmin.services.catalogue import Entry, Shelf
from ovcadmin.services.knowledge import Article, Section
from ovcadmin.views.forms import Done, Form, choice
from ovcadmin.views.pages import Crumb, Page
from ovcadmin.views.steps import addressed
from ovcadmin.views.tables import Pager, pager, whole_number

LONGEST_QUESTION = 200


@dataclass(frozen=True, kw_only=True)
class KnowledgePage(Page):
    """The overview, one section, one tag, or what a search found."""

    shelves: Sequence[Shelf]
    tag: str = ""
    question: str = ""
    hits: Sequence[Any] | None = None
    """None: nothing was looked for."""
    whole: bool = False
    """Whether every section shows all of its articles."""
    may_edit: bool = False
    pager: Pager | None = None
    read: Sequence[tuple[Entry, int]] = ()
    """What was read most, and how often."""


@dataclass(frozen=True, kw_only=True)
class ArticlePage(Page):
    article: Article
    html: Any
    """Of the article, its steps told which machine is at hand."""
    shelf: Section
    before: Entry | None = None
    after: Entry | None = None
    may_edit: bool = False
    desk: Any = None
    """For editors: drafts, versions, and what a release offers."""
    helped: bool | None = None


class Opinion(colander.Schema):
    helped = choice("Did this help?", choices=[("yes", "Yes"), ("no", "No")])


@view_config(
    route_name="knowledge",
    request_method="GET",
    renderer="knowledge/overview.pt",
    permission=SIGNED_IN,
)
def overview(request: Any) -> dict[str, Any]:
    question = request.GET.get("q", "").strip()[:LONGEST_QUESTION]
    tag = request.GET.get("tag", "").strip()[:LONGEST_QUESTION]
    hits = knowledge_search.search(request.work, question) if question else None
    return {
        "page": KnowledgePage(
            title=f"Articles on {tag}" if tag else "Knowledge base",
            section="knowledge",
            crumbs=_crumbs(request) if tag else (),
            shelves=_shelves(request.work, tag) if hits is None else (),
            read=_most_read(request.work) if hits is None and not tag else (),
            tag=tag,
            question=question,
            hits=hits,
            whole=bool(tag),
            may_edit=_may_edit(request),
        )
    }


@view_config(
    route_name="knowledge_section",
    request_method="GET",
    renderer="knowledge/overview.pt",
    permission=SIGNED_IN,
)
def section(request: Any) -> dict[str, Any]:
    wanted = knowledge.section(request.matchdict["section"])
    page = max(1, whole_number(request.GET.get("page", ""), 1))
    shelf = catalogue.shelf(request.work, wanted, page)
    return {
        "page": KnowledgePage(
            title=wanted.title,
            section="knowledge",
            crumbs=_crumbs(request),
            shelves=[shelf],
            pager=pager(
                request,
                request.path,
                page=page,
                pages=shelf.pages,
                total=shelf.total,
                size=catalogue.PAGE,
            ),
            whole=True,
            may_edit=_may_edit(request),
        )
    }


@view_config(
    route_name="article",
    request_method="GET",
    renderer="knowledge/article.pt",
    permission=SIGNED_IN,
)
def article(request: Any) -> dict[str, Any]:
    return _article_page(request, request.matchdict["section"], request.matchdict["slug"])


@view_config(
    route_name="error_article",
    request_method="GET",
    renderer="errors/article.pt",
    permission=NO_PERMISSION_REQUIRED,
)
def error_article(request: Any) -> dict[str, Any] | Response:
    """Show the article on an error code: to strangers as it was shipped, without the database."""
    code = request.matchdict["code"]
    if request.identity is not None:
        page = _article_page(request, knowledge.ERROR_SECTION, code)
        response: Response = render_to_response("knowledge/article.pt", page, request)
        return response
    found = knowledge.error_article(code)
    if found is None:
        raise NotFound("There is no article on this code.")
    return {"article": found}


@view_config(route_name="article_opinion", request_method="POST", permission=SIGNED_IN)
def opine(request: Any) -> Response:
    read = knowledge.get(request.work, request.matchdict["section"], request.matchdict["slug"])
    form = Form(Opinion())
    done = form.submit(request, lambda values: _opine(request, read, values))
    if done is None:
        raise NotFound("Say yes or no.")
    return done


@view_config(route_name="article_read", request_method="POST", permission=SIGNED_IN)
def count_read(request: Any) -> Response:
    """Count a reader who stayed for some seconds; the page asks for it by script."""
    read = knowledge.get(request.work, request.matchdict["section"], request.matchdict["slug"])
    knowledge_opinions.count_read(request.work, read)
    return Response(status=204)


def _opine(request: Any, read: Article, values: dict[str, Any]) -> Done:
    knowledge_opinions.give(request.work, read, helped=values["helped"] == "yes")
    return Done(text="Thank you. The editors see how many an article helped.", path=read.path)


def _article_page(request: Any, section: str, slug: str) -> dict[str, Any]:
    work = request.work
    shown = knowledge.get(work, section, slug)
    shelf = knowledge.section(section)
    before, after = catalogue.neighbours(work, shown)
    may_edit = _may_edit(request)
    return {
        "page": ArticlePage(
            title=shown.title,
            section="knowledge",
            crumbs=_crumbs(request, shelf),
            article=shown,
            html=addressed(
                shown.html, shown.path, whole_number(request.GET.get("machine", ""), 0) or None
            ),
            shelf=shelf,
            before=before,
            after=after,
            may_edit=may_edit,
            desk=knowledge_edits.desk(work, section, slug) if may_edit else None,
            helped=knowledge_opinions.own(work, shown),
        )
    }


def _shelves(work: Any, tag: str) -> list[Shelf]:
    return catalogue.tagged(work, tag) if tag else catalogue.overview(work)


def _most_read(work: Any) -> list[tuple[Entry, int]]:
    read = knowledge_opinions.most_read(work)
    there = catalogue.named(work, [key for key, _ in read])
    return [(there[key], count) for key, count in read if key in there]


def _crumbs(request: Any, shelf: Section | None = None) -> list[Crumb]:
    way = [Crumb(label="Knowledge base", url=request.route_path("knowledge"))]
    if shelf is not None:
        path = request.route_path("knowledge_section", section=shelf.name)
        way.append(Crumb(label=shelf.title, url=path))
    return way


def _may_edit(request: Any) -> bool:
    return people.may_on_root(request.work, Privilege.EDIT_KNOWLEDGE)

"""Editing the knowledge base, for whoever holds that privilege on the root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.interfaces import IRoutesMapper
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.services import catalogue, knowledge, knowledge_edits, knowledge_opinions, markdown
from ovcadmin.services.knowledge import Text
from ovcadmin.services.knowledge_edits import Desk
from ovcadmin.services.knowledge_opinions import Link
from ovcadmin.views.forms import Done, Form, choice, text, version
from ovcadmin.views.pages import Crumb, Page

ALLOWED = {"permission": Privilege.EDIT_KNOWLEDGE}
BOTH = ("GET", "POST")
WRITTEN_HERE = [
    (one.name, one.title) for one in knowledge.SECTIONS if one.name != knowledge.ERROR_SECTION
]


class ArticleSchema(colander.Schema):
    title = text("Title", longest=knowledge_edits.LONGEST_TITLE)
    tags = text("Tags", longest=300, missing="", hint="Words between commas.")
    summary = text(
        "Summary",
        longest=knowledge_edits.LONGEST_SUMMARY,
        missing="",
        hint="One sentence for lists and for the search.",
    )
    body = text(
        "Text",
        kind="textarea",
        longest=knowledge_edits.LONGEST_BODY,
        hint="Markdown: ## heading, - list, **strong**, `code`, [words](/machines). "
        "HTML is shown as it is typed.",
    )


class NewArticle(ArticleSchema):
    section = choice("Section", choices=WRITTEN_HERE)


class EditedArticle(ArticleSchema):
    note = text("What you changed", longest=200, missing="")
    version = version()


class Turn(colander.Schema):
    """A button for one version of the article."""

    version = version()


class Answer(Turn):
    do = choice("What to do", choices=[("take", "Take it"), ("keep", "Keep ours")])


@dataclass(frozen=True, kw_only=True)
class DeskPage(Page):
    desk: Desk | None = None
    form: Form | None = None
    preview: markdown.Rendered | None = None
    lines: Sequence[tuple[str, str]] = ()
    number: int = 0
    with_now: bool = False
    """Whether the version is compared with what is read now."""
    path: str = ""
    """Of the article."""


@dataclass(frozen=True, kw_only=True)
class CarePage(Page):
    drafts: Sequence[Any]
    offers: Sequence[Desk]
    broken: Sequence[Any]
    opinions: Sequence[Any]


@view_config(
    route_name="knowledge_new", request_method=BOTH, renderer="knowledge/edit.pt", **ALLOWED
)
def new(request: Any) -> dict[str, Any] | Response:
    form = Form(NewArticle(), {"section": request.GET.get("section", WRITTEN_HERE[0][0])})
    if _asked(request) == "preview":
        return _edit_page(request, None, form, form.validate(request))
    return form.submit(request, lambda values: _create(request, values)) or _edit_page(
        request, None, form
    )


def _create(request: Any, values: dict[str, Any]) -> Done:
    row = knowledge_edits.create(request.work, values["section"], _text(values))
    if _asked(request) == "publish":
        made = knowledge_edits.desk(request.work, row.section, row.slug)
        knowledge_edits.publish(request.work, made, _text(values), version=row.version)
        return _done(made, "It can be read now.")
    return Done(text="The draft is kept.", path=_path(request, "article_edit", row))


@view_config(
    route_name="article_edit", request_method=BOTH, renderer="knowledge/edit.pt", **ALLOWED
)
def edit(request: Any) -> dict[str, Any] | Response:
    desk = _desk(request)
    shown = desk.text
    initial = {
        "title": shown.title,
        "tags": ", ".join(shown.tags),
        "summary": shown.summary,
        "body": shown.body,
        "note": desk.draft.note if desk.draft else "",
        "version": desk.version,
    }
    form = Form(EditedArticle(), initial)
    if _asked(request) == "preview":
        return _edit_page(request, desk, form, form.validate(request))
    return form.submit(request, lambda values: _save(request, desk, values)) or _edit_page(
        request, desk, form
    )


def _save(request: Any, desk: Desk, values: dict[str, Any]) -> Done:
    changed = {"note": values["note"], "version": values["version"]}
    if _asked(request) == "publish":
        knowledge_edits.publish(request.work, desk, _text(values), **changed)
        return _done(desk, "The new version can be read now.")
    knowledge_edits.save(request.work, desk, _text(values), **changed)
    return Done(
        text="The draft is kept. Readers see the text that is published.",
        path=_path(request, "article_edit", desk),
    )


def _edit_page(
    request: Any, desk: Desk | None, form: Form, values: dict[str, Any] | None = None
) -> dict[str, Any]:
    if request.method == "POST":
        request.tm.doom()  # shown again: nothing was to be kept
    rendered = markdown.render(values["body"]) if values else None
    title = f"Edit {desk.text.title}" if desk else "New article"
    return {"page": _page(request, desk, title, form=form, preview=rendered)}


@view_config(
    route_name="article_versions",
    request_method="GET",
    renderer="knowledge/versions.pt",
    **ALLOWED,
)
def versions(request: Any) -> dict[str, Any]:
    desk = _desk(request)
    lines: list[tuple[str, str]] = []
    if desk.offered and desk.live:
        lines = knowledge_edits.changed_only(knowledge_edits.differences(desk.live, desk.offered))
    return {"page": _page(request, desk, f"Versions of {desk.text.title}", lines=lines)}


@view_config(
    route_name="article_version", request_method=BOTH, renderer="knowledge/version.pt", **ALLOWED
)
def one_version(request: Any) -> dict[str, Any] | Response:
    """Show a version beside the one before it, or beside what is read now; POST publishes it."""
    desk = _desk(request)
    number = int(request.matchdict["number"])
    shown = knowledge_edits.version_of(desk, number)
    form = Form(Turn(), {"version": desk.version})
    done = form.submit(request, lambda values: _restore(request, desk, number, values))
    if done is not None:
        return done
    now = request.GET.get("with") == "now"
    before = (desk.live if now else _before(desk, number)) or Text(title="")
    lines = knowledge_edits.differences(before, knowledge.text_of(shown))
    title = f"{desk.text.title}, version {number}"
    page = _page(request, desk, title, form=form, lines=lines, number=number, with_now=now)
    return {"page": page}


def _before(desk: Desk, number: int) -> Text | None:
    older = [one for one in desk.versions if one.number < number]
    return knowledge.text_of(older[0]) if older else None


def _restore(request: Any, desk: Desk, number: int, values: dict[str, Any]) -> Done:
    knowledge_edits.restore(request.work, desk, number, version=values["version"])
    return _done(desk, f"Version {number} can be read again.")


@view_config(
    route_name="article_shipped", request_method="POST", renderer="knowledge/versions.pt", **ALLOWED
)
def answer_offer(request: Any) -> dict[str, Any] | Response:
    desk = _desk(request)
    form = Form(Answer(), {"version": desk.version})
    return form.submit(request, lambda values: _answer(request, desk, values)) or {
        "page": _page(request, desk, f"Versions of {desk.text.title}", form=form)
    }


def _answer(request: Any, desk: Desk, values: dict[str, Any]) -> Done:
    if values["do"] == "take":
        knowledge_edits.take_shipped(request.work, desk, version=values["version"])
        return _done(desk, "Readers see the shipped text.")
    knowledge_edits.keep_own(request.work, desk, version=values["version"])
    return _done(desk, "Readers go on seeing your text.")


@view_config(
    route_name="article_discard", request_method="POST", renderer="knowledge/versions.pt", **ALLOWED
)
def discard(request: Any) -> dict[str, Any] | Response:
    desk = _desk(request)
    form = Form(Turn(), {"version": desk.version})
    return form.submit(request, lambda values: _discard(request, desk, values)) or {
        "page": _page(request, desk, f"Versions of {desk.text.title}", form=form)
    }


def _discard(request: Any, desk: Desk, values: dict[str, Any]) -> Done:
    left = knowledge_edits.discard(request.work, desk, version=values["version"])
    path = _path(request, "article_versions", desk) if left else request.route_path("knowledge")
    return Done(text="The draft is thrown away.", path=path)


@view_config(
    route_name="article_delete", request_method=BOTH, renderer="knowledge/delete.pt", **ALLOWED
)
def delete(request: Any) -> dict[str, Any] | Response:
    desk = _desk(request)
    form = Form(Turn(), {"version": desk.version})
    return form.submit(request, lambda values: _delete(request, desk, values)) or {
        "page": _page(request, desk, f"Delete {desk.text.title}", form=form)
    }


def _delete(request: Any, desk: Desk, values: dict[str, Any]) -> Done:
    title = desk.text.title
    knowledge_edits.remove(request.work, desk, version=values["version"])
    return Done(text=f"{title} is deleted.", path=request.route_path("knowledge"))


@view_config(
    route_name="knowledge_care", request_method="GET", renderer="knowledge/care.pt", **ALLOWED
)
def care(request: Any) -> dict[str, Any]:
    """Show what waits for the editors: drafts, offers, broken links, opinions."""
    work = request.work
    tallies = knowledge_opinions.tallies(work)
    broken = _broken(request)
    names = catalogue.named(work, [*tallies, *(one.article for one in broken)])
    told = [(names[key], tally) for key, tally in tallies.items() if key in names]
    return {
        "page": CarePage(
            title="Care of the knowledge base",
            section="knowledge",
            crumbs=[Crumb(label="Knowledge base", url=request.route_path("knowledge"))],
            drafts=knowledge_edits.drafts(work),
            offers=knowledge_edits.offers(work),
            broken=[(names[one.article], one.target) for one in broken if one.article in names],
            opinions=sorted(told, key=lambda one: (-one[1].not_helped, one[0].key)),
        )
    }


def _broken(request: Any) -> list[Link]:
    """Return the links that lead nowhere; each target is tried once, whoever leads there."""
    every = knowledge_opinions.own_links(request.work)
    leading = {place: leads(request, one) for place, one in {o.place: o for o in every}.items()}
    return [one for one in every if not leading[one.place]]


def leads(request: Any, link: Link) -> bool:
    """Tell whether a link of an article leads to a page of this console."""
    path = link.target.partition("#")[0].partition("?")[0]
    if not path:
        return knowledge_opinions.leads_to_article(request.work, link)
    mapper = request.registry.getUtility(IRoutesMapper)
    found = mapper(Request.blank(path))["route"]
    if found is None:
        return False
    if found.name in ("article", "error_article"):
        return knowledge_opinions.leads_to_article(request.work, link)
    if found.name == "knowledge_section":
        return path.rpartition("/")[2] in {one.name for one in knowledge.SECTIONS}
    return True


def _desk(request: Any) -> Desk:
    return knowledge_edits.desk(
        request.work, request.matchdict["section"], request.matchdict["slug"]
    )


def _page(request: Any, desk: Desk | None, title: str, **more: Any) -> DeskPage:
    way = [Crumb(label="Knowledge base", url=request.route_path("knowledge"))]
    path = ""
    if desk is not None:
        path = knowledge.address(desk.section, desk.slug) if desk.live else ""
        if path:
            way.append(Crumb(label=desk.live.title if desk.live else "", url=path))
    return DeskPage(title=title, section="knowledge", crumbs=way, desk=desk, path=path, **more)


def _done(desk: Desk, text: str) -> Done:
    return Done(text=text, path=knowledge.address(desk.section, desk.slug))


def _path(request: Any, route: str, place: Any) -> str:
    path: str = request.route_path(route, section=place.section, slug=place.slug)
    return path


def _text(values: dict[str, Any]) -> Text:
    return Text(
        title=values["title"],
        tags=knowledge.tags(values["tags"]),
        summary=values["summary"],
        body=values["body"],
    )


def _asked(request: Any) -> str:
    """Return which button was pressed: `preview`, `draft` or `publish`."""
    return str(request.POST.get("do", "")) if request.method == "POST" else ""

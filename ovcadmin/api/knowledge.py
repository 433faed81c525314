"""The knowledge base: reading, searching, writing."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ovcadmin.api.endpoint import endpoint, query
from ovcadmin.api.lists import Listing, cursor
from ovcadmin.api.versions import version
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    catalogue,
    knowledge,
    knowledge_edits,
    knowledge_opinions,
    knowledge_search,
)
from ovcadmin.services.knowledge import Text

EDIT = Privilege.EDIT_KNOWLEDGE


@endpoint("articles", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> dict[str, Any]:
    """List titles; with `q` what fits best first, on one page."""
    wanted, work = query(request), request.work
    section = wanted["section"] or ""
    if wanted["q"]:
        hits = knowledge_search.search(work, wanted["q"])
        keys = [(hit.section, hit.slug) for hit in hits if section in ("", hit.section)]
        known = catalogue.named(work, keys)
        found = [known[key] for key in keys if key in known]
        return {"items": [_entry(one) for one in found], "next": None}
    skip, most = cursor(wanted["cursor"]) or 0, wanted["limit"]
    found = catalogue.listing(
        work, section=section, tag=wanted["tag"] or "", skip=skip, most=most + 1
    )
    more = len(found) > most
    return {
        "items": [_entry(one) for one in found[:most]],
        "next": str(skip + most) if more else None,
    }


def _entry(one: catalogue.Entry) -> dict[str, Any]:
    return {"section": one.section, "slug": one.slug, "title": one.title, "summary": one.summary}


@endpoint("articles", "POST", permission=EDIT)
def create(_context: Any, request: Any) -> dict[str, Any]:
    body, work = request.openapi_validated.body, request.work
    row = knowledge_edits.create(work, body["section"], _text(body, Text(title=body["title"])))
    if body.get("publish", False):
        place = knowledge_edits.desk(work, row.section, row.slug)
        knowledge_edits.publish(work, place, place.text, version=place.version)
    request.response.status_int = 201
    return _desk(request, row.section, row.slug)


@endpoint("article", "GET", permission=SIGNED_IN)
def show(context: Any, request: Any) -> dict[str, Any]:
    """Tell what readers see; to editors what they go on with when there is only a draft."""
    section, slug = _place(request)
    if EDIT in context.privileges:
        return _desk(request, section, slug)
    found = knowledge.get(request.work, section, slug)
    return {
        **_told(found.text),
        "section": section,
        "slug": slug,
        "published": True,
        "draft": False,
        "helped": knowledge_opinions.own(request.work, found),
    }


@endpoint("article", "PUT", permission=EDIT)
def write(_context: Any, request: Any) -> dict[str, Any]:
    """Keep a text as the draft, or show it to readers."""
    section, slug = _place(request)
    body, place = request.openapi_validated.body, knowledge_edits.desk(request.work, section, slug)
    keep = knowledge_edits.publish if body.get("publish", False) else knowledge_edits.save
    keep(
        request.work,
        place,
        _text(body, place.text),
        note=body.get("note", ""),
        version=version(request, place),
    )
    return _desk(request, section, slug)


@endpoint("article", "DELETE", permission=EDIT)
def delete(_context: Any, request: Any) -> Response:
    place = knowledge_edits.desk(request.work, *_place(request))
    knowledge_edits.remove(request.work, place, version=version(request, place))
    return Response(status=204)


@endpoint("article_draft", "DELETE", permission=EDIT)
def discard(_context: Any, request: Any) -> Response:
    place = knowledge_edits.desk(request.work, *_place(request))
    knowledge_edits.discard(request.work, place, version=version(request, place))
    return Response(status=204)


@endpoint("article_shipped", "POST", permission=EDIT)
def shipped(_context: Any, request: Any) -> dict[str, Any]:
    """Take the text of this release, or stay with one's own."""
    section, slug = _place(request)
    place = knowledge_edits.desk(request.work, section, slug)
    taken = request.openapi_validated.body["action"] == "take"
    change = knowledge_edits.take_shipped if taken else knowledge_edits.keep_own
    change(request.work, place, version=version(request, place))
    return _desk(request, section, slug)


@endpoint("article_versions", "GET", permission=EDIT)
def versions(_context: Any, request: Any) -> Listing:
    place = knowledge_edits.desk(request.work, *_place(request))
    return Listing(place.versions, _version, order="")


@endpoint("article_version", "GET", permission=EDIT)
def show_version(_context: Any, request: Any) -> dict[str, Any]:
    place = knowledge_edits.desk(request.work, *_place(request))
    found = knowledge_edits.version_of(place, int(request.matchdict["number"]))
    return {**_version(found), **_told(knowledge.text_of(found))}


@endpoint("article_version", "POST", permission=EDIT)
def restore(_context: Any, request: Any) -> dict[str, Any]:
    section, slug = _place(request)
    place = knowledge_edits.desk(request.work, section, slug)
    number = int(request.matchdict["number"])
    knowledge_edits.restore(request.work, place, number, version=version(request, place))
    return _desk(request, section, slug)


@endpoint("article_opinion", "PUT", permission=SIGNED_IN)
def opinion(_context: Any, request: Any) -> Response:
    found = knowledge.get(request.work, *_place(request))
    helped = request.openapi_validated.body["helped"]
    knowledge_opinions.give(request.work, found, helped=helped)
    return Response(status=204)


@endpoint("knowledge_care", "GET", permission=EDIT)
def care(_context: Any, request: Any) -> dict[str, Any]:
    """Tell what waits for an editor: drafts, and texts of this release that are not taken."""
    work = request.work
    drafts = [
        {"section": row.section, "slug": row.slug, "title": draft.title}
        for row, draft in knowledge_edits.drafts(work)
    ]
    offers = [
        {"section": one.section, "slug": one.slug, "title": one.text.title}
        for one in knowledge_edits.offers(work)
    ]
    return {"drafts": drafts, "offers": offers}


def _place(request: Any) -> tuple[str, str]:
    return request.matchdict["section"], request.matchdict["slug"]


def _text(body: dict[str, Any], present: Text) -> Text:
    tags = body.get("tags")
    return Text(
        title=body.get("title", present.title),
        summary=body.get("summary", present.summary),
        tags=present.tags if tags is None else tuple(tags),
        body=body.get("body", present.body),
    )


def _told(text: Text) -> dict[str, Any]:
    return {
        "title": text.title,
        "summary": text.summary,
        "tags": list(text.tags),
        "body": text.body,
    }


def _desk(request: Any, section: str, slug: str) -> dict[str, Any]:
    place = knowledge_edits.desk(request.work, section, slug)
    request.response.headers["ETag"] = f'"{place.version}"'
    return {
        **_told(place.text),
        "section": section,
        "slug": slug,
        "published": place.live is not None,
        "draft": place.draft is not None,
        "helped": None,
    }


def _version(found: Any) -> dict[str, Any]:
    return {
        "number": found.number,
        "shipped": found.shipped,
        "title": found.title,
        "note": found.note,
        "actor": found.actor,
        "saved_at": found.saved_at,
        "published_at": found.published_at,
    }

"""Editing the knowledge base: drafts, published versions, and what a release brings anew.

Every text that was ever published stays.  The first edit of a shipped article keeps its shipped
text as version 1, so that there is something to compare with and to go back to.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace

from sqlalchemy import delete, select

from ovcadmin.domain import names
from ovcadmin.errors import Conflict, InvalidInput, NameTaken, NotFound, Outdated
from ovcadmin.models import ArticleOpinion, ArticleVersion, KnowledgeArticle
from ovcadmin.services import audit, knowledge, knowledge_search, markdown
from ovcadmin.services.knowledge import Article, Text
from ovcadmin.work import Work

LONGEST_TITLE = 120
LONGEST_TAG = 40
LONGEST_SUMMARY = 300
LONGEST_BODY = 60_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """An article as its editors see it."""

    section: str
    slug: str
    row: KnowledgeArticle | None
    """None: nobody edited the shipped article yet."""
    shipped: Article | None
    """As this release ships it; None: written here."""

    @property
    def version(self) -> int:
        """Of the row, for the form: two editors cannot overwrite each other."""
        return self.row.version if self.row else 0

    @property
    def draft(self) -> ArticleVersion | None:
        return next((one for one in self.versions if one.published_at is None), None)

    @property
    def versions(self) -> list[ArticleVersion]:
        """Newest first."""
        return list(reversed(self.row.versions)) if self.row else []

    @property
    def live(self) -> Text | None:
        """What readers see."""
        for one in self.versions:
            if self.row and one.number == self.row.live_number:
                return knowledge.text_of(one)
        return self.shipped.text if self.shipped else None

    @property
    def text(self) -> Text:
        """What an editor goes on with: the draft, else what readers see."""
        found = knowledge.text_of(self.draft) if self.draft else self.live
        return found or Text(title=self.slug)

    @property
    def offered(self) -> Text | None:
        """The text of this release, when it is a new one and readers see another."""
        if self.row is None or self.row.live_number is None or self.shipped is None:
            return None
        text = self.shipped.text
        return text if text.digest != self.row.base_digest else None


def desk(work: Work, section: str, slug: str) -> Desk:
    shipped = knowledge.shipped().get((section, slug))
    row = _row(work, section, slug)
    if row is None and shipped is None:
        raise NotFound("There is no such article.")
    return Desk(section=section, slug=slug, row=row, shipped=shipped)


def drafts(work: Work) -> list[tuple[KnowledgeArticle, ArticleVersion]]:
    """Return what was written and is not published yet, the newest first."""
    found = work.db.execute(
        select(KnowledgeArticle, ArticleVersion)
        .join(ArticleVersion, ArticleVersion.article_id == KnowledgeArticle.id)
        .where(ArticleVersion.published_at.is_(None))
        .order_by(ArticleVersion.saved_at.desc())
    )
    return [(row, draft) for row, draft in found]


def offers(work: Work) -> list[Desk]:
    """Return the edited articles of which this release ships a new text."""
    rows = work.db.scalars(
        select(KnowledgeArticle).where(KnowledgeArticle.live_number.is_not(None))
    )
    desks = (desk(work, row.section, row.slug) for row in rows)
    return [one for one in desks if one.offered]


def create(work: Work, section: str, text: Text) -> KnowledgeArticle:
    """Make an article as a draft; its address comes from its title."""
    slug = markdown.slug(text.title)
    if section not in {one.name for one in knowledge.SECTIONS} - {knowledge.ERROR_SECTION}:
        raise InvalidInput("Choose a section.", fields={"section": "Choose one of the list."})
    text = _checked(text)
    if not slug:
        raise InvalidInput(
            "The title makes no address.", fields={"title": "Use letters of a to z in it."}
        )
    if (section, slug) in knowledge.shipped() or _row(work, section, slug):
        raise NameTaken("There is an article of that title in the section.", field="title")
    row = KnowledgeArticle(section=section, slug=slug, created_at=work.now(), version=1)
    work.db.add(row)
    _add(work, row, text)
    work.db.flush()
    _note(work, "create", row, text)
    return row


def save(work: Work, place: Desk, text: Text, *, note: str = "", version: int) -> None:
    """Keep a text as the draft of the article; readers see nothing of it."""
    text = _checked(text)
    row = _take(work, place, version)
    _write_draft(work, row, text, note)
    _note(work, "save", row, text)


def publish(work: Work, place: Desk, text: Text, *, note: str = "", version: int) -> None:
    """Show a text to readers as a new version."""
    text = _checked(text)
    before = place.live
    row = _take(work, place, version)
    draft = _write_draft(work, row, text, note)
    draft.published_at = work.now()
    row.live_number = draft.number
    _published(work, row, text, before)


def restore(work: Work, place: Desk, number: int, *, version: int) -> None:
    """Publish the text of an earlier version once more, as the newest one."""
    found = version_of(place, number)
    note = f"Version {number} again"
    publish(work, place, knowledge.text_of(found), note=note, version=version)


def version_of(place: Desk, number: int) -> ArticleVersion:
    for one in place.versions:
        if one.number == number:
            return one
    raise NotFound("There is no such version.")


def discard(work: Work, place: Desk, *, version: int) -> bool:
    """Throw the draft away; return whether the article is still there without it."""
    draft = place.draft
    row = _take(work, place, version)
    if draft is None:
        raise Conflict("There is no draft.")
    _note(work, "discard", row, knowledge.text_of(draft))
    row.versions.remove(draft)
    if not row.versions:
        work.db.delete(row)
    work.db.flush()
    return bool(row.versions)


def take_shipped(work: Work, place: Desk, *, version: int) -> None:
    """Show the text of this release again; what was edited stays among the versions."""
    before, shipped = place.live, place.shipped
    if shipped is None or place.row is None:
        raise Conflict("The article was not shipped in another text.")
    row = _take(work, place, version)
    _add_shipped(work, row, shipped.text)
    row.live_number, row.base_digest = None, shipped.text.digest
    _published(work, row, shipped.text, before)


def keep_own(work: Work, place: Desk, *, version: int) -> None:
    """Stay with the own text although a release brought another: it is not offered again."""
    if place.shipped is None or place.row is None:
        raise Conflict("The article was not shipped in another text.")
    row = _take(work, place, version)
    _add_shipped(work, row, place.shipped.text)
    row.base_digest = place.shipped.text.digest
    _note(work, "keep", row, place.text)


def remove(work: Work, place: Desk, *, version: int) -> None:
    """Delete an article that was written here, with all its versions."""
    if place.shipped is not None:
        raise Conflict("A shipped article stays. Edit it, or take its shipped text again.")
    row = _take(work, place, version)
    _note(work, "delete", row, place.text)
    work.db.execute(
        delete(ArticleOpinion).where(
            ArticleOpinion.section == row.section, ArticleOpinion.slug == row.slug
        )
    )
    work.db.delete(row)
    work.db.flush()
    knowledge_search.update(work, place.section, place.slug)


def differences(before: Text, after: Text) -> list[tuple[str, str]]:
    """Return the lines of two texts: what happened to each (`same`, `gone`, `new`) and the line."""
    marks = {" ": "same", "-": "gone", "+": "new"}
    lines = difflib.ndiff(_lines(before), _lines(after))
    return [(marks[line[0]], line[2:]) for line in lines if line[0] in marks]


def changed_only(lines: list[tuple[str, str]], around: int = 2) -> list[tuple[str, str]]:
    """Leave out what did not change, but for some lines around each change; `gap` stands for it."""
    near = {
        place + step
        for place, (mark, _) in enumerate(lines)
        if mark != "same"
        for step in range(-around, around + 1)
    }
    kept: list[tuple[str, str]] = []
    for place, line in enumerate(lines):
        if place in near:
            kept.append(line)
        elif not kept or kept[-1][0] != "gap":
            kept.append(("gap", "…"))
    return kept


def _lines(text: Text) -> list[str]:
    head = [f"Title: {text.title}", f"Tags: {', '.join(text.tags)}", f"Summary: {text.summary}"]
    return [*head, "", *text.body.splitlines()]


def _row(work: Work, section: str, slug: str) -> KnowledgeArticle | None:
    found: KnowledgeArticle | None = work.db.scalar(
        select(KnowledgeArticle).where(
            KnowledgeArticle.section == section, KnowledgeArticle.slug == slug
        )
    )
    return found


def _take(work: Work, place: Desk, version: int) -> KnowledgeArticle:
    """Return the row to change, if nobody else changed it since `version`."""
    if version != place.version:
        raise Outdated(
            "Somebody else changed the article meanwhile. Your text is still here: copy it, look "
            "at the article again, and put the two together."
        )
    row = place.row
    if row is None:
        assert place.shipped is not None
        row = KnowledgeArticle(
            section=place.section, slug=place.slug, created_at=work.now(), version=0
        )
        work.db.add(row)
    if place.shipped and row.live_number is None and place.draft is None:
        # The editor began with the shipped text of this release.
        row.base_digest = place.shipped.text.digest
        _add_shipped(work, row, place.shipped.text)
    row.version += 1
    work.db.flush()
    return row


def _add_shipped(work: Work, row: KnowledgeArticle, text: Text) -> None:
    """Keep a shipped text among the versions, once, before the draft if there is one."""
    if any(one.shipped and knowledge.text_of(one).digest == text.digest for one in row.versions):
        return
    draft = next((one for one in row.versions if one.published_at is None), None)
    if draft is not None:
        draft.number += 1
        work.db.flush()
    added = _add(work, row, text, number=draft.number - 1 if draft else None)
    added.shipped, added.actor, added.published_at = True, "release", work.now()
    work.db.flush()


def _add(
    work: Work, row: KnowledgeArticle, text: Text, number: int | None = None
) -> ArticleVersion:
    added = ArticleVersion(
        number=number or max((one.number for one in row.versions), default=0) + 1,
        shipped=False,
        actor=work.actor.name,
        saved_at=work.now(),
        note="",
        title=text.title,
        tags=list(text.tags),
        summary=text.summary,
        body=text.body,
    )
    row.versions.append(added)
    return added


def _write_draft(work: Work, row: KnowledgeArticle, text: Text, note: str) -> ArticleVersion:
    draft = next((one for one in row.versions if one.published_at is None), None)
    if draft is None:
        draft = _add(work, row, text)
    draft.title, draft.tags, draft.summary, draft.body = (
        text.title,
        list(text.tags),
        text.summary,
        text.body,
    )
    draft.note, draft.actor, draft.saved_at = note.strip(), work.actor.name, work.now()
    work.db.flush()
    return draft


def _published(work: Work, row: KnowledgeArticle, text: Text, before: Text | None) -> None:
    work.db.flush()
    knowledge_search.update(work, row.section, row.slug)
    _note(work, "publish", row, text, before)


def _note(
    work: Work, verb: str, row: KnowledgeArticle, text: Text, before: Text | None = None
) -> None:
    audit.record(
        work,
        f"article.{verb}",
        "article",
        row.id,
        f"{row.section}/{row.slug}",
        before=_told(before) if before else None,
        after=_told(text),
    )


def _told(text: Text) -> dict[str, object]:
    return {"title": text.title, "tags": list(text.tags), "digest": text.digest}


def _checked(text: Text) -> Text:
    """Return the text in its normal form; raises `InvalidInput` when it is no article."""
    body = _CONTROL.sub("", text.body.replace("\r\n", "\n")).strip() + "\n"
    text = replace(text, summary=" ".join(_CONTROL.sub("", text.summary).split()), body=body)
    wrong = {}
    try:
        text = replace(text, title=names.clean(text.title, LONGEST_TITLE))
    except ValueError as error:
        wrong["title"] = str(error)
    try:
        text = replace(text, tags=tuple(_tag(tag) for tag in text.tags))
    except ValueError as error:
        wrong["tags"] = str(error)
    if len(text.summary) > LONGEST_SUMMARY:
        wrong["summary"] = f"At most {LONGEST_SUMMARY} characters."
    if not body.strip() or len(body) > LONGEST_BODY:
        wrong["body"] = f"1 to {LONGEST_BODY} characters."
    if wrong:
        raise InvalidInput("The article cannot be saved.", fields=wrong)
    return text


def _tag(text: str) -> str:
    tag = names.clean(text, LONGEST_TAG)
    if set(tag) & set("|,"):
        raise ValueError("A tag holds no comma and no bar.")
    return tag

"""The knowledge base as its readers see it: shipped articles, and above them what was edited here.

A shipped article is a Markdown file of the package.  An edit does not touch the file: it is a row
that is shown instead (knowledge_edits), so a release never overwrites it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import and_, select

from ovcadmin import errors
from ovcadmin.errors import NotFound
from ovcadmin.models import ArticleVersion, KnowledgeArticle
from ovcadmin.services import markdown
from ovcadmin.work import Work

ROOM = Path(__file__).parents[1] / "knowledge"
ERRORS = ROOM / "errors"
LAST = 999


@dataclass(frozen=True, kw_only=True)
class Section:
    name: str
    """Folder of the files and part of the address."""
    title: str
    summary: str


SECTIONS = (
    Section(
        name="tutorials",
        title="Technical Tutorials",
        summary="Step by step: the first machine, access to it, its console.",
    ),
    Section(
        name="administration",
        title="Administration",
        summary="Install, connect and look after the cloud.",
    ),
    Section(
        name="pool-owners",
        title="Pool owners",
        summary="Quota, delegating, requests and reports.",
    ),
    Section(
        name="help-desk",
        title="Help desk",
        summary="Help callers, and keep this knowledge base.",
    ),
    Section(
        name="errors",
        title="Error reference",
        summary="Every error code: what it means and what to do.",
    ),
)
ERROR_SECTION = "errors"
TUTORIAL = "getting-started"
"""Folder of the quick tutorial, which is no section of its own."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """What an article says."""

    title: str
    tags: tuple[str, ...] = ()
    summary: str = ""
    body: str = ""
    """Markdown."""

    @property
    def digest(self) -> str:
        parts = (self.title, ",".join(self.tags), self.summary, self.body)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Article:
    """An article as it is shown."""

    section: str
    slug: str
    text: Text
    order: int = LAST
    local: bool = False
    """Written or edited here, not as it was shipped."""

    @property
    def title(self) -> str:
        return self.text.title

    @property
    def rendered(self) -> markdown.Rendered:
        return markdown.render(self.text.body)

    @property
    def html(self) -> str:
        """Cleaned: no script, no style, no foreign frame."""
        return self.rendered.html

    @property
    def key(self) -> tuple[str, str]:
        return self.section, self.slug

    @property
    def path(self) -> str:
        return address(self.section, self.slug)


def address(section: str, slug: str) -> str:
    """Return the path of an article; those on errors can be read before signing in."""
    if section == TUTORIAL:
        return f"/{TUTORIAL}/{slug}"
    return f"/help/errors/{slug}" if section == ERROR_SECTION else f"/knowledge/{section}/{slug}"


def section(name: str) -> Section:
    for one in SECTIONS:
        if one.name == name:
            return one
    raise NotFound("There is no such section of the knowledge base.")


def error_article(code: str) -> Article | None:
    """Return the shipped article on an error code, None for a code that does not exist.

    It asks no database, so that it can be read when nothing else can.
    """
    return shipped().get((ERROR_SECTION, code)) if code in errors.codes() else None


def find(work: Work, section: str, slug: str) -> Article | None:
    """Return an article as readers see it, None if there is none."""
    return _local(work, section, slug).get((section, slug)) or shipped().get((section, slug))


def get(work: Work, section: str, slug: str) -> Article:
    found = find(work, section, slug)
    if found is None:
        raise NotFound("There is no such article.")
    return found


def every(work: Work) -> list[Article]:
    """Return all articles that readers see, with their texts."""
    return list({**shipped(), **_local(work)}.values())


@cache
def shipped() -> dict[tuple[str, str], Article]:
    """Return the articles of the package by section and name."""
    return {article.key: article for article in _files()}


@cache
def tutorial() -> tuple[Article, ...]:
    """Return the parts of Getting Started in their order."""
    return tuple(sorted(_folder(TUTORIAL), key=lambda part: part.order))


def part(slug: str) -> Article | None:
    """Return a part of Getting Started."""
    return next((one for one in tutorial() if one.slug == slug), None)


def read(source: str) -> tuple[Text, int]:
    """Read a file: its text and its place in the section.

    `---`, lines of `name: value` (title, tags, summary, order), `---`, body; or `# Title` and the
    body, as articles on errors are written.
    """
    if not source.startswith("---\n"):
        first, _, body = source.partition("\n")
        return Text(title=first.lstrip("# ").strip(), body=body.strip() + "\n"), LAST
    head, _, body = source.removeprefix("---\n").partition("\n---\n")
    told = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in head.splitlines())
    }
    text = Text(
        title=told["title"],
        tags=tags(told.get("tags", "")),
        summary=told.get("summary", ""),
        body=body.strip() + "\n",
    )
    return text, int(told.get("order", LAST))


def tags(words: str) -> tuple[str, ...]:
    """Read tags as people write them: `linux, first steps`."""
    found = (" ".join(part.casefold().split()) for part in words.split(","))
    return tuple(dict.fromkeys(tag for tag in found if tag))


def _files() -> Iterator[Article]:
    for one in SECTIONS:
        yield from _folder(one.name)


def _folder(name: str) -> Iterator[Article]:
    for path in sorted((ROOM / name).glob("*.md")):
        text, order = read(path.read_text(encoding="utf-8"))
        if name == ERROR_SECTION:
            text = Text(title=text.title, tags=("error",), body=text.body)
        yield Article(section=name, slug=path.stem, text=text, order=order)


def _local(work: Work, section: str = "", slug: str = "") -> dict[tuple[str, str], Article]:
    """Return what was written or edited here and is published: all, or the one that is named."""
    statement = _live(select(KnowledgeArticle, ArticleVersion))
    if slug:
        statement = statement.where(
            KnowledgeArticle.section == section, KnowledgeArticle.slug == slug
        )
    return {
        (row.section, row.slug): Article(
            section=row.section,
            slug=row.slug,
            text=text_of(version),
            order=order(row.section, row.slug),
            local=True,
        )
        for row, version in work.db.execute(statement)
    }


def _live(statement: Any) -> Any:
    """Join articles with the version that readers see."""
    return statement.join(
        ArticleVersion,
        and_(
            ArticleVersion.article_id == KnowledgeArticle.id,
            ArticleVersion.number == KnowledgeArticle.live_number,
        ),
    )


def text_of(version: ArticleVersion) -> Text:
    return Text(
        title=version.title, tags=tuple(version.tags), summary=version.summary, body=version.body
    )


def order(section: str, slug: str) -> int:
    """Return the place of a shipped article: an edit does not move it."""
    found = shipped().get((section, slug))
    return found.order if found else LAST

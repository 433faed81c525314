"""The list of all articles, page by page: one row each, kept by the search (knowledge_search).

The library may hold thousands, so nothing here reads all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, func, select, tuple_

from ovcadmin.models import ArticleText
from ovcadmin.services import knowledge
from ovcadmin.services.knowledge import Article, Section
from ovcadmin.work import Work

FIRST = 6
"""Articles of a section that the overview names."""
PAGE = 100
_PLACE = (ArticleText.place, ArticleText.title_key, ArticleText.slug)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An article as lists name it: without its text, of which there may be much."""

    section: str
    slug: str
    title: str
    summary: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.section, self.slug

    @property
    def path(self) -> str:
        return knowledge.address(self.section, self.slug)


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A section with one page of its articles, in their order."""

    section: Section
    articles: list[Entry] = field(default_factory=list)
    total: int = 0

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))


def overview(work: Work) -> list[Shelf]:
    """Return every section with its first articles."""
    return [_shelf(work, one, most=FIRST) for one in knowledge.SECTIONS]


def shelf(work: Work, section: Section, page: int = 1) -> Shelf:
    """Return one page of a section."""
    return _shelf(work, section, most=PAGE, page=page)


def tagged(work: Work, tag: str) -> list[Shelf]:
    """Return the sections that have articles with the tag, with those."""
    fits = ArticleText.labels.contains(f"|{tag}|", autoescape=True)
    found = [_shelf(work, one, fits, most=PAGE) for one in knowledge.SECTIONS]
    return [one for one in found if one.total]


def listing(
    work: Work, *, section: str = "", tag: str = "", skip: int = 0, most: int = PAGE
) -> list[Entry]:
    """Return the next titles of all sections or one, for readers that want all of them."""
    rows = _rows().order_by(ArticleText.section, *_PLACE).limit(most).offset(skip)
    if section:
        rows = rows.where(ArticleText.section == section)
    if tag:
        rows = rows.where(ArticleText.labels.contains(f"|{tag}|", autoescape=True))
    return _entries(work, rows)


def named(work: Work, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Entry]:
    """Return those of the articles that are there."""
    if not keys:
        return {}
    key = tuple_(ArticleText.section, ArticleText.slug)
    return {one.key: one for one in _entries(work, _rows().where(key.in_(keys)))}


def neighbours(work: Work, article: Article) -> tuple[Entry | None, Entry | None]:
    """Return the articles before and after one in its section."""
    here = work.db.execute(
        select(*_PLACE).where(
            ArticleText.section == article.section, ArticleText.slug == article.slug
        )
    ).first()
    if here is None:
        return None, None
    rows = _rows().where(ArticleText.section == article.section).limit(1)
    place = tuple_(*_PLACE)
    before = rows.where(place < tuple(here)).order_by(*(column.desc() for column in _PLACE))
    after = rows.where(place > tuple(here)).order_by(*_PLACE)
    return _first(work, before), _first(work, after)


def _shelf(work: Work, section: Section, *conditions: Any, most: int, page: int = 1) -> Shelf:
    wanted = (ArticleText.section == section.name, *conditions)
    total = work.db.scalar(select(func.count(ArticleText.id)).where(*wanted)) or 0
    rows = _rows().where(*wanted).order_by(*_PLACE).limit(most).offset((page - 1) * most)
    return Shelf(section=section, articles=_entries(work, rows), total=total)


def _rows() -> Select[str, str, str, str]:
    return select(ArticleText.section, ArticleText.slug, ArticleText.title, ArticleText.summary)


def _entries(work: Work, statement: Select[str, str, str, str]) -> list[Entry]:
    return [
        Entry(section=section, slug=slug, title=title, summary=summary)
        for section, slug, title, summary in work.db.execute(statement)
    ]


def _first(work: Work, statement: Select[str, str, str, str]) -> Entry | None:
    found = _entries(work, statement)
    return found[0] if found else None

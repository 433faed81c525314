"""Search over the knowledge base: one index, made by FTS5 on SQLite and tsvector on PostgreSQL.

An article that holds all words stands before those that hold some; within, words in the title
count most, then tags, summary, body.  Words are reduced to their stems; where few articles have
the last one, it may be the beginning of a longer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape
from sqlalchemy import bindparam, select, text

from ovcadmin.models import ArticleText
from ovcadmin.models.database import dialect_of
from ovcadmin.services import knowledge
from ovcadmin.services.knowledge import Article
from ovcadmin.work import Work

FOUND = 30
ENOUGH = 10
"""So many articles with all words: those with some of them are not looked for."""
AT_ONCE = 50
"""So many articles are written to the index in one go."""
MOST_WORDS = 12
SHORTEST_BEGINNING = 3
"""A last word of so many letters may be unfinished."""
BEGIN, END = "\x02", "\x03"
"""Around each found word, as they come from the database; no text can hold them."""
_FOUND = re.compile(f"{BEGIN}[^{END}]*{END}")
_SMALL = (
    "a an and are as at be by can do does for from get how i if in is it my of on or that the this "
    "to what when where which who why will with you your"
)
STOP = frozenset(_SMALL.split())
"""Words that say nothing of what is looked for."""

SQLITE = """
SELECT article_text.id, article_text.section, article_text.slug, article_text.summary,
       highlight(fts_article, 0, :begin, :end) AS marked
FROM fts_article JOIN article_text ON article_text.id = fts_article.rowid
WHERE fts_article MATCH :query AND rank MATCH 'bm25(12.0, 8.0, 4.0, 1.0)'
ORDER BY rank LIMIT :most
"""
"""Ordered by `rank` alone: then FTS5 sorts by itself and marks what it returns only."""
SQLITE_EXCERPTS = """
SELECT rowid AS id, snippet(fts_article, 3, :begin, :end, '…', 28) AS excerpt
FROM fts_article WHERE fts_article MATCH :query AND rowid IN :ids
"""
POSTGRESQL = """
SELECT id, section, slug, summary, ts_headline('english', title, query, :whole) AS marked
FROM article_text, to_tsquery('english', :query) AS query
WHERE fts_words @@ query
ORDER BY ts_rank('{0.05, 0.3, 0.6, 1.0}', fts_words, query, 1) DESC, id LIMIT :most
"""
POSTGRESQL_EXCERPTS = """
SELECT id, ts_headline('english', body, to_tsquery('english', :query), :fragment) AS excerpt
FROM article_text WHERE id IN :ids
"""
"""Excerpts are cut of what is shown only: each takes the whole text of an article."""
_MARKS = f"StartSel={BEGIN}, StopSel={END}"


@dataclass(frozen=True, kw_only=True)
class Hit:
    """An article that was found; the words that were looked for are marked."""

    section: str
    slug: str
    title: Markup
    excerpt: Markup

    @property
    def path(self) -> str:
        return knowledge.address(self.section, self.slug)

    @property
    def section_title(self) -> str:
        return knowledge.section(self.section).title


def search(work: Work, typed: str, most: int = FOUND) -> list[Hit]:
    """Return what fits best first; nothing for a question without words."""
    words = _words(typed)
    if not words:
        return []
    found: dict[int, Any] = {}
    named, query = typed.strip().casefold(), ""
    for every, whole in _passes(words):
        query = _query(work, words, every=every, whole=whole)
        for row in sorted(_ask(work, query, most), key=_title_first):
            found.setdefault(row.id, row)
        if len(found) >= ENOUGH:
            break
    # An error code, pasted: its article first, whatever else speaks of it.
    rows = sorted(found.values(), key=lambda row: row.slug != named)[:most]
    excerpts = _excerpts(work, query, [row.id for row in rows])
    return [_hit(row, excerpts.get(row.id, "")) for row in rows]


def _passes(words: list[str]) -> list[tuple[bool, bool]]:
    """Return how to ask, the best first: for all words or some; the last one whole or not.

    Whole words come first, so that `log` finds logs before what is logical.
    """
    unfinished = len(words[-1]) >= SHORTEST_BEGINNING
    passes = [(True, True)] + [(True, False)] * unfinished
    return passes + [(False, not unfinished)] * (len(words) > 1)


def refresh(work: Work) -> int:
    """Bring the index in line with what readers see; return how many articles it changed.

    They are written as they are rendered, some at a time: PostgreSQL ends a transaction that
    says nothing for `STALLED` seconds, and thousands of articles take longer.
    """
    changed = 0
    for changed, _ in enumerate(_changes(work), 1):
        if changed % AT_ONCE == 0:
            work.db.flush()
    work.db.flush()
    return changed


def _changes(work: Work) -> Iterator[ArticleText]:
    """Change the rows that are not in line, and yield each."""
    wanted = {article.key: article for article in knowledge.every(work)}
    for row in work.db.scalars(select(ArticleText)).all():
        article = wanted.pop((row.section, row.slug), None)
        if article is None:
            work.db.delete(row)
            yield row
        elif row.digest != article.text.digest:
            yield _fill(row, article)
    for article in wanted.values():
        row = _fill(ArticleText(section=article.section, slug=article.slug), article)
        work.db.add(row)
        yield row


def update(work: Work, section: str, slug: str) -> None:
    """Bring the index in line with one article that was changed."""
    article = knowledge.find(work, section, slug)
    row = work.db.scalar(
        select(ArticleText).where(ArticleText.section == section, ArticleText.slug == slug)
    )
    if article is not None:
        work.db.add(_fill(row or ArticleText(section=section, slug=slug), article))
    elif row is not None:
        work.db.delete(row)
    work.db.flush()


def _fill(row: ArticleText, article: Article) -> ArticleText:
    row.digest = article.text.digest
    row.title = article.title
    # Its name is found too: for an article on an error that is the code.
    row.tags = ", ".join([*article.text.tags, re.sub(r"[._-]", " ", article.slug)])
    row.summary = article.text.summary
    row.body = article.rendered.words
    row.place = knowledge.order(article.section, article.slug)
    row.title_key = article.title.casefold()
    row.labels = "".join(f"|{tag}" for tag in article.text.tags) + "|"
    row.ticks = len(article.rendered.ticks)
    row.links = [link for link in article.rendered.links if link.startswith(("/", "#"))]
    return row


def _words(typed: str) -> list[str]:
    """Return the words of a question; the small ones only when there are no others."""
    every = re.findall(r"[^\W_]+", typed.casefold()[:200])[:MOST_WORDS]
    return [word for word in every if word not in STOP] or every


def _query(work: Work, words: list[str], *, every: bool, whole: bool) -> str:
    """Return the question in the language of the database: for all words, or for some."""
    if dialect_of(work.db) == "sqlite":
        quoted = [f'"{word}"' for word in words]
        return (" AND " if every else " OR ").join(quoted) + ("" if whole else "*")
    quoted = [f"'{word}'" for word in words]
    return (" & " if every else " | ").join(quoted) + ("" if whole else ":*")


def _ask(work: Work, query: str, most: int) -> Any:
    if dialect_of(work.db) == "sqlite":
        values = {"query": query, "begin": BEGIN, "end": END, "most": most}
        return work.db.execute(text(SQLITE), values)
    values = {"query": query, "whole": f"{_MARKS}, HighlightAll=true", "most": most}
    return work.db.execute(text(POSTGRESQL), values)


def _excerpts(work: Work, query: str, ids: list[int]) -> dict[int, str]:
    """Return of each article the part that fits the question best; none for those without."""
    if dialect_of(work.db) == "sqlite":
        statement, values = SQLITE_EXCERPTS, {"begin": BEGIN, "end": END}
    else:
        fragment = f"{_MARKS}, MaxFragments=1, MaxWords=30, MinWords=12"
        statement, values = POSTGRESQL_EXCERPTS, {"fragment": fragment}
    asked = text(statement).bindparams(bindparam("ids", expanding=True))
    found = work.db.execute(asked, {**values, "query": query, "ids": ids})
    return {row.id: row.excerpt for row in found if BEGIN in row.excerpt}


def _title_first(row: Any) -> tuple[int, bool, bool]:
    """Order by the words found in the title: how many, whether they are all of it, or begin it.

    The databases weigh a title, but each by a measure of its own; sorting keeps their order
    within.
    """
    small = len("the ")
    rest = re.search(r"\w", _FOUND.sub("", row.marked)) is not None
    return -row.marked.count(BEGIN), rest, BEGIN not in row.marked[: small + 1]


def _hit(row: Any, excerpt: str) -> Hit:
    return Hit(
        section=row.section,
        slug=row.slug,
        title=_marked(row.marked),
        excerpt=_marked(excerpt or row.summary),
    )


def _marked(found: str) -> Markup:
    """Return the text as HTML, its marks as `<mark>`."""
    safe = str(escape(found)).replace(BEGIN, "<mark>").replace(END, "</mark>")
    return Markup(safe)  # noqa: S704 - escaped above

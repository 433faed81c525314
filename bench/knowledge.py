"""The knowledge base with 5,000 articles: search, article page, on SQLite and PostgreSQL.

Articles are written of the words of the shipped ones, so that words are as frequent as they are
in real texts; questions are of one to four of these words.

Beside each figure stands what could be had without: the same words looked for by LIKE in the same
table, and a plain file served by the same process.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import insert, or_, select

from bench._report import percentile, report, timed
from ovcadmin.models import ArticleText, ArticleVersion, KnowledgeArticle, utcnow
from ovcadmin.services import knowledge, knowledge_search
from ovcadmin.work import Work
from tests import rig
from tests.functional.world import World

ARTICLES, WORDS, ASKED, LIKE_ASKED = 5_000, 400, 200, 60
SEARCH_MS, PAGE_MS = 50.0, 50.0


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        _measure("sqlite", f"sqlite:///{directory}/knowledge.db", Path(directory))
        with rig.postgres() as server:
            _measure("postgresql", server.new_database(), Path(directory))


def _measure(kind: str, url: str, directory: Path) -> None:
    world = World(url, directory)
    dice = random.Random(7)
    words = " ".join(one.rendered.words for one in knowledge.shipped().values()).split()
    _fill(world, dice, words)
    with world.work() as work:
        made = timed(lambda: knowledge_search.refresh(work))
    report(f"index of {ARTICLES} articles, {kind}", made, "s")
    questions = [" ".join(dice.sample(words, dice.randint(1, 4))) for _ in range(ASKED)]
    with world.work() as work:
        asked = [partial(knowledge_search.search, work, question) for question in questions]
        like = _p95([partial(_by_like, work, question) for question in questions[:LIKE_ASKED]])
        report(f"search p95, {kind}", _p95(asked), "ms", aim=SEARCH_MS, peer=like)
    reader = world.signed_in(world.user("rita", "Monitor"))
    paths = [f"/knowledge/tutorials/a{dice.randint(1, ARTICLES)}" for _ in range(ASKED)]
    style = f"{_static(reader.get('/knowledge').text)}/css/widgets.css"
    file = _p95([partial(reader.get, style)] * ASKED)
    pages = _p95([partial(reader.get, path) for path in paths])
    report(f"article page p95, {kind}", pages, "ms", aim=PAGE_MS, peer=file)
    lists = [partial(reader.get, path) for path in ("/knowledge", "/knowledge/tutorials") * 50]
    report(f"overview and section p95, {kind}", _p95(lists), "ms", aim=PAGE_MS, peer=file)
    found = [partial(reader.get, "/knowledge", {"q": question}) for question in questions]
    report(f"search page p95, {kind}", _p95(found), "ms", aim=PAGE_MS, peer=file)
    world.close()


def _by_like(work: Work, question: str) -> list[ArticleText]:
    """Find the articles that hold every word, in no order and without their stems."""
    has = [
        or_(ArticleText.title.icontains(word), ArticleText.body.icontains(word))
        for word in question.split()
    ]
    return list(work.db.scalars(select(ArticleText).where(*has).limit(knowledge_search.FOUND)))


def _p95(calls: list[Callable[[], object]]) -> float:
    """Return milliseconds."""
    return percentile([timed(call) * 1000 for call in calls], 95)


def _static(page: str) -> str:
    """Return the path of static files as a page names it, with the version in it."""
    return "/static/" + page.partition("/static/")[2].partition("/")[0]


def _fill(world: World, dice: random.Random, words: list[str]) -> None:
    numbers = range(1, ARTICLES + 1)
    articles = [
        {
            "id": number,
            "section": "tutorials",
            "slug": f"a{number}",
            "live_number": 1,
        }
        for number in numbers
    ]
    texts = [
        {
            "article_id": number,
            "number": 1,
            "title": " ".join(dice.sample(words, 4)),
            "tags": dice.sample(words, 2),
            "summary": " ".join(dice.sample(words, 12)),
            "body": " ".join(dice.choices(words, k=WORDS)),
            "actor": "bench",
            "published_at": utcnow(),
        }
        for number in numbers
    ]
    with world.database.write.begin() as connection:
        connection.execute(insert(KnowledgeArticle), articles)
        connection.execute(insert(ArticleVersion), texts)


if __name__ == "__main__":
    main()

"""Whether articles helped, and which links in them lead nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, func, select, tuple_, update

from ovcadmin.models import ArticleOpinion, ArticleRead, ArticleText
from ovcadmin.services import knowledge
from ovcadmin.services.knowledge import Article
from ovcadmin.work import Work

HEADING = "#"
MOST_READ = 10


@dataclass(frozen=True, kw_only=True)
class Tally:
    helped: int
    not_helped: int


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link of an article into the console itself."""

    article: tuple[str, str]
    """Section and name of the article that holds it."""
    target: str

    @property
    def place(self) -> str:
        """What it leads to, said so that no article is needed to know it."""
        section, slug = self.article
        return f"{section}/{slug}{self.target}" if self.target[0] == HEADING else self.target


def give(work: Work, article: Article, *, helped: bool) -> None:
    """Write down whether the article helped the reader; he may change his mind."""
    user_id = work.actor.user_id
    assert user_id is not None, "only who is signed in is asked"
    found = work.db.get(ArticleOpinion, (article.section, article.slug, user_id))
    if found is None:
        found = ArticleOpinion(section=article.section, slug=article.slug, user_id=user_id)
        work.db.add(found)
    found.helped, found.at = helped, work.now()
    work.db.flush()


def own(work: Work, article: Article) -> bool | None:
    """Return what the reader said of the article, None if nothing."""
    key = (article.section, article.slug, work.actor.user_id)
    found = work.db.get(ArticleOpinion, key) if work.actor.user_id else None
    return found.helped if found else None


def tallies(work: Work) -> dict[tuple[str, str], Tally]:
    """Return the opinions of all articles that have any."""
    helped = func.sum(case((ArticleOpinion.helped.is_(True), 1), else_=0))
    statement = select(ArticleOpinion.section, ArticleOpinion.slug, helped, func.count()).group_by(
        ArticleOpinion.section, ArticleOpinion.slug
    )
    return {
        (section, slug): Tally(helped=int(yes), not_helped=total - int(yes))
        for section, slug, yes, total in work.db.execute(statement)
    }


def count_read(work: Work, article: Article) -> None:
    """Count that somebody read the article."""
    key = (article.section, article.slug, f"{work.now():%Y-%m}")
    changed = work.db.execute(
        update(ArticleRead)
        .where(tuple_(ArticleRead.section, ArticleRead.slug, ArticleRead.month) == key)
        .values(count=ArticleRead.count + 1)
        .execution_options(synchronize_session=False)
    )
    if changed.rowcount == 0:  # type: ignore[attr-defined]
        section, slug, month = key
        work.db.add(ArticleRead(section=section, slug=slug, month=month, count=1))
        work.db.flush()


def most_read(work: Work) -> list[tuple[tuple[str, str], int]]:
    """Return the articles that were read most, in this month and the one before."""
    now = work.now()
    months = (f"{now:%Y-%m}", f"{now.replace(day=1) - timedelta(days=1):%Y-%m}")
    total = func.sum(ArticleRead.count)
    statement = (
        select(ArticleRead.section, ArticleRead.slug, total)
        .where(ArticleRead.month.in_(months))
        .group_by(ArticleRead.section, ArticleRead.slug)
        .order_by(total.desc(), ArticleRead.section, ArticleRead.slug)
        .limit(MOST_READ)
    )
    return [((section, slug), int(count)) for section, slug, count in work.db.execute(statement)]


def own_links(work: Work) -> list[Link]:
    """Return the links of all articles that stay within the console, each once in an article.

    They are noted when an article is published, so that no text is read for them.
    """
    rows = work.db.execute(
        select(ArticleText.section, ArticleText.slug, ArticleText.links).order_by(ArticleText.id)
    )
    return [
        Link(article=(section, slug), target=target)
        for section, slug, links in rows
        for target in dict.fromkeys(links)
    ]


def leads_to_article(work: Work, link: Link) -> bool:
    """Tell whether the article, and the heading in it that the link may name, is there."""
    path, _, heading = link.target.partition(HEADING)
    section, slug = link.article
    if path:
        section, _, slug = path.removeprefix("/knowledge/").partition("/")
        if path.startswith("/help/errors/"):
            section, slug = knowledge.ERROR_SECTION, path.removeprefix("/help/errors/")
    article = knowledge.find(work, section, slug)
    if article is None:
        return False
    return not heading or heading in {one.id for one in article.rendered.contents}

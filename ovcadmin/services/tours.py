"""Guided tutorials: articles with marks that are set when their reader has done what they say.

A tour begins with a button and follows what its reader does from then on; it is about the first
machine that he makes in it, so that the marks of one machine are not set by another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from ovcadmin.models import ArticleText, Audit, Machine, Operation, OperationState, Tour
from ovcadmin.services import catalogue, knowledge
from ovcadmin.services.catalogue import Entry
from ovcadmin.services.knowledge import Article
from ovcadmin.services.steps import Tick
from ovcadmin.work import Work

MOST = 50
SETTLED = ("done", "accepted")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far somebody is in a tutorial."""

    begun_at: datetime | None
    machine: Machine | None
    """That he made in it, deleted or not."""
    done: tuple[bool, ...]
    """For each mark of the text."""

    @property
    def count(self) -> int:
        return sum(self.done)

    @property
    def next(self) -> int:
        """The mark that comes next; as many as there are when all are set."""
        return next((at for at, one in enumerate(self.done) if not one), len(self.done))


def listing(work: Work) -> list[tuple[Entry, Standing]]:
    """Return every article with marks, and how far the reader is in each."""
    wanted = select(ArticleText.section, ArticleText.slug).where(ArticleText.ticks > 0)
    ordered = wanted.order_by(ArticleText.section.desc(), ArticleText.place, ArticleText.slug)
    keys = [(section, slug) for section, slug in work.db.execute(ordered.limit(MOST))]
    there = catalogue.named(work, keys)
    return [
        (there[section, slug], standing(work, knowledge.get(work, section, slug)))
        for section, slug in keys
    ]


def begin(work: Work, article: Article) -> None:
    """Begin a tutorial, or begin it anew."""
    user_id = work.actor.user_id
    assert user_id is not None, "people follow tutorials"
    row = _row(work, article)
    if row is None:
        row = Tour(user_id=user_id, slug=_slug(article))
        work.db.add(row)
    row.begun_at = work.now()
    work.db.flush()


def standing(work: Work, article: Article) -> Standing:
    """Look which marks are set; before it was begun, none."""
    ticks = article.rendered.ticks
    row = _row(work, article)
    if row is None:
        return Standing(begun_at=None, machine=None, done=(False,) * len(ticks))
    machine = _machine(work, row)
    counted = {"done": _done(work, row, machine), "did": _did(work, row)}
    return Standing(
        begun_at=row.begun_at,
        machine=machine,
        done=tuple(counted[tick.kind][tick.what] >= tick.times for tick in ticks),
    )


def fill(article: Article, mark: Callable[[int, Tick], str]) -> str:
    """Return the article's HTML with `mark` in the place of each of its marks."""
    html = article.rendered.marked
    for at, tick in enumerate(article.rendered.ticks):
        html = html.replace(f"\ue000{at}\ue001", mark(at, tick))
    return html


def _machine(work: Work, row: Tour) -> Machine | None:
    statement = (
        select(Machine)
        .where(Machine.owner_id == row.user_id, Machine.created_at >= row.begun_at)
        .order_by(Machine.id)
        .limit(1)
    )
    return work.db.scalar(statement)


def _done(work: Work, row: Tour, machine: Machine | None) -> Counter[str]:
    """Count the operations that the reader asked for and that are done, by type."""
    statement = select(Operation.type, func.count(Operation.id)).where(
        Operation.user_id == row.user_id,
        Operation.state == OperationState.DONE.value,
        Operation.created_at >= row.begun_at,
    )
    if machine is not None:
        statement = statement.where(
            Operation.machine_id.is_(None) | (Operation.machine_id == machine.id)
        )
    return Counter(dict(work.db.execute(statement.group_by(Operation.type)).all()))


def _did(work: Work, row: Tour) -> Counter[str]:
    """Count what the audit log tells of the reader, by action."""
    statement = (
        select(Audit.action, func.count(Audit.id))
        .where(Audit.user_id == row.user_id, Audit.at >= row.begun_at, Audit.outcome.in_(SETTLED))
        .group_by(Audit.action)
    )
    return Counter(dict(work.db.execute(statement).all()))


def _row(work: Work, article: Article) -> Tour | None:
    return work.db.scalar(
        select(Tour).where(Tour.user_id == work.actor.user_id, Tour.slug == _slug(article))
    )


def _slug(article: Article) -> str:
    return f"{article.section}/{article.slug}"

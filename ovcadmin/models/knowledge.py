"""What was written into the knowledge base here, and the index of all that can be read in it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DDL, CheckConstraint, ForeignKey, Index, UniqueConstraint, event
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow


class KnowledgeArticle(Numbered, Base):
    """An article that was edited or written here; a shipped one nobody touched has no row."""

    __tablename__ = "article"

    section: Mapped[str]
    slug: Mapped[str]
    """With the section: its address, and the name of its file if it was shipped."""
    live_number: Mapped[int | None]
    """The version that readers see; None: the shipped file, or nothing yet."""
    base_digest: Mapped[str] = mapped_column(default="")
    """Of the shipped text that the editors last looked at; another one is offered to them."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    version: Mapped[int] = mapped_column(default=0)

    versions: Mapped[list[ArticleVersion]] = relationship(
        cascade="all, delete-orphan", order_by="ArticleVersion.number", back_populates="article"
    )

    __table_args__ = (UniqueConstraint("section", "slug"),)


class ArticleVersion(Numbered, Base):
    """One text of an article.  A draft is one that is not published yet; there is at most one."""

    __tablename__ = "article_version"

    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    number: Mapped[int]
    shipped: Mapped[bool] = mapped_column(default=False)
    """The text of the package, kept so that edits can be compared with it."""
    title: Mapped[str]
    tags: Mapped[list[str]]
    summary: Mapped[str]
    body: Mapped[str]
    note: Mapped[str] = mapped_column(default="")
    """What was changed, in the words of who did it."""
    actor: Mapped[str]
    """His name at that time."""
    saved_at: Mapped[datetime] = mapped_column(default=utcnow)
    published_at: Mapped[datetime | None]

    article: Mapped[KnowledgeArticle] = relationship(back_populates="versions")

    __table_args__ = (UniqueConstraint("article_id", "number"),)


class ArticleOpinion(Base):
    """Whether an article helped somebody; his last word counts."""

    __tablename__ = "article_opinion"

    section: Mapped[str] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(
        ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True
    )
    helped: Mapped[bool]
    at: Mapped[datetime] = mapped_column(default=utcnow)


class ArticleRead(Base):
    """How often an article was read in a month."""

    __tablename__ = "article_read"

    section: Mapped[str] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)
    """`2026-11`."""
    count: Mapped[int] = mapped_column(default=0)


class ArticleImage(Numbered, Base):
    """A picture that articles show; its address is its content's digest, so it never changes."""

    __tablename__ = "article_image"

    digest: Mapped[str] = mapped_column(unique=True)
    """SHA-256 of the content."""
    kind: Mapped[str]
    """`png`, `jpg`, `gif` or `webp`, by the content and not by what its sender said."""
    width: Mapped[int]
    height: Mapped[int]
    content: Mapped[bytes]
    name: Mapped[str]
    """As its file was called."""
    actor: Mapped[str]
    added_at: Mapped[datetime] = mapped_column(default=utcnow)


class Tour(Numbered, Base):
    """Somebody follows a guided tutorial; its ticks count from the beginning on."""

    __tablename__ = "tour"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    slug: Mapped[str]
    begun_at: Mapped[datetime] = mapped_column(default=utcnow)

    __table_args__ = (UniqueConstraint("user_id", "slug"),)


class ArticleText(Numbered, Base):
    """An article as lists name it and the search finds it: one row for each that readers see.

    The index over it is the database's own (`INDEX`): its parts are named `fts_...` and stand
    beside these declarations, because no two databases make it alike.
    """

    __tablename__ = "article_text"

    section: Mapped[str]
    slug: Mapped[str]
    digest: Mapped[str]
    title: Mapped[str]
    tags: Mapped[str]
    summary: Mapped[str]
    body: Mapped[str]
    place: Mapped[int] = mapped_column(default=0)
    """In its section; of one place, by title."""
    title_key: Mapped[str] = mapped_column(default="")
    labels: Mapped[str] = mapped_column(default="")
    """Its tags as readers see them, `|linux|first steps|`."""
    ticks: Mapped[int] = mapped_column(default=0)
    """How many marks it has that set themselves; with one it is a guided tutorial."""
    links: Mapped[list[str]] = mapped_column(default=list)
    """What it links to within the console."""

    __table_args__ = (
        UniqueConstraint("section", "slug"),
        CheckConstraint("length(digest) = 64", name="digest_is_sha256"),
        Index("ix_article_text_place", "section", "place", "title_key", "slug"),
    )


OWN_INDEX = "fts_"
_FIELDS = "title, tags, summary, body"
_OLD = "old.title, old.tags, old.summary, old.body"
_NEW = "new.title, new.tags, new.summary, new.body"
_FORGET = (
    f"INSERT INTO fts_article(fts_article, rowid, {_FIELDS}) VALUES ('delete', old.id, {_OLD})"  # noqa: S608 - constants
)
_LEARN = f"INSERT INTO fts_article(rowid, {_FIELDS}) VALUES (new.id, {_NEW})"  # noqa: S608
_WEIGHED = " || ".join(
    f"setweight(to_tsvector('english', {name}), '{weight}')"
    for name, weight in (("title", "A"), ("tags", "B"), ("summary", "C"), ("body", "D"))
)
_TABLE = (
    f"CREATE VIRTUAL TABLE fts_article USING fts5({_FIELDS}, content='article_text', "
    "content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')"
)
_COLUMN = (
    "ALTER TABLE article_text ADD COLUMN fts_words tsvector "
    f"GENERATED ALWAYS AS ({_WEIGHED}) STORED"
)
_TRIGGER = "CREATE TRIGGER fts_article_{} AFTER {} ON article_text BEGIN {}; END"
INDEX = {
    "sqlite": (
        _TABLE,
        _TRIGGER.format("added", "INSERT", _LEARN),
        _TRIGGER.format("gone", "DELETE", _FORGET),
        _TRIGGER.format("changed", "UPDATE", f"{_FORGET}; {_LEARN}"),
    ),
    "postgresql": (
        _COLUMN,
        # Ranking reads the words of every article that is found: beside the row, not away from it,
        # that takes a third of the time.
        "ALTER TABLE article_text ALTER COLUMN fts_words SET STORAGE MAIN",
        "CREATE INDEX fts_article_words ON article_text USING gin (fts_words)",
    ),
}
"""What makes the index of the search, by kind of database."""

for _dialect, _statements in INDEX.items():
    for _statement in _statements:
        event.listen(
            ArticleText.__table__,
            "after_create",
            DDL(_statement.replace("%", "%%")).execute_if(dialect=_dialect),  # type: ignore[no-untyped-call]
        )

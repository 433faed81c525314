"""Knowledge base: versions of articles, opinions, and the index of the search.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FIELDS = "title, tags, summary, body"
OLD = "old.title, old.tags, old.summary, old.body"
NEW = "new.title, new.tags, new.summary, new.body"
FORGET = f"INSERT INTO fts_article(fts_article, rowid, {FIELDS}) VALUES ('delete', old.id, {OLD})"  # noqa: S608 - constants
LEARN = f"INSERT INTO fts_article(rowid, {FIELDS}) VALUES (new.id, {NEW})"  # noqa: S608
TABLE = (
    f"CREATE VIRTUAL TABLE fts_article USING fts5({FIELDS}, content='article_text', "
    "content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')"
)
TRIGGER = "CREATE TRIGGER fts_article_{} AFTER {} ON article_text BEGIN {}; END"
WEIGHED = " || ".join(
    f"setweight(to_tsvector('english', {name}), '{weight}')"
    for name, weight in (("title", "A"), ("tags", "B"), ("summary", "C"), ("body", "D"))
)


def upgrade() -> None:
    _articles()
    _index()


def _articles() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "article",
        sa.Column("section", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("live_number", sa.BigInteger(), nullable=True),
        sa.Column("base_digest", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article")),
        sa.UniqueConstraint("section", "slug", name=op.f("uq_article_section_slug")),
    )
    op.create_table(
        "article_version",
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("shipped", sa.Boolean(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("saved_at", moment, nullable=False),
        sa.Column("published_at", moment, nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_article_version_article_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article_version")),
        sa.UniqueConstraint(
            "article_id", "number", name=op.f("uq_article_version_article_id_number")
        ),
    )
    op.create_table(
        "article_opinion",
        sa.Column("section", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("helped", sa.Boolean(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_article_opinion_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("section", "slug", "user_id", name=op.f("pk_article_opinion")),
    )


def _index() -> None:
    op.create_table(
        "article_text",
        sa.Column("section", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("tags", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article_text")),
        sa.UniqueConstraint("section", "slug", name=op.f("uq_article_text_section_slug")),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_article_text_digest_is_sha256")),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(TABLE)
        op.execute(TRIGGER.format("added", "INSERT", LEARN))
        op.execute(TRIGGER.format("gone", "DELETE", FORGET))
        op.execute(TRIGGER.format("changed", "UPDATE", f"{FORGET}; {LEARN}"))
        return
    column = f"fts_words tsvector GENERATED ALWAYS AS ({WEIGHED}) STORED"
    op.execute(f"ALTER TABLE article_text ADD COLUMN {column}")
    op.execute("CREATE INDEX fts_article_words ON article_text USING gin (fts_words)")

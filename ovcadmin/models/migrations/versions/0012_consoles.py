"""Terminal sessions, graphical consoles and recordings.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _tickets()
    _sessions()
    with op.batch_alter_table("token") as table:
        table.add_column(sa.Column("session_id", sa.Integer(), nullable=True))
        table.create_foreign_key(op.f("fk_token_session_id"), "session", ["session_id"], ["id"])


def _references(table: str, *names: tuple[str, str]) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([name], [f"{of}.id"], name=op.f(f"fk_{table}_{name}"))
        for name, of in names
    ]


HELD = (
    ("user_id", "user_account"), ("session_id", "session"), ("token_id", "token"),
    ("machine_id", "machine"),
)  # fmt: skip


def _tickets() -> None:
    """Tickets live for a minute: those of before are not kept."""
    op.drop_table("console_ticket")
    op.create_table(
        "console_ticket",
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("machine_id", sa.Integer(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        *_references("console_ticket", *HELD),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_ticket")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_console_ticket_key_hash")),
    )


def _sessions() -> None:
    op.create_table(
        "console_session",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("machine_id", sa.Integer(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("own_token_id", sa.Integer(), nullable=True),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("left_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("end_reason", sa.String(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        *_references("console_session", *HELD, ("own_token_id", "token")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_session")),
    )
    op.create_index(
        op.f("ix_console_session_user_id_ended_at"), "console_session", ["user_id", "ended_at"]
    )

"""Recordings of consoles, who wants them, and who watches whom.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "console_policy",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("records", sa.Boolean(), nullable=False),
        sa.Column("keys", sa.Boolean(), nullable=False),
        sa.Column("keep_days", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "keep_days BETWEEN 1 AND 3650", name=op.f("ck_console_policy_keep_days_known")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_console_policy_pool_id")),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_console_policy")),
    )
    _recordings()
    for column in (
        sa.Column("watches_id", sa.BigInteger(), nullable=True),
        sa.Column("wants", sa.String(), nullable=False, server_default=""),
        sa.Column("granted", sa.String(), nullable=False, server_default=""),
    ):
        op.add_column("console_session", column)


def _recordings() -> None:
    references = (
        ("pool_id", "pool"), ("machine_id", "machine"), ("host_id", "host"),
        ("user_id", "user_account"),
    )  # fmt: skip
    op.create_table(
        "recording",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("machine_id", sa.Integer(), nullable=True),
        sa.Column("host_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("keys", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("console_id", sa.BigInteger(), nullable=False),
        sa.Column("columns", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("cut", sa.Boolean(), nullable=False),
        sa.Column("shared_at", MOMENT, nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(machine_id IS NULL) <> (host_id IS NULL)", name=op.f("ck_recording_machine_or_host")
        ),
        *(
            sa.ForeignKeyConstraint([name], [f"{table}.id"], name=op.f(f"fk_recording_{name}"))
            for name, table in references
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording")),
    )
    for name in ("pool_id", "machine_id", "host_id", "console_id", "expires_at"):
        op.create_index(op.f(f"ix_recording_{name}"), "recording", [name])
    op.create_table(
        "recording_part",
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recording.id"], name=op.f("fk_recording_part_recording_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recording_id", "number", name=op.f("pk_recording_part")),
    )  # fmt: skip

"""The life of machines: bin, snapshots, profiles, leases, guarantees.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "profile",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("size_name", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=True),
        sa.Column("start", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_profile_image_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_profile_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profile")),
        sa.UniqueConstraint("pool_id", "name_key", name=op.f("uq_profile_pool_id_name_key")),
    )
    op.create_index(op.f("ix_profile_image_id"), "profile", ["image_id"], unique=False)
    op.create_index(op.f("ix_profile_pool_id"), "profile", ["pool_id"], unique=False)
    op.create_table(
        "snapshot",
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("running", sa.Boolean(), nullable=False),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_snapshot_machine_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_snapshot_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot")),
    )
    op.create_index(op.f("ix_snapshot_machine_id"), "snapshot", ["machine_id"], unique=False)
    op.create_table(
        "snapshot_schedule",
        sa.Column("machine_id", sa.Integer(), nullable=True),
        sa.Column("pool_id", sa.Integer(), nullable=True),
        sa.Column("times", sa.String(), nullable=False),
        sa.Column("keep", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(machine_id IS NULL) <> (pool_id IS NULL)",
            name=op.f("ck_snapshot_schedule_machine_or_pool"),
        ),
        sa.CheckConstraint("keep BETWEEN 0 AND 1000", name=op.f("ck_snapshot_schedule_keep_known")),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_snapshot_schedule_machine_id")
        ),
        sa.ForeignKeyConstraint(
            ["pool_id"], ["pool.id"], name=op.f("fk_snapshot_schedule_pool_id")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_snapshot_schedule_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot_schedule")),
        sa.UniqueConstraint("machine_id", name=op.f("uq_snapshot_schedule_machine_id")),
        sa.UniqueConstraint("pool_id", name=op.f("uq_snapshot_schedule_pool_id")),
    )
    op.create_index("ix_snapshot_schedule_next_at", "snapshot_schedule", ["next_at"], unique=False)
    op.create_table(
        "snapshot_part",
        sa.Column("snapshot_id", sa.Integer(), nullable=False),
        sa.Column("volume_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["snapshot.id"],
            name=op.f("fk_snapshot_part_snapshot_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["volume_id"],
            ["volume.id"],
            name=op.f("fk_snapshot_part_volume_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("snapshot_id", "volume_id", name=op.f("pk_snapshot_part")),
    )
    op.add_column(
        "machine",
        sa.Column("snapshot_storage", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column(
        "machine", sa.Column("locked", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("machine", sa.Column("binned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("machine", sa.Column("purge_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("machine", sa.Column("shutdown_seconds", sa.BigInteger(), nullable=True))
    op.add_column(
        "machine",
        sa.Column("keep_running", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "machine", sa.Column("wanted", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column(
        "machine", sa.Column("restarts", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column("machine", sa.Column("restarted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("machine", sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("machine", sa.Column("run_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "machine", sa.Column("run_end", sa.String(), server_default="shutdown", nullable=False)
    )
    op.add_column("machine", sa.Column("keep_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("machine", sa.Column("warned_until", sa.DateTime(timezone=True), nullable=True))
    kept = sa.text("deleted_at IS NULL AND binned_at IS NULL")
    op.drop_index("uq_machine_pool_id_name_key", table_name="machine")
    op.create_index(
        "uq_machine_pool_id_name_key",
        "machine",
        ["pool_id", "name_key"],
        unique=True,
        sqlite_where=kept,
        postgresql_where=kept,
    )

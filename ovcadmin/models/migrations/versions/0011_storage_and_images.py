"""Storage pools of every kind, volumes of nobody's yet, and the image library.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
KEPT = "deleted_at IS NULL"


def upgrade() -> None:
    _images()
    _storage_pools()
    _volumes()
    _reservations()
    _uploads()
    _usage()


def _images() -> None:
    with op.batch_alter_table("image") as table:
        table.add_column(sa.Column("kind", sa.String(), server_default="disk", nullable=False))
        table.add_column(sa.Column("deleted_at", MOMENT, nullable=True))
        table.drop_constraint(table.f("uq_image_name_key"), type_="unique")
        table.create_check_constraint(
            table.f("ck_image_kind_known"), "kind IN ('disk', 'iso', 'network')"
        )
    op.create_index(
        "uq_image_name_key",
        "image",
        ["name_key"],
        unique=True,
        sqlite_where=sa.text(KEPT),
        postgresql_where=sa.text(KEPT),
    )


def _storage_pools() -> None:
    for column in (
        sa.Column("source", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("sealed_secret", sa.String(), nullable=True),
        sa.Column("trouble", sa.String(), server_default="", nullable=False),
        sa.Column("trouble_at", MOMENT, nullable=True),
    ):
        op.add_column("storage_pool", column)


def _volumes() -> None:
    with op.batch_alter_table("volume") as table:
        for name in ("found", "offered"):
            table.add_column(
                sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)
            )
        for name in ("address", "use"):
            table.add_column(sa.Column(name, sa.String(), server_default="", nullable=False))
        table.add_column(sa.Column("allocated", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("missing_at", MOMENT, nullable=True))
        table.add_column(sa.Column("pool_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("operation_id", sa.Integer(), nullable=True))
        table.create_foreign_key(table.f("fk_volume_pool_id"), "pool", ["pool_id"], ["id"])
        table.create_foreign_key(
            table.f("fk_volume_operation_id"), "operation", ["operation_id"], ["id"]
        )
    op.create_index(op.f("ix_volume_pool_id"), "volume", ["pool_id"], unique=False)


def _reservations() -> None:
    with op.batch_alter_table("reservation") as table:
        table.alter_column("machine_id", existing_type=sa.INTEGER(), nullable=True)
        table.add_column(sa.Column("volume_id", sa.Integer(), nullable=True))
        table.create_foreign_key(
            table.f("fk_reservation_volume_id"), "volume", ["volume_id"], ["id"]
        )
        table.create_check_constraint(
            table.f("ck_reservation_machine_or_volume"),
            "(machine_id IS NULL) <> (volume_id IS NULL)",
        )
    op.create_index(op.f("ix_reservation_volume_id"), "reservation", ["volume_id"], unique=False)


def _uploads() -> None:
    op.create_table(
        "image_upload",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("os_type", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("moved_at", MOMENT, nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "received >= 0 AND received <= size", name=op.f("ck_image_upload_amounts")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_image_upload_user_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_image_upload_pool_id")),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_image_upload_operation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_upload")),
        sa.UniqueConstraint("file", name=op.f("uq_image_upload_file")),
    )
    op.create_index(op.f("ix_image_upload_pool_id"), "image_upload", ["pool_id"], unique=False)
    op.create_index(op.f("ix_image_upload_user_id"), "image_upload", ["user_id"], unique=False)


def _usage() -> None:
    op.create_table(
        "storage_usage",
        sa.Column("storage_pool_id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["storage_pool_id"],
            ["storage_pool.id"],
            name=op.f("fk_storage_usage_storage_pool_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("storage_pool_id", "at", name=op.f("pk_storage_usage")),
    )
    op.create_table(
        "volume_usage",
        sa.Column("volume_id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("allocated", sa.BigInteger(), nullable=False),
        sa.Column("read_bytes", sa.BigInteger(), nullable=True),
        sa.Column("written_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["volume_id"],
            ["volume.id"],
            name=op.f("fk_volume_usage_volume_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("volume_id", "at", name=op.f("pk_volume_usage")),
    )

"""OpenvStorage clusters, vPools and their storage routers.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _clusters()
    _routers()
    with op.batch_alter_table("storage_pool") as table:
        table.add_column(sa.Column("cluster_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("declared", sa.BigInteger(), server_default="0", nullable=False))
        table.create_foreign_key(
            table.f("fk_storage_pool_cluster_id"), "storage_cluster", ["cluster_id"], ["id"]
        )
    op.create_index(
        op.f("ix_storage_pool_cluster_id"), "storage_pool", ["cluster_id"], unique=False
    )
    op.add_column(
        "image", sa.Column("converted_from", sa.String(), server_default="", nullable=False)
    )


def _clusters() -> None:
    op.create_table(
        "storage_cluster",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("sealed_secret", sa.String(), nullable=False),
        sa.Column("authority", sa.String(), nullable=False),
        sa.Column("fingerprints", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_since", MOMENT, nullable=False),
        sa.Column("state_reason", sa.String(), nullable=False),
        sa.Column("look_at", MOMENT, nullable=False),
        sa.Column("observed_at", MOMENT, nullable=True),
        sa.Column("seen", sa.JSON(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('new', 'up', 'down')", name=op.f("ck_storage_cluster_state_known")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_storage_cluster_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_cluster")),
        sa.UniqueConstraint("name", name=op.f("uq_storage_cluster_name")),
    )
    op.create_index(op.f("ix_storage_cluster_pool_id"), "storage_cluster", ["pool_id"])


def _routers() -> None:
    op.create_table(
        "storage_router",
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("ip", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=True),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["storage_cluster.id"], name=op.f("fk_storage_router_cluster_id")
        ),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_storage_router_host_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_router")),
        sa.UniqueConstraint("cluster_id", "guid", name=op.f("uq_storage_router_cluster_id_guid")),
    )
    op.create_index(op.f("ix_storage_router_host_id"), "storage_router", ["host_id"])

"""Rates that the running machines of a pool share.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0029"
branch_labels = None
depends_on = None

LEAST = {"cpu": 1, "byte_rate": 1024, "iops": 1, "receive": 1024, "send": 1024}


MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "pool_rates",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in LEAST),
        *(
            sa.CheckConstraint(f"{name} >= {least}", name=op.f(f"ck_pool_rates_{name}_least"))
            for name, least in LEAST.items()
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_pool_rates_pool_id")),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_pool_rates")),
    )
    op.create_table(
        "machine_rates",
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("due", sa.JSON(), nullable=False),
        sa.Column("waiting", sa.Boolean(), nullable=False),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.Column("told_host_id", sa.Integer(), nullable=True),
        sa.Column("tried_at", MOMENT, nullable=True),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_machine_rates_machine_id")
        ),
        sa.ForeignKeyConstraint(
            ["told_host_id"], ["host.id"], name=op.f("fk_machine_rates_told_host_id")
        ),
        sa.PrimaryKeyConstraint("machine_id", name=op.f("pk_machine_rates")),
    )
    op.create_index(
        "ix_machine_rates_waiting",
        "machine_rates",
        ["machine_id"],
        sqlite_where=sa.text("waiting"),
        postgresql_where=sa.text("waiting"),
    )

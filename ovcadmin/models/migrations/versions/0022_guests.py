"""What guests are told at their first boot, what their agents say, and leases by pool.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for table in ("machine", "profile"):
        op.add_column(table, sa.Column("cloud_init", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "guest",
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"], name=op.f("fk_guest_machine_id")),
        sa.PrimaryKeyConstraint("machine_id", name=op.f("pk_guest")),
    )
    op.create_table(
        "lease_default",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("run_hours", sa.BigInteger(), nullable=True),
        sa.Column("run_end", sa.String(), nullable=False),
        sa.Column("keep_days", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("run_hours > 0", name=op.f("ck_lease_default_run_positive")),
        sa.CheckConstraint("keep_days > 0", name=op.f("ck_lease_default_keep_positive")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_lease_default_pool_id")),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_lease_default")),
    )

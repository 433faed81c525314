"""Host groups and leased watches of hosts, what processes tell of themselves, measurements.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0014"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "host", sa.Column("worker_group", sa.String(), nullable=False, server_default="main")
    )
    for name, kind, value in (("groups", sa.JSON(), "[]"), ("trouble", sa.String(), "")):
        op.add_column("process", sa.Column(name, kind, nullable=False, server_default=value))
    op.create_table(
        "host_watch",
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_host_watch_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_host_watch")),
    )
    op.create_index(op.f("ix_host_watch_worker"), "host_watch", ["worker"])
    op.create_table(
        "measurement",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.Integer(), nullable=False),
        sa.Column("grain", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        *(
            sa.Column(name, sa.Double(), nullable=False)
            for name in ("cpu", "received", "sent", "read", "written")
        ),
        sa.PrimaryKeyConstraint("kind", "object_id", "grain", "at", name=op.f("pk_measurement")),
    )
    op.create_index("ix_measurement_grain_at", "measurement", ["grain", "at"])

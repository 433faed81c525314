"""Counters of what each pool's subtree uses, added up from the reservations.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0019"
branch_labels = None
depends_on = None

NAMES = ("vcpus", "memory", "nics", "machines", "redundancy", "storage")


def upgrade() -> None:
    columns = [*NAMES, *(f"pending_{name}" for name in NAMES)]
    op.create_table(
        "pool_use",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in columns),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_pool_use_pool_id")),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_pool_use")),
        postgresql_with={"fillfactor": 30},
    )
    sums = [
        f"SUM(CASE WHEN reservation.operation_id IS {word} NULL THEN {name} ELSE 0 END)"
        for word in ("", "NOT")
        for name in NAMES
    ]
    op.execute(
        f"INSERT INTO pool_use (pool_id, {', '.join(columns)}) "  # noqa: S608 - constants
        f"SELECT lineage.ancestor_id, {', '.join(sums)} "
        "FROM reservation JOIN lineage ON lineage.pool_id = reservation.pool_id "
        "GROUP BY lineage.ancestor_id"
    )

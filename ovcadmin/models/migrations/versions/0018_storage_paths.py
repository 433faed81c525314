"""Storage: kinds that a host can, paths to a target, layers below a storage pool.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "host", sa.Column("storage_kinds", sa.JSON(), server_default="[]", nullable=False)
    )
    for name in ("paths", "layers"):
        op.add_column(
            "storage_pool", sa.Column(name, sa.JSON(), server_default="[]", nullable=False)
        )
    op.add_column("storage_pool", sa.Column("layers_at", sa.DateTime(timezone=True), nullable=True))

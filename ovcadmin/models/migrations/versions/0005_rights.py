"""The audit log is read by pool.

Upwards only: the way back is the backup that was made before.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_audit_pool_id", "audit", ["pool_id"])

"""What programs need: rate limits, versions of rows.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("realm", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_audit_actor_at", "audit", ["actor", "at"])

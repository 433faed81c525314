"""What domains consist of that the console did not make, and the definitions of adopted machines.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("machine", sa.Column("definition", sa.Text(), nullable=False, server_default=""))
    op.add_column("unmanaged_domain", sa.Column("facts", sa.JSON(), nullable=True))
    op.add_column(
        "unmanaged_domain", sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True)
    )

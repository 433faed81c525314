"""Realms.

Upwards only: the way back is the backup that was made before.
"""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass

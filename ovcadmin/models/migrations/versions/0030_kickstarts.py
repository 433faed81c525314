"""Kickstarts: an installation ISO with the answers that its installer is given.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("image") as table:
        table.add_column(sa.Column("installer_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("answers", sa.String(), server_default="", nullable=False))
        table.create_foreign_key(
            table.f("fk_image_installer_id"), "image", ["installer_id"], ["id"]
        )
        table.drop_constraint(table.f("ck_image_kind_known"), type_="check")
        table.create_check_constraint(
            table.f("ck_image_kind_known"), "kind IN ('disk', 'iso', 'network', 'kickstart')"
        )

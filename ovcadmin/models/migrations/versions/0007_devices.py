"""Devices of machines: drives, CD-ROMs, cards, limits, what is pending.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "medium",
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_medium_image_id")),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"], name=op.f("fk_medium_machine_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_medium")),
        sa.UniqueConstraint("machine_id", "target", name=op.f("uq_medium_machine_id_target")),
    )
    op.create_index(op.f("ix_medium_image_id"), "medium", ["image_id"], unique=False)
    for column in (
        sa.Column("os_type", sa.String(), server_default="linux", nullable=False),
        sa.Column("boot", sa.String(), server_default="disk,cdrom", nullable=False),
        sa.Column("cpu_limit", sa.BigInteger(), nullable=True),
        sa.Column("pending", sa.JSON(), server_default="{}", nullable=False),
    ):
        op.add_column("machine", column)
    for column in (
        sa.Column("swap", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("bytes_limit", sa.BigInteger(), nullable=True),
        sa.Column("iops_limit", sa.BigInteger(), nullable=True),
    ):
        op.add_column("volume", column)
    for name in ("receive_limit", "send_limit"):
        op.add_column("nic", sa.Column(name, sa.BigInteger(), nullable=True))

"""Notes on storage, images and people; addresses that guests were seen with.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NOTED = "kind IN ('machine', 'pool', 'host', 'storage_pool', 'image', 'user')"


def upgrade() -> None:
    with op.batch_alter_table("note") as table:
        table.drop_constraint(table.f("ck_note_kind_known"), type_="check")
        table.create_check_constraint(table.f("ck_note_kind_known"), NOTED)
    op.create_table(
        "guest_address",
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_guest_address_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guest_address")),
        sa.UniqueConstraint("mac", "address", name=op.f("uq_guest_address_mac_address")),
    )
    op.create_index(op.f("ix_guest_address_address"), "guest_address", ["address"])

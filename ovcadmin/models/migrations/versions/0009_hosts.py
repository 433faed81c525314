"""Hosts: capacity, maintenance, retirement, measured load; migrations;
groups that keep machines together or apart; adopted machines.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("host") as batch_op:
        for column in (
            sa.Column("description", sa.String(), server_default="", nullable=False),
            sa.Column("cpu_ratio", sa.Double(), server_default="16", nullable=False),
            sa.Column("memory_ratio", sa.Double(), server_default="1", nullable=False),
            sa.Column("memory_reserve", sa.BigInteger(), server_default="0", nullable=False),
            sa.Column("migration_uri", sa.String(), server_default="", nullable=False),
            sa.Column("maintenance", sa.String(), server_default="", nullable=False),
            sa.Column("maintenance_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
            sa.Column("networks", sa.JSON(), server_default="[]", nullable=False),
            sa.Column("measured_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("load", sa.Double(), server_default="0", nullable=False),
            sa.Column("load_trend", sa.Double(), server_default="0", nullable=False),
            sa.Column("memory_used", sa.BigInteger(), server_default="0", nullable=False),
        ):
            batch_op.add_column(column)
        batch_op.create_check_constraint(
            op.f("ck_host_maintenance_known"), "maintenance IN ('', 'evacuate', 'stop')"
        )
        batch_op.create_check_constraint(
            op.f("ck_host_rooms"), "cpu_ratio > 0 AND memory_ratio > 0 AND memory_reserve >= 0"
        )
    with op.batch_alter_table("unmanaged_domain") as batch_op:
        batch_op.add_column(sa.Column("machine_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_unmanaged_domain_machine_id"), "machine", ["machine_id"], ["id"]
        )
    with op.batch_alter_table("machine") as batch_op:
        batch_op.alter_column("image_id", existing_type=sa.INTEGER(), nullable=True)
    with op.batch_alter_table("operation") as batch_op:
        batch_op.add_column(sa.Column("target_host_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_operation_target_host_id"), "host", ["target_host_id"], ["id"]
        )
    with op.batch_alter_table("logical_group") as batch_op:
        batch_op.add_column(sa.Column("placement", sa.String(), server_default="", nullable=False))
        batch_op.create_check_constraint(
            op.f("ck_logical_group_placement_known"), "placement IN ('', 'together', 'apart')"
        )

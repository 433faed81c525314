"""In which pool each event of a machine's life was, and an index of what machines that run take.

A machine that changes its pool leaves there what it used.  Placement adds up what runs, host by
host.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0026"
branch_labels = None
depends_on = None

RUNNING = sa.text("kind = 'running'")


def upgrade() -> None:
    op.create_index(
        "ix_reservation_running",
        "reservation",
        ["machine_id", "vcpus", "memory"],
        sqlite_where=RUNNING,
        postgresql_where=RUNNING,
    )
    op.add_column("machine_event", sa.Column("pool_id", sa.Integer(), nullable=True))
    # Where machines were before they were moved is in the audit log alone.
    op.execute(
        "UPDATE machine_event SET pool_id = "
        "(SELECT pool_id FROM machine WHERE machine.id = machine_event.machine_id)"
    )
    with op.batch_alter_table("machine_event") as table:
        table.alter_column("pool_id", existing_type=sa.Integer(), nullable=False)
        table.create_foreign_key("fk_machine_event_pool_id", "pool", ["pool_id"], ["id"])
    op.create_index("ix_machine_event_pool_id", "machine_event", ["pool_id"])

"""First tables.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "change",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column("pool_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_change")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pool",
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["pool.id"], name=op.f("fk_pool_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool")),
    )
    op.create_index(op.f("ix_pool_parent_id"), "pool", ["parent_id"], unique=False)
    op.create_index("uq_pool_parent_id_name_key", "pool", ["parent_id", "name_key"], unique=True)
    op.create_index(
        "uq_pool_root",
        "pool",
        [sa.literal_column("(parent_id IS NULL)")],
        unique=True,
        sqlite_where=sa.text("parent_id IS NULL"),
        postgresql_where=sa.text("parent_id IS NULL"),
    )

    op.create_table(
        "process",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process")),
        sa.UniqueConstraint("name", name=op.f("uq_process_name")),
    )
    op.create_table(
        "realm",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_realm")),
        sa.UniqueConstraint("name", name=op.f("uq_realm_name")),
    )
    op.create_table(
        "role",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("shipped", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("name", name=op.f("uq_role_name")),
    )
    op.create_table(
        "sign_in_failure",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_failure")),
    )
    op.create_index(
        "ix_sign_in_failure_account_at", "sign_in_failure", ["account", "at"], unique=False
    )
    op.create_index(
        "ix_sign_in_failure_address_at", "sign_in_failure", ["address", "at"], unique=False
    )

    op.create_table(
        "host",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("virt_type_setting", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_reason", sa.String(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hostname", sa.String(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("arch", sa.String(), nullable=False),
        sa.Column("cpu_model", sa.String(), nullable=False),
        sa.Column("cpus", sa.BigInteger(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("libvirt_version", sa.String(), nullable=False),
        sa.Column("qemu_version", sa.String(), nullable=False),
        sa.Column("virt_type", sa.String(), nullable=False),
        sa.Column("virt_note", sa.String(), nullable=False),
        sa.Column("session", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('new', 'up', 'unresponsive')", name=op.f("ck_host_state_known")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_host_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host")),
        sa.UniqueConstraint("name", name=op.f("uq_host_name")),
        sa.UniqueConstraint("uri", name=op.f("uq_host_uri")),
    )
    op.create_index(op.f("ix_host_pool_id"), "host", ["pool_id"], unique=False)

    op.create_table(
        "image",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("os_type", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_image_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
        sa.UniqueConstraint("name_key", name=op.f("uq_image_name_key")),
    )
    op.create_index(op.f("ix_image_pool_id"), "image", ["pool_id"], unique=False)

    op.create_table(
        "lineage",
        sa.Column("ancestor_id", sa.Integer(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("distance", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["ancestor_id"], ["pool.id"], name=op.f("fk_lineage_ancestor_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_lineage_pool_id")),
        sa.PrimaryKeyConstraint("ancestor_id", "pool_id", name=op.f("pk_lineage")),
    )
    op.create_index(op.f("ix_lineage_pool_id"), "lineage", ["pool_id"], unique=False)

    op.create_table(
        "quota",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=True),
        sa.Column("memory", sa.BigInteger(), nullable=True),
        sa.Column("nics", sa.BigInteger(), nullable=True),
        sa.Column("machines", sa.BigInteger(), nullable=True),
        sa.Column("redundancy", sa.BigInteger(), nullable=True),
        sa.Column("storage", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("machines >= 0", name=op.f("ck_quota_machines_not_negative")),
        sa.CheckConstraint("memory >= 0", name=op.f("ck_quota_memory_not_negative")),
        sa.CheckConstraint("nics >= 0", name=op.f("ck_quota_nics_not_negative")),
        sa.CheckConstraint("redundancy >= 0", name=op.f("ck_quota_redundancy_not_negative")),
        sa.CheckConstraint("storage >= 0", name=op.f("ck_quota_storage_not_negative")),
        sa.CheckConstraint("vcpus >= 0", name=op.f("ck_quota_vcpus_not_negative")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_quota_pool_id")),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_quota")),
    )
    op.create_table(
        "role_privilege",
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.Column("privilege", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_role_privilege_role_id")),
        sa.PrimaryKeyConstraint("role_id", "privilege", name=op.f("pk_role_privilege")),
    )
    op.create_table(
        "storage_pool",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("driver", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_storage_pool_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_pool")),
        sa.UniqueConstraint("name", name=op.f("uq_storage_pool_name")),
    )
    op.create_index(op.f("ix_storage_pool_pool_id"), "storage_pool", ["pool_id"], unique=False)

    op.create_table(
        "user_account",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["realm_id"], ["realm.id"], name=op.f("fk_user_account_realm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("realm_id", "name_key", name=op.f("uq_user_account_realm_id_name_key")),
    )
    op.create_table(
        "grant_row",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_grant_row_pool_id")),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_grant_row_role_id")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_grant_row_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant_row")),
        sa.UniqueConstraint(
            "user_id", "pool_id", "role_id", name=op.f("uq_grant_row_user_id_pool_id_role_id")
        ),
    )
    op.create_index(op.f("ix_grant_row_pool_id"), "grant_row", ["pool_id"], unique=False)

    op.create_table(
        "host_storage_pool",
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("storage_pool_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_host_storage_pool_host_id")
        ),
        sa.ForeignKeyConstraint(
            ["storage_pool_id"],
            ["storage_pool.id"],
            name=op.f("fk_host_storage_pool_storage_pool_id"),
        ),
        sa.PrimaryKeyConstraint("host_id", "storage_pool_id", name=op.f("pk_host_storage_pool")),
    )
    op.create_table(
        "machine",
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=True),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("size_name", sa.String(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("storage", sa.BigInteger(), nullable=False),
        sa.Column("nic_count", sa.BigInteger(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("power", sa.String(), nullable=False),
        sa.Column("power_source", sa.String(), nullable=False),
        sa.Column("power_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tail_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "vcpus > 0 AND memory > 0 AND storage >= 0", name=op.f("ck_machine_amounts")
        ),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_machine_host_id")),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_machine_image_id")),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["user_account.id"], name=op.f("fk_machine_owner_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_machine_pool_id")),
        sa.ForeignKeyConstraint(
            ["tail_id"], ["operation.id"], name=op.f("fk_machine_tail_id"), use_alter=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine")),
        sa.UniqueConstraint("uuid", name=op.f("uq_machine_uuid")),
    )
    op.create_index(op.f("ix_machine_host_id"), "machine", ["host_id"], unique=False)
    op.create_index(op.f("ix_machine_image_id"), "machine", ["image_id"], unique=False)
    op.create_index(op.f("ix_machine_owner_id"), "machine", ["owner_id"], unique=False)
    op.create_index(
        "uq_machine_pool_id_name_key",
        "machine",
        ["pool_id", "name_key"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )

    op.create_table(
        "session",
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("csrf_token", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_session_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_session_key_hash")),
    )
    op.create_index(op.f("ix_session_user_id"), "session", ["user_id"], unique=False)

    op.create_table(
        "token",
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_token_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_token_key_hash")),
    )
    op.create_index(op.f("ix_token_user_id"), "token", ["user_id"], unique=False)

    op.create_table(
        "unmanaged_domain",
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("power", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_unmanaged_domain_host_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unmanaged_domain")),
        sa.UniqueConstraint("host_id", "uuid", name=op.f("uq_unmanaged_domain_host_id_uuid")),
    )
    op.create_table(
        "console_ticket",
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_console_ticket_machine_id")
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name=op.f("fk_console_ticket_session_id")
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["token.id"], name=op.f("fk_console_ticket_token_id")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_console_ticket_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_ticket")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_console_ticket_key_hash")),
    )
    op.create_table(
        "nic",
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"], name=op.f("fk_nic_machine_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nic")),
        sa.UniqueConstraint("mac", name=op.f("uq_nic_mac")),
    )
    op.create_index(op.f("ix_nic_machine_id"), "nic", ["machine_id"], unique=False)

    op.create_table(
        "operation",
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("machine_id", sa.Integer(), nullable=True),
        sa.Column("host_id", sa.Integer(), nullable=True),
        sa.Column("image_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("door", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("after_id", sa.Integer(), nullable=True),
        sa.Column("lock", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("cancel_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_user_id", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(), nullable=False),
        sa.Column("error_text", sa.String(), nullable=False),
        sa.Column("error_context", sa.JSON(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_operation_state_known"),
        ),
        sa.CheckConstraint(
            "progress BETWEEN 0 AND 100", name=op.f("ck_operation_progress_percent")
        ),
        sa.ForeignKeyConstraint(["after_id"], ["operation.id"], name=op.f("fk_operation_after_id")),
        sa.ForeignKeyConstraint(
            ["cancel_user_id"], ["user_account.id"], name=op.f("fk_operation_cancel_user_id")
        ),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_operation_host_id")),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_operation_image_id")),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_operation_machine_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_operation_pool_id")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_operation_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
    )
    op.create_index(op.f("ix_operation_host_id"), "operation", ["host_id"], unique=False)
    op.create_index(op.f("ix_operation_machine_id"), "operation", ["machine_id"], unique=False)
    op.create_index(
        "ix_operation_open",
        "operation",
        ["state", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "ix_operation_open_lock",
        "operation",
        ["lock", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index("ix_operation_pool_id_id", "operation", ["pool_id", "id"], unique=False)
    op.create_index(
        "uq_operation_running_lock",
        "operation",
        ["lock"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )

    op.create_table(
        "volume",
        sa.Column("storage_pool_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=True),
        sa.Column("machine_id", sa.Integer(), nullable=True),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "image_id IS NULL OR machine_id IS NULL", name=op.f("ck_volume_one_purpose")
        ),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_volume_image_id")),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"], name=op.f("fk_volume_machine_id")),
        sa.ForeignKeyConstraint(
            ["storage_pool_id"], ["storage_pool.id"], name=op.f("fk_volume_storage_pool_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volume")),
        sa.UniqueConstraint(
            "storage_pool_id", "image_id", name=op.f("uq_volume_storage_pool_id_image_id")
        ),
        sa.UniqueConstraint("storage_pool_id", "key", name=op.f("uq_volume_storage_pool_id_key")),
        sa.UniqueConstraint("storage_pool_id", "name", name=op.f("uq_volume_storage_pool_id_name")),
    )
    op.create_index(op.f("ix_volume_image_id"), "volume", ["image_id"], unique=False)
    op.create_index(op.f("ix_volume_machine_id"), "volume", ["machine_id"], unique=False)

    op.create_table(
        "audit",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("door", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=True),
        sa.Column("object_name", sa.String(), nullable=False),
        sa.Column("pool_id", sa.BigInteger(), nullable=True),
        sa.Column("operation_id", sa.Integer(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_audit_operation_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_audit_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_object", "audit", ["object_kind", "object_id"], unique=False)
    op.create_index(op.f("ix_audit_user_id"), "audit", ["user_id"], unique=False)

    op.create_table(
        "idempotency_key",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_idempotency_key_operation_id")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_idempotency_key_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_key")),
    )
    op.create_index(
        "uq_idempotency_key_user_id_key", "idempotency_key", ["user_id", "key"], unique=True
    )

    op.create_table(
        "machine_event",
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("running", sa.Boolean(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("storage", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_machine_event_machine_id")
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_machine_event_operation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_machine_event")),
    )
    op.create_index(
        "ix_machine_event_machine_id_at", "machine_event", ["machine_id", "at"], unique=False
    )

    op.create_table(
        "operation_log",
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_operation_log_operation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation_log")),
    )
    op.create_index(
        op.f("ix_operation_log_operation_id"), "operation_log", ["operation_id"], unique=False
    )

    op.create_table(
        "operation_step",
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("memo", sa.JSON(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_operation_step_operation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation_step")),
        sa.UniqueConstraint(
            "operation_id", "position", name=op.f("uq_operation_step_operation_id_position")
        ),
    )
    op.create_table(
        "reservation",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("machine_id", sa.Integer(), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("nics", sa.BigInteger(), nullable=False),
        sa.Column("machines", sa.BigInteger(), nullable=False),
        sa.Column("redundancy", sa.BigInteger(), nullable=False),
        sa.Column("storage", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('running', 'storage')", name=op.f("ck_reservation_kind_known")
        ),
        sa.CheckConstraint("machines >= 0", name=op.f("ck_reservation_machines_not_negative")),
        sa.CheckConstraint("memory >= 0", name=op.f("ck_reservation_memory_not_negative")),
        sa.CheckConstraint("nics >= 0", name=op.f("ck_reservation_nics_not_negative")),
        sa.CheckConstraint("redundancy >= 0", name=op.f("ck_reservation_redundancy_not_negative")),
        sa.CheckConstraint("storage >= 0", name=op.f("ck_reservation_storage_not_negative")),
        sa.CheckConstraint("vcpus >= 0", name=op.f("ck_reservation_vcpus_not_negative")),
        sa.ForeignKeyConstraint(
            ["machine_id"], ["machine.id"], name=op.f("fk_reservation_machine_id")
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_reservation_operation_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_reservation_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservation")),
    )
    op.create_index(op.f("ix_reservation_machine_id"), "reservation", ["machine_id"], unique=False)
    op.create_index(
        op.f("ix_reservation_operation_id"), "reservation", ["operation_id"], unique=False
    )
    op.create_index(op.f("ix_reservation_pool_id"), "reservation", ["pool_id"], unique=False)
    op.create_index(
        "uq_reservation_held_running",
        "reservation",
        ["machine_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'running' AND operation_id IS NULL"),
        postgresql_where=sa.text("kind = 'running' AND operation_id IS NULL"),
    )
    # Machines and operations point at each other; SQLite took this one with the table.
    if op.get_context().dialect.name != "sqlite":
        op.create_foreign_key(
            op.f("fk_machine_tail_id"), "machine", "operation", ["tail_id"], ["id"]
        )

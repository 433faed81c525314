"""Directory realms, groups, second factors, view-as, sealed audit log, chores.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chore",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chore")),
    )
    op.create_table(
        "directory_group",
        sa.Column("realm_id", sa.Integer(), nullable=False),
        sa.Column("directory_key", sa.String(), nullable=False),
        sa.Column("dn", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("vanished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["realm_id"], ["realm.id"], name=op.f("fk_directory_group_realm_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_group")),
        sa.UniqueConstraint(
            "realm_id", "directory_key", name=op.f("uq_directory_group_realm_id_directory_key")
        ),
    )
    op.create_index(
        op.f("ix_directory_group_realm_id_name_key"),
        "directory_group",
        ["realm_id", "name_key"],
        unique=False,
    )

    op.create_table(
        "membership",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["directory_group.id"], name=op.f("fk_membership_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_membership_user_id")
        ),
        sa.PrimaryKeyConstraint("user_id", "group_id", name=op.f("pk_membership")),
    )
    op.create_index(op.f("ix_membership_group_id"), "membership", ["group_id"], unique=False)

    op.create_table(
        "recovery_code",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_recovery_code_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
    )
    op.create_index(op.f("ix_recovery_code_user_id"), "recovery_code", ["user_id"], unique=False)

    op.create_table(
        "second_factor",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("sealed_secret", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_second_factor_user_id")
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factor")),
    )
    op.create_table(
        "token_scope",
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=True),
        sa.Column("privileges", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_token_scope_pool_id")),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_token_scope_token_id")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_token_scope")),
    )
    op.create_table(
        "view_as",
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_view_as_session_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_view_as_user_id")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_view_as")),
    )
    op.create_table(
        "audit_seal",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("fk_audit_seal_audit_id")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_seal")),
        sa.UniqueConstraint("audit_id", name=op.f("uq_audit_seal_audit_id")),
    )
    with op.batch_alter_table("grant_row") as batch_op:
        batch_op.add_column(sa.Column("group_id", sa.Integer(), nullable=True))
        batch_op.alter_column("user_id", existing_type=sa.INTEGER(), nullable=True)
        batch_op.create_unique_constraint(
            batch_op.f("uq_grant_row_group_id_pool_id_role_id"), ["group_id", "pool_id", "role_id"]
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_grant_row_group_id"), "directory_group", ["group_id"], ["id"]
        )
        batch_op.create_check_constraint(
            batch_op.f("ck_grant_row_user_or_group"), "(user_id IS NULL) <> (group_id IS NULL)"
        )

    op.add_column("realm", sa.Column("settings", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("realm", sa.Column("sealed_password", sa.String(), nullable=True))
    op.add_column(
        "realm", sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.add_column(
        "realm", sa.Column("version", sa.BigInteger(), server_default="1", nullable=False)
    )
    op.add_column("realm", sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("realm", sa.Column("sync_error", sa.String(), nullable=True))

    op.add_column("role", sa.Column("description", sa.String(), server_default="", nullable=False))
    op.add_column(
        "role", sa.Column("second_factor", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("role", sa.Column("version", sa.BigInteger(), server_default="1", nullable=False))

    op.add_column(
        "user_account", sa.Column("email", sa.String(), server_default="", nullable=False)
    )
    op.add_column("user_account", sa.Column("directory_key", sa.String(), nullable=True))
    op.add_column("user_account", sa.Column("dn", sa.String(), server_default="", nullable=False))
    op.add_column(
        "user_account", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("user_account", sa.Column("disabled_by", sa.String(), nullable=True))
    op.create_index(
        "uq_user_account_realm_id_directory_key",
        "user_account",
        ["realm_id", "directory_key"],
        unique=True,
    )

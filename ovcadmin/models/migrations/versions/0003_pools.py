"""Retired pools, warnings and defaults of limits, shares of persons, quota requests, loans,
logical groups and tags.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tag",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column("word", sa.String(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('machine', 'pool', 'host', 'storage_pool')", name=op.f("ck_tag_kind_known")
        ),
        sa.PrimaryKeyConstraint("kind", "object_id", "word", name=op.f("pk_tag")),
    )
    op.create_index("ix_tag_kind_word", "tag", ["kind", "word"], unique=False)
    op.create_table(
        "logical_group",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_logical_group_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logical_group")),
        sa.UniqueConstraint("pool_id", "name_key", name=op.f("uq_logical_group_pool_id_name_key")),
    )
    op.create_index(op.f("ix_logical_group_pool_id"), "logical_group", ["pool_id"], unique=False)
    op.create_table(
        "loan",
        sa.Column("lender_id", sa.Integer(), nullable=False),
        sa.Column("borrower_id", sa.Integer(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("lent", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("grace_days", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "amount > 0 AND lent >= 0 AND lent <= amount", name=op.f("ck_loan_amounts")
        ),
        sa.CheckConstraint("lender_id <> borrower_id", name=op.f("ck_loan_two_pools")),
        sa.ForeignKeyConstraint(["borrower_id"], ["pool.id"], name=op.f("fk_loan_borrower_id")),
        sa.ForeignKeyConstraint(["lender_id"], ["pool.id"], name=op.f("fk_loan_lender_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_loan_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan")),
    )
    op.create_index(op.f("ix_loan_borrower_id"), "loan", ["borrower_id"], unique=False)
    op.create_index(op.f("ix_loan_lender_id"), "loan", ["lender_id"], unique=False)
    op.create_index(
        "ix_loan_open",
        "loan",
        ["until"],
        unique=False,
        sqlite_where=sa.text("returned_at IS NULL"),
        postgresql_where=sa.text("returned_at IS NULL"),
    )
    op.create_table(
        "logical_group_member",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('machine', 'pool', 'host', 'storage_pool')",
            name=op.f("ck_logical_group_member_kind_known"),
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["logical_group.id"], name=op.f("fk_logical_group_member_group_id")
        ),
        sa.PrimaryKeyConstraint(
            "group_id", "kind", "object_id", name=op.f("pk_logical_group_member")
        ),
    )
    op.create_index(
        "ix_logical_group_member_kind_object_id",
        "logical_group_member",
        ["kind", "object_id"],
        unique=False,
    )
    op.create_table(
        "person_quota",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("vcpus", sa.BigInteger(), nullable=True),
        sa.Column("memory", sa.BigInteger(), nullable=True),
        sa.Column("nics", sa.BigInteger(), nullable=True),
        sa.Column("machines", sa.BigInteger(), nullable=True),
        sa.Column("redundancy", sa.BigInteger(), nullable=True),
        sa.Column("storage", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint("machines >= 0", name=op.f("ck_person_quota_machines_not_negative")),
        sa.CheckConstraint("memory >= 0", name=op.f("ck_person_quota_memory_not_negative")),
        sa.CheckConstraint("nics >= 0", name=op.f("ck_person_quota_nics_not_negative")),
        sa.CheckConstraint("redundancy >= 0", name=op.f("ck_person_quota_redundancy_not_negative")),
        sa.CheckConstraint("storage >= 0", name=op.f("ck_person_quota_storage_not_negative")),
        sa.CheckConstraint("vcpus >= 0", name=op.f("ck_person_quota_vcpus_not_negative")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_person_quota_pool_id")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_person_quota_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_quota")),
        sa.UniqueConstraint("pool_id", "user_id", name=op.f("uq_person_quota_pool_id_user_id")),
    )
    op.create_index(op.f("ix_person_quota_user_id"), "person_quota", ["user_id"], unique=False)
    op.create_index(
        "uq_person_quota_everybody",
        "person_quota",
        ["pool_id"],
        unique=True,
        sqlite_where=sa.text("user_id IS NULL"),
        postgresql_where=sa.text("user_id IS NULL"),
    )
    op.create_table(
        "quota_request",
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("for_pool_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("amounts", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("granted", sa.JSON(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'approved', 'declined', 'withdrawn')",
            name=op.f("ck_quota_request_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["decided_by_id"], ["user_account.id"], name=op.f("fk_quota_request_decided_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["for_pool_id"], ["pool.id"], name=op.f("fk_quota_request_for_pool_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_quota_request_pool_id")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_quota_request_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_request")),
    )
    op.create_index(op.f("ix_quota_request_pool_id"), "quota_request", ["pool_id"], unique=False)
    op.create_index(op.f("ix_quota_request_user_id"), "quota_request", ["user_id"], unique=False)
    op.create_index(
        "uq_quota_request_open",
        "quota_request",
        ["user_id", "pool_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.add_column("pool", sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("quota", sa.Column("warnings", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("quota", sa.Column("defaults", sa.JSON(), server_default="{}", nullable=False))
    op.drop_index("uq_pool_parent_id_name_key", table_name="pool")
    op.create_index(
        "uq_pool_parent_id_name_key",
        "pool",
        ["parent_id", "name_key"],
        unique=True,
        sqlite_where=sa.text("parent_id IS NOT NULL"),
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )

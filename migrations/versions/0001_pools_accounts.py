"""Pools and what they own, packages, accounts and groups, the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

AMOUNTS = "cores >= 0 AND memory_mib >= 0 AND gpus >= 0 AND disk_gib >= 0"


def upgrade() -> None:
    pools()
    owned("inventory")
    owned("blackout")
    ledger()
    packages()
    accounts()
    groups()


def downgrade() -> None:
    for table in ("membership", "account_group", "token", "account", "level"):
        op.drop_table(table)
    for table in ("package", "ledger", "blackout", "inventory", "pool", "platform"):
        op.drop_table(table)


def amounts() -> list[sa.Column[int]]:
    """The columns of a vector of resources."""
    return [
        sa.Column("cores", sa.BigInteger, nullable=False),
        sa.Column("memory_mib", sa.BigInteger, nullable=False),
        sa.Column("gpus", sa.BigInteger, nullable=False),
        sa.Column("disk_gib", sa.BigInteger, nullable=False),
    ]


def pools() -> None:
    op.create_table(
        "platform",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("traits", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_platform"),
        sa.UniqueConstraint("name", name="uq_platform_name"),
    )
    op.create_table(
        "pool",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("platform_id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("traits", sa.JSON, nullable=False),
        sa.Column("timezone", sa.String, nullable=False),
        sa.Column("granularity", sa.String, nullable=False),
        sa.Column("share_ratio_milli", sa.BigInteger, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.String, nullable=False),
        sa.Column("hold_expires_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        *amounts(),
        sa.PrimaryKeyConstraint("id", name="pk_pool"),
        sa.ForeignKeyConstraint(["platform_id"], ["platform.id"], name="fk_pool_platform_id_platform"),
        sa.UniqueConstraint("name", name="uq_pool_name"),
        sa.CheckConstraint("granularity IN ('day', 'hour')", name="ck_pool_granularity_known"),
        sa.CheckConstraint("share_ratio_milli >= 1000", name="ck_pool_share_ratio_at_least_one"),
        sa.CheckConstraint("generation >= 0", name="ck_pool_generation_not_negative"),
        sa.CheckConstraint(AMOUNTS, name="ck_pool_amounts_not_negative"),
    )


def owned(table: str) -> None:
    """A table of dated amounts: inventory or blackout."""
    op.create_table(
        table,
        sa.Column("id", sa.String, nullable=False),
        sa.Column("pool_id", sa.String, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        *amounts(),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=f"fk_{table}_pool_id_pool"),
        sa.CheckConstraint('start < "end"', name=f"ck_{table}_start_before_end"),
        sa.CheckConstraint(AMOUNTS, name=f"ck_{table}_amounts_not_negative"),
    )
    op.create_index(f"ix_{table}_pool_id_{table}_end", table, ["pool_id", "end"])


def ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("pool_id", sa.String, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("side", sa.String, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("pool_id", "generation", "seq", name="pk_ledger"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_ledger_pool_id_pool"),
        sa.CheckConstraint('start < "end"', name="ck_ledger_start_before_end"),
        sa.CheckConstraint(
            "side IN ('physical', 'reserved', 'shared', 'level0')", name="ck_ledger_side_known"
        ),
        sa.CheckConstraint(
            "kind IN ('cores', 'memory_mib', 'gpus', 'disk_gib')", name="ck_ledger_kind_known"
        ),
        sa.CheckConstraint("amount <> 0", name="ck_ledger_amount_not_zero"),
    )


def packages() -> None:
    op.create_table(
        "package",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("retired_at", sa.BigInteger),
        sa.Column("notebook_cores", sa.BigInteger, nullable=False),
        sa.Column("notebook_memory_mib", sa.BigInteger, nullable=False),
        sa.Column("worker_cores", sa.BigInteger, nullable=False),
        sa.Column("worker_memory_mib", sa.BigInteger, nullable=False),
        sa.Column("worker_count", sa.BigInteger, nullable=False),
        sa.Column("lead_minutes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_package"),
        sa.UniqueConstraint("name", "version", name="uq_package_name_version"),
        sa.CheckConstraint("version >= 1", name="ck_package_version_positive"),
        sa.CheckConstraint(
            "notebook_cores >= 1 AND notebook_memory_mib >= 1 AND worker_cores >= 0 "
            "AND worker_memory_mib >= 0 AND worker_count >= 0",
            name="ck_package_sizes_positive",
        ),
        sa.CheckConstraint("lead_minutes >= 0", name="ck_package_lead_not_negative"),
    )


def accounts() -> None:
    op.create_table(
        "level",
        sa.Column("level", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("level", name="pk_level"),
        sa.CheckConstraint("level >= 0", name="ck_level_level_not_negative"),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("password_hash", sa.String),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.Column("session_epoch", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("disabled_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("name", name="uq_account_name"),
        sa.CheckConstraint("kind IN ('person', 'service', 'anonymous')", name="ck_account_kind_known"),
        sa.CheckConstraint("level >= 0", name="ck_account_level_not_negative"),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_token_account_id_account"),
        sa.UniqueConstraint("hash", name="uq_token_hash"),
    )
    op.create_index("ix_token_account_id", "token", ["account_id"])


def groups() -> None:
    op.create_table(
        "account_group",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account_group"),
        sa.UniqueConstraint("name", name="uq_account_group_name"),
    )
    op.create_table(
        "membership",
        sa.Column("group_id", sa.String, nullable=False),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("group_id", "account_id", name="pk_membership"),
        sa.ForeignKeyConstraint(
            ["group_id"], ["account_group.id"], name="fk_membership_group_id_account_group"
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_membership_account_id_account"),
        sa.CheckConstraint("role IN ('reader', 'writer', 'admin')", name="ck_membership_role_known"),
    )
    op.create_index("ix_membership_account_id", "membership", ["account_id"])

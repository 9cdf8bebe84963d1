"""Bookings that were refused are kept for a while, so that the demand behind them can be told.

The table is new, so that the release before this one goes on beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refusal",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("pool_id", sa.String, nullable=False),
        sa.Column("package_name", sa.String, nullable=False),
        sa.Column("sharing", sa.String, nullable=False),
        sa.Column("code", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("core_minutes", sa.BigInteger, nullable=False),
        sa.Column("times", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refusal"),
        sa.UniqueConstraint(
            "account_id",
            "pool_id",
            "start",
            "package_name",
            "hour",
            name="uq_refusal_account_id_pool_id_start_package_name_hour",
        ),
        sa.CheckConstraint("sharing IN ('shared', 'reserved', 'custom')", name="ck_refusal_sharing_known"),
        sa.CheckConstraint('start < "end"', name="ck_refusal_start_before_end"),
        sa.CheckConstraint("core_minutes >= 0", name="ck_refusal_core_minutes_not_negative"),
        sa.CheckConstraint("times >= 1", name="ck_refusal_times_positive"),
    )
    op.create_index("ix_refusal_pool_id_refusal_start", "refusal", ["pool_id", "start"])
    op.create_index("ix_refusal_hour_refusal_account_id", "refusal", ["hour", "account_id"])


def downgrade() -> None:
    op.drop_table("refusal")

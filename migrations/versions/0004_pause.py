"""The scheduler can be paused; clusters that no row knows are ended or kept as an administrator says.

Both tables are new, so that the release before this one goes on beside them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pause",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("paused_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pause"),
        sa.CheckConstraint("id = 1", name="ck_pause_only_one"),
    )
    op.create_table(
        "stray",
        sa.Column("reservation_id", sa.String, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("judged_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("reservation_id", name="pk_stray"),
        sa.CheckConstraint("verdict IN ('end', 'keep')", name="ck_stray_verdict_known"),
    )


def downgrade() -> None:
    op.drop_table("stray")
    op.drop_table("pause")

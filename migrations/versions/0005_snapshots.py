"""Timelines are kept packed, so that a process need not read the whole ledger when it starts.

The table is new, so that the release before this one goes on beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "snapshot",
        sa.Column("pool_id", sa.String, nullable=False),
        sa.Column("epoch", sa.String, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("pool_id", name="pk_snapshot"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_snapshot_pool_id_pool"),
    )


def downgrade() -> None:
    op.drop_table("snapshot")

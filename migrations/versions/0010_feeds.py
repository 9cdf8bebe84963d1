"""A calendar reads what an account has booked at a secret address, whose hash is kept.

The table is new, so that the release before this one goes on beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feed",
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("account_id", name="pk_feed"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_feed_account_id_account"),
        sa.UniqueConstraint("hash", name="uq_feed_hash"),
    )


def downgrade() -> None:
    op.drop_table("feed")

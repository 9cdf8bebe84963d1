"""Templates: cards on the landing page that book and open a notebook in one act.

The table is new, so that the release before this one goes on beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "template",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("text", sa.String, nullable=False),
        sa.Column("notebook_url", sa.String),
        sa.Column("package_name", sa.String, nullable=False),
        sa.Column("minutes", sa.BigInteger, nullable=False),
        sa.Column("pool_id", sa.String),
        sa.Column("sharing", sa.String, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("shown", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_template"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_template_pool_id_pool"),
        sa.CheckConstraint("sharing IN ('shared', 'reserved', 'custom')", name="ck_template_sharing_known"),
        sa.CheckConstraint("minutes >= 1", name="ck_template_minutes_positive"),
    )


def downgrade() -> None:
    op.drop_table("template")

"""A pool at which an audit found a fault is closed.

The column may be empty, so that the release before this one goes on writing beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pool", sa.Column("closed_reason", sa.String))


def downgrade() -> None:
    with op.batch_alter_table("pool") as pool:
        pool.drop_column("closed_reason")

"""What a platform asks about before others may reserve there, and the level that binds them.

All columns may be empty, so that the release before this one goes on beside them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind in (
        ("owner", sa.String),
        ("name", sa.String),
        ("inquired_at", sa.BigInteger),
        ("grows", sa.String),
    ):
        op.add_column("stranger", sa.Column(name, kind))
    op.add_column("platform", sa.Column("stranger_level", sa.Integer))


def downgrade() -> None:
    op.drop_column("platform", "stranger_level")
    for name in ("grows", "inquired_at", "name", "owner"):
        op.drop_column("stranger", name)

"""What platforms were seen to have: their hosts, and what others have reserved on them.

The tables are new, so that the release before this one goes on beside them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_AMOUNTS = ("cores", "memory_mib", "gpus", "disk_gib")
_NOT_NEGATIVE = " AND ".join(f"{kind} >= 0" for kind in _AMOUNTS)


def upgrade() -> None:
    op.create_table(
        "host",
        *_common("host", "name"),
        sa.Column("is_up", sa.Boolean, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("inventory_id", sa.String, nullable=False),
        sa.Column("blackout_id", sa.String),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "stranger",
        *_common("stranger", "reference"),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.CheckConstraint('start < "end"', name="ck_stranger_start_before_end"),
    )
    op.create_index("ix_stranger_pool_id_stranger_end", "stranger", ["pool_id", "end"])


def _common(table: str, name: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.String, nullable=False),
        sa.Column("platform_id", sa.String, nullable=False),
        sa.Column("pool_id", sa.String, nullable=False),
        sa.Column(name, sa.String, nullable=False),
        *(sa.Column(kind, sa.BigInteger, nullable=False) for kind in _AMOUNTS),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(["platform_id"], ["platform.id"], name=f"fk_{table}_platform_id_platform"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=f"fk_{table}_pool_id_pool"),
        sa.UniqueConstraint("platform_id", name, name=f"uq_{table}_platform_id_{name}"),
        sa.CheckConstraint(_NOT_NEGATIVE, name=f"ck_{table}_amounts_not_negative"),
    ]


def downgrade() -> None:
    op.drop_table("stranger")
    op.drop_table("host")

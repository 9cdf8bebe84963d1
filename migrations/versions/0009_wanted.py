"""Spans that did not fit stay wanted, and are offered when they become free.

The table is new, so that the release before this one goes on beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INDEXES = (
    ("pool_id", "state", "joined_at"),
    ("account_id", "created_at"),
    ("created_at", "id"),
    ("booking_id",),
)


def upgrade() -> None:
    op.create_table(
        "wanted",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("group_id", sa.String),
        sa.Column("pool_id", sa.String, nullable=False),
        sa.Column("package_name", sa.String, nullable=False),
        sa.Column("package_version", sa.Integer, nullable=False),
        sa.Column("sharing", sa.String, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("notebook_url", sa.String),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("end_reason", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("joined_at", sa.BigInteger, nullable=False),
        sa.Column("lapses", sa.Integer, nullable=False),
        sa.Column("booking_id", sa.String),
        sa.Column("offered_until", sa.BigInteger),
        sa.Column("notebook_cores", sa.BigInteger, nullable=False),
        sa.Column("notebook_memory_mib", sa.BigInteger, nullable=False),
        sa.Column("worker_cores", sa.BigInteger, nullable=False),
        sa.Column("worker_memory_mib", sa.BigInteger, nullable=False),
        sa.Column("worker_count", sa.BigInteger, nullable=False),
        sa.Column("lead_minutes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_wanted"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_wanted_account_id_account"),
        sa.ForeignKeyConstraint(["group_id"], ["account_group.id"], name="fk_wanted_group_id_account_group"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_wanted_pool_id_pool"),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_wanted_booking_id_booking"),
        *(sa.CheckConstraint(text, name=f"ck_wanted_{name}") for name, text in _CHECKS.items()),
    )
    for columns in _INDEXES:
        op.create_index(_name(columns), "wanted", list(columns))


_CHECKS = {
    "sharing_known": "sharing IN ('shared', 'reserved', 'custom')",
    "state_known": "state IN ('waiting', 'offered', 'taken', 'gone')",
    "start_before_end": 'start < "end"',
    "sizes_positive": "notebook_cores >= 1 AND notebook_memory_mib >= 1 AND worker_cores >= 0 "
    "AND worker_memory_mib >= 0 AND worker_count >= 0",
    "only_offers_expire": "(state = 'offered') = (offered_until IS NOT NULL)",
    "offers_are_held": "state NOT IN ('offered', 'taken') OR booking_id IS NOT NULL",
    "lapses_not_negative": "lapses >= 0",
}


def downgrade() -> None:
    op.drop_table("wanted")


def _name(columns: tuple[str, ...]) -> str:
    return "_".join(["ix", *(f"wanted_{column}" for column in columns)])

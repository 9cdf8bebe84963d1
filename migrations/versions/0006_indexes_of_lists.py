"""Indexes for lists that are long: everybody's bookings, one person's acts, and trials that are over.

Only indexes are new, so that the release before this one goes on beside them.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NEW = {
    "account": ("expires_at",),
    "booking": ("created_at", "id"),
    "journal": ("account_id", "at"),
    "reservation": ("end",),
}


def upgrade() -> None:
    for table, columns in _NEW.items():
        op.create_index(_name(table, columns), table, list(columns))


def downgrade() -> None:
    for table, columns in _NEW.items():
        op.drop_index(_name(table, columns), table)


def _name(table: str, columns: tuple[str, ...]) -> str:
    return "_".join(["ix", *(f"{table}_{column}" for column in columns)])

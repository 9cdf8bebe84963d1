"""The index of reservations by their end also tells when they begin: who looks at a past day reads those of that day."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_reservation_end_reservation_start", "reservation", ["end", "start"])
    op.drop_index("ix_reservation_end", "reservation")


def downgrade() -> None:
    op.create_index("ix_reservation_end", "reservation", ["end"])
    op.drop_index("ix_reservation_end_reservation_start", "reservation")

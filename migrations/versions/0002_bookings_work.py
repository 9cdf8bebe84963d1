"""Bookings, reservations and their clusters; due work; the journal and the installation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATES = (
    "'held', 'confirmed', 'preparing', 'active', 'ending', "
    "'ended', 'cancelled', 'expired', 'failed', 'preempted'"
)


def upgrade() -> None:
    bookings()
    guests()
    reservations()
    clusters()
    work()
    answers()
    records()


def downgrade() -> None:
    for table in ("installation", "rate_hit", "journal", "idempotency_key", "leadership"):
        op.drop_table(table)
    for table in ("work", "cluster", "reservation", "booking_guest", "booking"):
        op.drop_table(table)


def bookings() -> None:
    op.create_table(
        "booking",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("group_id", sa.String),
        sa.Column("pool_id", sa.String, nullable=False),
        sa.Column("package_name", sa.String, nullable=False),
        sa.Column("package_version", sa.Integer, nullable=False),
        sa.Column("sharing", sa.String, nullable=False),
        sa.Column("side", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("notebook_url", sa.String),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("notebook_cores", sa.BigInteger, nullable=False),
        sa.Column("notebook_memory_mib", sa.BigInteger, nullable=False),
        sa.Column("worker_cores", sa.BigInteger, nullable=False),
        sa.Column("worker_memory_mib", sa.BigInteger, nullable=False),
        sa.Column("worker_count", sa.BigInteger, nullable=False),
        sa.Column("lead_minutes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_booking"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_booking_account_id_account"),
        sa.ForeignKeyConstraint(["group_id"], ["account_group.id"], name="fk_booking_group_id_account_group"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_booking_pool_id_pool"),
        sa.CheckConstraint("sharing IN ('shared', 'reserved', 'custom')", name="ck_booking_sharing_known"),
        sa.CheckConstraint(
            "side IN ('physical', 'reserved', 'shared', 'level0')", name="ck_booking_side_known"
        ),
        sa.CheckConstraint(
            "notebook_cores >= 1 AND notebook_memory_mib >= 1 AND worker_cores >= 0 "
            "AND worker_memory_mib >= 0 AND worker_count >= 0",
            name="ck_booking_sizes_positive",
        ),
        sa.CheckConstraint("revision >= 1", name="ck_booking_revision_positive"),
    )
    op.create_index("ix_booking_account_id_booking_created_at", "booking", ["account_id", "created_at"])
    op.create_index("ix_booking_group_id", "booking", ["group_id"])
    op.create_index("ix_booking_pool_id", "booking", ["pool_id"])


def guests() -> None:
    op.create_table(
        "booking_guest",
        sa.Column("booking_id", sa.String, nullable=False),
        sa.Column("account_id", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("booking_id", "account_id", name="pk_booking_guest"),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_booking_guest_booking_id_booking"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_booking_guest_account_id_account"),
    )
    op.create_index("ix_booking_guest_account_id", "booking_guest", ["account_id"])


def reservations() -> None:
    op.create_table(
        "reservation",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("booking_id", sa.String, nullable=False),
        sa.Column("pool_id", sa.String, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("end_reason", sa.String, nullable=False),
        sa.Column("outcome", sa.String),
        sa.Column("at_risk", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reservation"),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_reservation_booking_id_booking"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name="fk_reservation_pool_id_pool"),
        sa.CheckConstraint(f"state IN ({STATES})", name="ck_reservation_state_known"),
        sa.CheckConstraint(f"outcome IN ({STATES})", name="ck_reservation_outcome_known"),
        sa.CheckConstraint('start < "end"', name="ck_reservation_start_before_end"),
        sa.CheckConstraint(
            "(state = 'held') = (expires_at IS NOT NULL)", name="ck_reservation_only_holds_expire"
        ),
        sa.CheckConstraint("revision >= 1", name="ck_reservation_revision_positive"),
    )
    op.create_index("ix_reservation_booking_id", "reservation", ["booking_id"])
    op.create_index(
        "ix_reservation_pool_id_reservation_state_reservation_end", "reservation", ["pool_id", "state", "end"]
    )
    op.create_index("ix_reservation_state_reservation_expires_at", "reservation", ["state", "expires_at"])


def clusters() -> None:
    op.create_table(
        "cluster",
        sa.Column("reservation_id", sa.String, nullable=False),
        sa.Column("provisioner", sa.String, nullable=False),
        sa.Column("phase", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("endpoints", sa.JSON, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("look_at", sa.BigInteger, nullable=False),
        sa.Column("absent_at", sa.BigInteger),
        sa.Column("ready_at", sa.BigInteger),
        sa.Column("warned_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("reservation_id", name="pk_cluster"),
        sa.ForeignKeyConstraint(
            ["reservation_id"], ["reservation.id"], name="fk_cluster_reservation_id_reservation"
        ),
        sa.CheckConstraint(
            "phase IN ('wanted', 'starting', 'ready', 'stopping', 'gone', 'failed')",
            name="ck_cluster_phase_known",
        ),
        sa.CheckConstraint("attempts >= 0", name="ck_cluster_attempts_not_negative"),
    )
    op.create_index("ix_cluster_phase_cluster_look_at", "cluster", ["phase", "look_at"])


def work() -> None:
    op.create_table(
        "work",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("reservation_id", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("done_at", sa.BigInteger),
        sa.Column("detail", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_work"),
        sa.ForeignKeyConstraint(
            ["reservation_id"], ["reservation.id"], name="fk_work_reservation_id_reservation"
        ),
        sa.UniqueConstraint(
            "reservation_id", "action", "revision", name="uq_work_reservation_id_action_revision"
        ),
        sa.CheckConstraint(
            "action IN ('expire', 'provision', 'extend', 'warn', 'end')", name="ck_work_action_known"
        ),
        sa.CheckConstraint("attempts >= 0", name="ck_work_attempts_not_negative"),
    )
    op.create_index("ix_work_done_at_work_due_at", "work", ["done_at", "due_at"])
    op.create_table(
        "leadership",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leadership"),
    )


def answers() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("account_id", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("request_hash", sa.String, nullable=False),
        sa.Column("booking_id", sa.String, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name="pk_idempotency_key"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_idempotency_key_account_id_account"),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name="fk_idempotency_key_booking_id_booking"),
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"])


def records() -> None:
    op.create_table(
        "journal",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.String),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_journal_account_id_account"),
    )
    op.create_index("ix_journal_subject_journal_at", "journal", ["subject", "at"])
    op.create_index("ix_journal_at", "journal", ["at"])
    op.create_table(
        "rate_hit",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_rate_hit"),
    )
    op.create_index("ix_rate_hit_expires_at", "rate_hit", ["expires_at"])
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("installed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        sa.CheckConstraint("id = 1", name="ck_installation_only_one"),
    )

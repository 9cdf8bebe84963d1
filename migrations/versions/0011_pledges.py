"""Platforms of their own make clusters and set aside what is promised on them.

New columns are empty and the table is new, so that the release before this one goes on beside it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("platform") as platform:
        for column in _PLATFORM:
            platform.add_column(sa.Column(column.name, column.type, nullable=True))
        platform.create_check_constraint("ck_platform_lead_not_negative", "lead_minutes >= 0")
        platform.create_check_constraint("ck_platform_teardown_not_negative", "teardown_seconds >= 0")
    with op.batch_alter_table("cluster") as cluster:
        cluster.add_column(sa.Column("platform_id", sa.String, nullable=True))
        cluster.create_foreign_key("fk_cluster_platform_id_platform", "platform", ["platform_id"], ["id"])
    op.create_table(
        "pledge",
        sa.Column("reservation_id", sa.String, nullable=False),
        sa.Column("platform_id", sa.String, nullable=False),
        sa.Column("phase", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("reference", sa.String, nullable=False),
        sa.Column("binding", sa.JSON, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("look_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("reservation_id", name="pk_pledge"),
        sa.ForeignKeyConstraint(
            ["reservation_id"], ["reservation.id"], name="fk_pledge_reservation_id_reservation"
        ),
        sa.ForeignKeyConstraint(["platform_id"], ["platform.id"], name="fk_pledge_platform_id_platform"),
        sa.CheckConstraint(f"phase IN ({_PHASES})", name="ck_pledge_phase_known"),
        sa.CheckConstraint("attempts >= 0", name="ck_pledge_attempts_not_negative"),
        sa.CheckConstraint("revision >= 1", name="ck_pledge_revision_positive"),
    )
    op.create_index(
        "ix_pledge_platform_id_pledge_phase_pledge_look_at", "pledge", ["platform_id", "phase", "look_at"]
    )


_PHASES = "'wanted', 'refused', 'pending', 'active', 'broken', 'released'"
_PLATFORM = (
    sa.Column("provisioner", sa.String, nullable=True),
    sa.Column("settings", sa.JSON, nullable=True),
    sa.Column("pledges", sa.Boolean, nullable=True),
    sa.Column("may_change_pledges", sa.Boolean, nullable=True),
    sa.Column("lead_minutes", sa.Integer, nullable=True),
    sa.Column("teardown_seconds", sa.Integer, nullable=True),
    sa.Column("fault", sa.String, nullable=True),
    sa.Column("fault_since", sa.BigInteger, nullable=True),
)


def downgrade() -> None:
    op.drop_table("pledge")
    with op.batch_alter_table("cluster") as cluster:
        cluster.drop_constraint("fk_cluster_platform_id_platform", type_="foreignkey")
        cluster.drop_column("platform_id")
    with op.batch_alter_table("platform") as platform:
        platform.drop_constraint("ck_platform_lead_not_negative", type_="check")
        platform.drop_constraint("ck_platform_teardown_not_negative", type_="check")
        for column in _PLATFORM:
            platform.drop_column(column.name)

"""The gates of confirmed runs, value by value: quantiles of several runs cannot be had from those of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGBLOB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ups_gate_values",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("content", sa.LargeBinary().with_variant(LONGBLOB(), "mysql"), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_ups_gate_values")),
        sa.ForeignKeyConstraint(["run_id"], ["ups_run.id"], name=op.f("fk_ups_gate_values_run_id"), ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("ups_gate_values")

"""Predictions for every row in the database itself, gates after training on shuffled labels, how sure an ablation is.

Nothing was ever written to `ups_prediction` before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGBLOB, LONGTEXT

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table anew and add a column to three others."""
    op.add_column("ups_gate", sa.Column("null_mean", sa.Double(), nullable=True))
    op.add_column("ups_ablation", sa.Column("error", sa.Double(), nullable=True))
    op.add_column("ups_run", sa.Column("prunable", sa.JSON(none_as_null=True), nullable=True))
    op.drop_table("ups_prediction")
    op.create_table(
        "ups_prediction",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("content", sa.LargeBinary().with_variant(LONGBLOB(), "mysql"), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "split", name=op.f("pk_ups_prediction")),
        _of_run(),
    )


def downgrade() -> None:
    """Make the table of version 0001 again and drop the columns."""
    op.drop_column("ups_run", "prunable")
    op.drop_column("ups_ablation", "error")
    op.drop_column("ups_gate", "null_mean")
    op.drop_table("ups_prediction")
    op.create_table(
        "ups_prediction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("path", sa.Text().with_variant(LONGTEXT(), "mysql"), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ups_prediction")),
        sa.UniqueConstraint("run_id", "split", name=op.f("uq_ups_prediction_run_id_split")),
        _of_run(),
    )


def _of_run() -> sa.ForeignKeyConstraint:
    name = op.f("fk_ups_prediction_run_id")
    return sa.ForeignKeyConstraint(["run_id"], ["ups_run.id"], name=name, ondelete="CASCADE")

"""True labels against predictions, counted per run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    text = sa.Text().with_variant(LONGTEXT(), "mysql")
    op.create_table(
        "ups_outcome",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("label", text, nullable=True),
        sa.Column("predicted", text, nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_ups_outcome")),
        sa.ForeignKeyConstraint(["run_id"], ["ups_run.id"], name=op.f("fk_ups_outcome_run_id"), ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("ups_outcome")

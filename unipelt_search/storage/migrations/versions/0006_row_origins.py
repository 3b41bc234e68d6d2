"""Where the rows of select and test stand in the user's files, once per study."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGBLOB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ups_row_origin",
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("content", sa.LargeBinary().with_variant(LONGBLOB(), "mysql"), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("study_id", "split", name=op.f("pk_ups_row_origin")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["ups_study.id"], name=op.f("fk_ups_row_origin_study_id"), ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("ups_row_origin")

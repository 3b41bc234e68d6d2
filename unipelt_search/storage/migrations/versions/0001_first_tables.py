"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_PHASES = ("screen", "tune", "confirm")


def _text() -> Any:
    return sa.Text().with_variant(LONGTEXT(), "mysql")


def _one_of(table: str, column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}"))


def _below(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [parent], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def upgrade() -> None:
    """Create every table, parents first."""
    _create_study()
    _create_trial()
    _create_run()
    _create_attempt()
    _create_results()
    _create_prediction()
    _create_remarks()


def downgrade() -> None:
    """Drop every table, children first."""
    for name in ("notice", "dropped", "prediction", "ablation", "gate", "evaluation", "attempt", "run", "trial"):
        op.drop_table(f"ups_{name}")
    op.drop_table("ups_study")


def _create_study() -> None:
    op.create_table(
        "ups_study",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("question_hash", sa.String(16), nullable=False),
        sa.Column("task", sa.JSON(), nullable=False),
        sa.Column("software", sa.JSON(), nullable=False),
        sa.Column("command", _text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("wall_seconds", sa.Double(), nullable=False),
        _key("ups_study", "id"),
        _unique("ups_study", "name"),
        _one_of("ups_study", "state", ("running", "complete", "stopped", "failed")),
        _one_of("ups_study", "phase", _PHASES),
    )
    op.create_index(op.f("ix_ups_study_question_hash"), "ups_study", ["question_hash"])


def _create_trial() -> None:
    op.create_table(
        "ups_trial",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("method", sa.String(64), nullable=False),
        sa.Column("variant", sa.String(128), nullable=True),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_hash", sa.String(16), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("origin", sa.String(32), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("optuna_trial_id", sa.Integer(), nullable=True),
        _key("ups_trial", "id"),
        _unique("ups_trial", "study_id", "number"),
        _below("ups_trial", "study_id", "ups_study.id"),
        _one_of("ups_trial", "phase", _PHASES),
        _one_of("ups_trial", "state", ("running", "complete", "failed", "stopped")),
    )
    op.create_index(op.f("ix_ups_trial_spec_hash"), "ups_trial", ["spec_hash"])


def _create_run() -> None:
    op.create_table(
        "ups_run",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("seed_index", sa.Integer(), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=False),
        sa.Column("data_seed", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("error", _text(), nullable=True),
        sa.Column("tune", sa.Double(), nullable=True),
        sa.Column("select_scores", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("test_scores", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("best_step", sa.Integer(), nullable=True),
        sa.Column("steps", sa.Integer(), nullable=True),
        sa.Column("checkpoint", _text(), nullable=True),
        sa.Column("trained_parameters", sa.BigInteger(), nullable=True),
        sa.Column("stored_parameters", sa.BigInteger(), nullable=True),
        sa.Column("head_parameters", sa.BigInteger(), nullable=True),
        sa.Column("train_seconds", sa.Double(), nullable=True),
        sa.Column("predict_ms_per_example", sa.Double(), nullable=True),
        sa.Column("peak_memory_mb", sa.Double(), nullable=True),
        sa.Column("examples_trained", sa.BigInteger(), nullable=True),
        sa.Column("padding_share", sa.Double(), nullable=True),
        _key("ups_run", "id"),
        _unique("ups_run", "trial_id", "seed_index", "fold"),
        _below("ups_run", "trial_id", "ups_trial.id"),
        _one_of("ups_run", "phase", _PHASES),
        _one_of("ups_run", "state", ("waiting", "running", "complete", "failed")),
    )
    op.create_index(op.f("ix_ups_run_state"), "ups_run", ["state"])


def _create_attempt() -> None:
    op.create_table(
        "ups_attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("lease_expires", sa.DateTime(), nullable=True),
        sa.Column("started", sa.DateTime(), nullable=False),
        sa.Column("ended", sa.DateTime(), nullable=True),
        sa.Column("error", _text(), nullable=True),
        sa.Column("checkpoint_path", _text(), nullable=True),
        sa.Column("checkpoint_step", sa.Integer(), nullable=True),
        _key("ups_attempt", "id"),
        _unique("ups_attempt", "run_id", "number"),
        _below("ups_attempt", "run_id", "ups_run.id"),
        _one_of("ups_attempt", "state", ("running", "complete", "failed", "interrupted")),
    )


def _create_results() -> None:
    op.create_table(
        "ups_evaluation",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Double(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        _key("ups_evaluation", "run_id", "step"),
        _below("ups_evaluation", "run_id", "ups_run.id"),
    )
    figures = ("mean", "sd", "q05", "q25", "q50", "q75", "q95", "share_active")
    op.create_table(
        "ups_gate",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("epoch", sa.Double(), nullable=False),
        sa.Column("stack", sa.String(16), nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("gate", sa.String(64), nullable=False),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("label", _text(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in figures),
        sa.Column("contribution", sa.Double(), nullable=True),
        sa.Column("initial_mean", sa.Double(), nullable=False),
        _key("ups_gate", "run_id", "position"),
        _below("ups_gate", "run_id", "ups_run.id"),
    )
    op.create_table(
        "ups_ablation",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("submodule", sa.String(64), nullable=False),
        sa.Column("layer", sa.Integer(), nullable=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("drop", sa.Double(), nullable=False),
        _key("ups_ablation", "run_id", "position"),
        _below("ups_ablation", "run_id", "ups_run.id"),
    )


def _create_prediction() -> None:
    op.create_table(
        "ups_prediction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("path", _text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        _key("ups_prediction", "id"),
        _unique("ups_prediction", "run_id", "split"),
        _below("ups_prediction", "run_id", "ups_run.id"),
    )


def _create_remarks() -> None:
    op.create_table(
        "ups_dropped",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("method", sa.String(64), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("reason", _text(), nullable=False),
        _key("ups_dropped", "id"),
        _unique("ups_dropped", "study_id", "method", "phase"),
        _below("ups_dropped", "study_id", "ups_study.id"),
        _one_of("ups_dropped", "phase", _PHASES),
    )
    op.create_table(
        "ups_notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("sentence_hash", sa.String(64), nullable=False),
        sa.Column("sentence", _text(), nullable=False),
        _key("ups_notice", "id"),
        _unique("ups_notice", "study_id", "sentence_hash"),
        _below("ups_notice", "study_id", "ups_study.id"),
    )

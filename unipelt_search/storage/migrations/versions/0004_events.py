"""Events, editions, and notices as data; sentences that were stored before get the code `legacy`."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of events, change notices and dropped methods, and add and drop a column."""
    op.add_column("ups_study", sa.Column("edition", sa.Integer(), nullable=False, server_default="1"))
    # Nothing was ever written to it.
    op.drop_column("ups_run", "data_seed")
    _create_event()
    _change_dropped()
    _change_notice()


def downgrade() -> None:
    """Make the sentences again, as far as there were any, and drop the rest."""
    _restore_notice()
    _restore_dropped()
    op.drop_table("ups_event")
    op.add_column("ups_run", sa.Column("data_seed", sa.BigInteger(), nullable=True))
    op.drop_column("ups_study", "edition")


def _text() -> Any:
    return sa.Text().with_variant(LONGTEXT(), "mysql")


def _create_event() -> None:
    op.create_table(
        "ups_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_id", sa.String(32), nullable=False),
        sa.Column("time", sa.DateTime(), nullable=False),
        sa.Column("process", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=True),
        sa.Column("run_id", sa.String(32), nullable=True),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("trials_done", sa.Integer(), nullable=False),
        sa.Column("trials_asked", sa.Integer(), nullable=False),
        sa.Column("runs_done", sa.Integer(), nullable=False),
        sa.Column("runs_asked", sa.Integer(), nullable=False),
        sa.Column("seconds_left", sa.Double(), nullable=True),
        sa.Column("text", _text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ups_event")),
        sa.ForeignKeyConstraint(["study_id"], ["ups_study.id"], name=op.f("fk_ups_event_study_id"), ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_ups_event_study_id"), "ups_event", ["study_id"])


def _change_notice() -> None:
    _add_notice_columns("ups_notice")
    op.add_column("ups_notice", sa.Column("content_hash", sa.String(64), nullable=True))
    _fill("ups_notice", "sentence", hashed=True)
    with op.batch_alter_table("ups_notice") as notice:
        _make_required(notice)
        notice.alter_column("content_hash", existing_type=sa.String(64), nullable=False)
        # The new one first: MySQL needs an index on the foreign key at every moment.
        notice.create_unique_constraint(op.f("uq_ups_notice_study_id_content_hash"), ["study_id", "content_hash"])
        notice.drop_constraint(op.f("uq_ups_notice_study_id_sentence_hash"), type_="unique")
        notice.drop_column("sentence_hash")
        notice.drop_column("sentence")


def _change_dropped() -> None:
    _add_notice_columns("ups_dropped")
    _fill("ups_dropped", "reason", hashed=False)
    with op.batch_alter_table("ups_dropped") as dropped:
        _make_required(dropped)
        dropped.drop_column("reason")


def _add_notice_columns(table: str) -> None:
    op.add_column(table, sa.Column("code", sa.String(64), nullable=True))
    op.add_column(table, sa.Column("severity", sa.String(16), nullable=True))
    op.add_column(table, sa.Column("values", sa.JSON(), nullable=True))


def _make_required(table: Any) -> None:
    table.alter_column("code", existing_type=sa.String(64), nullable=False)
    table.alter_column("severity", existing_type=sa.String(16), nullable=False)
    table.alter_column("values", existing_type=sa.JSON(), nullable=False)


def _fill(name: str, sentence: str, *, hashed: bool) -> None:
    connection = op.get_bind()
    table = sa.table(
        name,
        sa.column("id", sa.Integer()),
        sa.column(sentence, _text()),
        sa.column("code", sa.String()),
        sa.column("severity", sa.String()),
        sa.column("values", sa.JSON()),
        sa.column("content_hash", sa.String()),
    )
    for row in connection.execute(sa.select(table.c.id, table.c[sentence])).all():
        content = {"code": "legacy", "severity": "info", "values": {"sentence": row[1]}}
        filled: dict[str, Any] = dict(content)
        if hashed:
            filled["content_hash"] = sha256(_canonical(content).encode()).hexdigest()
        connection.execute(sa.update(table).where(table.c.id == row[0]).values(filled))


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _restore_notice() -> None:
    op.add_column("ups_notice", sa.Column("sentence_hash", sa.String(64), nullable=True))
    op.add_column("ups_notice", sa.Column("sentence", _text(), nullable=True))
    _restore_sentences("ups_notice", "sentence")
    with op.batch_alter_table("ups_notice") as notice:
        notice.alter_column("sentence", existing_type=_text(), nullable=False)
        notice.alter_column("sentence_hash", existing_type=sa.String(64), nullable=False)
        notice.create_unique_constraint(op.f("uq_ups_notice_study_id_sentence_hash"), ["study_id", "sentence_hash"])
        notice.drop_constraint(op.f("uq_ups_notice_study_id_content_hash"), type_="unique")
        for column in ("content_hash", "values", "severity", "code"):
            notice.drop_column(column)


def _restore_dropped() -> None:
    op.add_column("ups_dropped", sa.Column("reason", _text(), nullable=True))
    _restore_sentences("ups_dropped", "reason")
    with op.batch_alter_table("ups_dropped") as dropped:
        dropped.alter_column("reason", existing_type=_text(), nullable=False)
        for column in ("values", "severity", "code"):
            dropped.drop_column(column)


def _restore_sentences(name: str, sentence: str) -> None:
    connection = op.get_bind()
    table = sa.table(
        name,
        sa.column("id", sa.Integer()),
        sa.column("code", sa.String()),
        sa.column("values", sa.JSON()),
        sa.column(sentence, _text()),
        sa.column("sentence_hash", sa.String()),
    )
    for row in connection.execute(sa.select(table.c.id, table.c.code, table.c["values"])).all():
        # Newer notices have no sentence of their own; their code and values say the same.
        text = row[2].get("sentence") or f"{row[1]} {_canonical(row[2])}"
        restored = {sentence: text}
        if sentence == "sentence":
            restored["sentence_hash"] = sha256(text.encode()).hexdigest()
        connection.execute(sa.update(table).where(table.c.id == row[0]).values(restored))

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from made_record import made_record, made_trial, whole_record
from made_studies import SIX, many, studies
from sklearn.metrics import f1_score

from unipelt_search.records.report import StudyReport
from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.heat_maps import MOST_LABELS
from unipelt_search.reporting.label_tables import LabelTables, label_tables


def tables_of(report: StudyReport) -> LabelTables:
    tables = label_tables(report)
    assert tables is not None
    return tables


def test_the_worst_label_comes_first_and_few_labels_have_a_whole_matrix() -> None:
    report = build_report(whole_record(SIX))
    tables = tables_of(report)
    assert (tables.method, tables.runs, tables.rest, tables.pairs) == ("lora", 3, (), ())
    f1 = [score.f1 or 0 for score in tables.visible]
    assert f1 == sorted(f1)
    assert tables.confusion is not None
    assert tables.confusion.columns == SIX
    for _, cells in tables.confusion.rows:
        assert sum(cell.shade for cell in cells if cell) == pytest.approx(1)
    # The matrix and the scores tell the same, by scikit-learn.
    entry = next(e for e in report.outcomes if (e.method, e.split) == ("lora", "test"))
    pairs = np.array([(SIX.index(c.label), SIX.index(c.predicted)) for c in entry.confusion for _ in range(c.n)])  # type: ignore[arg-type]
    wanted = f1_score(pairs[:, 0], pairs[:, 1], average=None)
    assert [score.f1 for score in entry.labels] == pytest.approx(wanted)


def test_with_many_labels_the_most_confused_pairs_stand_for_the_matrix() -> None:
    tables = tables_of(build_report(whole_record(many(77))))
    assert (len(tables.visible), len(tables.rest), tables.confusion) == (MOST_LABELS, 77 - MOST_LABELS, None)
    assert len(tables.pairs) == MOST_LABELS < tables.confused
    assert all(a.n >= b.n for a, b in pairwise(tables.pairs))
    assert all(pair.label != pair.predicted and 0 < pair.share <= 1 for pair in tables.pairs)
    assert tables.by_method is not None
    assert len(tables.by_method.rows) == MOST_LABELS
    assert "20 labels of 77" in tables.by_method.title


def test_methods_are_compared_in_the_order_of_the_leaderboard() -> None:
    by_method = tables_of(build_report(whole_record(SIX))).by_method
    assert by_method is not None
    assert by_method.columns == ("lora", "adapter", "unipelt_apl", "fine_tuning", "bitfit", "head")
    assert [name for name, _ in by_method.rows] == list(SIX)
    assert by_method.title == "F1 by method"


def test_any_number_of_labels_has_scores_and_no_matrix() -> None:
    tables = tables_of(build_report(studies()["multi-label"]))
    assert (tables.several, tables.confusion, tables.pairs, tables.confused) == (True, None, (), 0)
    assert [score.label for score in tables.visible if score.precision is None] == []


def test_without_confirmed_runs_or_labels_there_is_nothing_to_show() -> None:
    for name in ("not-confirmed", "regression", "nothing-yet", "failed"):
        assert label_tables(build_report(studies()[name])) is None
    (alone,) = [tables_of(build_report(made_record(made_trial(1, "lora", 0.8, {1: 0.8}))))]
    assert (alone.by_method, alone.runs) == (None, 1)

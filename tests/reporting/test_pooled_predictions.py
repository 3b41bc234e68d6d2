from __future__ import annotations

import numpy as np
import pytest
from made_record import folded, made_record, made_trial, whole_record, with_probabilities
from made_studies import SIX, mislabelled, multi_label, regression

from unipelt_search.records.history import StudyRecord
from unipelt_search.records.report import StudyReport
from unipelt_search.reporting.assemble import build_report, render_json
from unipelt_search.reporting.frames import predictions_frame
from unipelt_search.reporting.pooled_predictions import MOST_MISSED, pool_predictions
from unipelt_search.verdict.ranking import rank_methods

TWO = with_probabilities(whole_record(("negative", "positive")))
NEW_KEYS = {"calibration", "thresholds", "missed", "agreement"}


def test_a_study_without_probabilities_has_none_of_the_parts() -> None:
    for record in (whole_record(SIX), regression(), made_record(), folded(whole_record())):
        report = build_report(record)
        assert (report.calibration, report.thresholds, report.missed, report.agreement) == ((), (), None, ())
        assert not NEW_KEYS & set(report.model_dump())


def test_the_parts_are_keys_of_the_report_and_come_back() -> None:
    report = build_report(TWO)
    assert set(report.model_dump()) >= NEW_KEYS
    assert StudyReport.model_validate_json(render_json(report)) == report


def test_every_confirmed_method_is_calibrated_on_both_splits() -> None:
    report = build_report(TWO)
    assert len(report.calibration) == 6 * 2
    frame = predictions_frame(TWO)
    for entry in report.calibration:
        rows = frame[(frame["method"] == entry.method) & (frame["split"] == entry.split)]
        assert (entry.runs, entry.label, len(entry.ece_of_runs)) == (3, None, 3)
        assert sum(held.n for held in entry.bins) == len(rows)
        right = sum(held.share * held.n for held in entry.bins)
        assert right == pytest.approx((rows["label"] == rows["predicted"]).sum())
        assert entry.ece == pytest.approx(np.mean(entry.ece_of_runs))


def test_with_folds_the_runs_of_a_repeat_are_one() -> None:
    plain, dealt = build_report(TWO), build_report(folded(TWO))
    for old, new in zip(plain.calibration, dealt.calibration, strict=True):
        if old.split == "select":
            assert (new.runs, new.ece) == (3, pytest.approx(old.ece, abs=1e-12))
        else:
            assert new.runs == 15
    assert dealt.missed is not None
    assert plain.missed is not None
    assert (dealt.missed.select, dealt.missed.test) == (plain.missed.select, plain.missed.test)
    assert {row.row for row in dealt.missed.rows} == {row.row for row in plain.missed.rows}


def test_labels_of_sets_are_calibrated_one_by_one_and_only_the_best_has_bins() -> None:
    report = build_report(with_probabilities(multi_label()))
    of_head = [entry for entry in report.calibration if (entry.method, entry.split) == ("head", "test")]
    assert [entry.label for entry in of_head] == list(SIX)
    assert not any(entry.bins for entry in of_head)
    assert all(entry.bins for entry in report.calibration if entry.name == report.verdict.name)
    (select, test) = report.thresholds
    assert (select.split, test.split, test.label, test.positives) == ("select", "test", None, 1500)


def test_only_the_best_of_two_classes_has_a_threshold_curve() -> None:
    report = build_report(TWO)
    assert [(entry.method, entry.label) for entry in report.thresholds] == [("lora", "positive")] * 2
    assert build_report(with_probabilities(whole_record(SIX))).thresholds == ()
    at_half = report.thresholds[1]
    frame = predictions_frame(TWO).query("method == 'lora' and split == 'test'")
    found = frame["probability.positive"] >= 0.5
    precision = (frame["label"][found] == "positive").mean()
    assert at_half.precision[at_half.threshold.index(0.5)] == pytest.approx(precision, abs=1e-12)


def test_rows_that_every_method_misses_lead_back_to_the_users_files() -> None:
    report = build_report(TWO)
    missed = report.missed
    assert missed is not None
    assert set(missed.methods) == {row.name for row in report.leaderboard if row.phase == "confirm"}
    assert len(missed.rows) == MOST_MISSED
    assert (missed.select or 0) + (missed.test or 0) > MOST_MISSED
    sureness = [row.probability for row in missed.rows]
    assert sureness == sorted(sureness, reverse=True)
    frame = predictions_frame(TWO)
    for row in missed.rows[:10]:
        of_row = frame[(frame["split"] == row.split) & (frame["row"] == row.row)]
        assert set(of_row["label"]) == {row.label} != {row.predicted}
        assert (set(of_row["file"]), set(of_row["line"])) == ({row.file}, {row.line})
        assert row.unit == ("line" if row.file == f"{row.split}.csv" else "row")
        wrong = of_row["label"] != of_row["predicted"]
        assert (wrong.groupby(of_row["method"]).mean() > 0.5).all()
        assert row.share == pytest.approx((of_row["predicted"] == row.predicted).mean())
        assert row.probability == pytest.approx(of_row[f"probability.{row.predicted}"].astype(float).mean())


def without_origins(record: StudyRecord) -> StudyRecord:
    return record.model_copy(update={"origins": ()})


def test_rows_of_which_nobody_knows_the_origin_have_their_number() -> None:
    missed = build_report(without_origins(TWO)).missed
    assert missed is not None
    assert {(row.file, row.line, row.unit) for row in missed.rows} == {(None, None, None)}


def test_every_two_methods_are_compared_on_both_splits() -> None:
    report = build_report(TWO)
    assert len(report.agreement) == 2 * 15
    frame = predictions_frame(TWO).query("split == 'test'")
    by_run = frame.pivot_table(index=["run", "row"], columns="method", values="predicted", aggfunc="first")
    for entry in report.agreement[15:]:
        first, second = entry.methods
        assert entry.equal == pytest.approx((by_run[first] == by_run[second]).mean())
        assert entry.kappa is not None


def test_a_single_method_has_everything_but_agreement() -> None:
    record = with_probabilities(made_record(made_trial(0, "lora", 0.8, {1: 0.8, 2: 0.79})))
    found = pool_predictions(record, rank_methods(record).confirmed, "lora")
    assert found.agreement == ()
    assert found.missed is not None
    assert found.missed.methods == ("lora",)
    assert len(found.calibration) == 2


def test_of_numbers_only_the_missed_rows_are_known() -> None:
    record = mislabelled()
    report = build_report(record)
    assert (report.calibration, report.thresholds, report.agreement) == ((), (), ())
    assert report.missed is not None
    assert sorted((row.split, row.row) for row in report.missed.rows) == [
        ("select", 3), ("select", 7), ("test", 3), ("test", 7),
    ]  # fmt: skip
    frame = predictions_frame(record)
    errors = []
    for row in report.missed.rows:
        of_row = frame[(frame["split"] == row.split) & (frame["row"] == row.row)]
        assert isinstance(row.label, str)
        assert isinstance(row.predicted, str)
        assert set(of_row["label"]) == {float(row.label)}
        assert float(row.predicted) == pytest.approx(of_row["predicted"].mean(), rel=1e-5)
        errors.append(abs(float(row.label) - of_row["predicted"].mean()))
        assert row.probability is None
    assert errors == sorted(errors, reverse=True)

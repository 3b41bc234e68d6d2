from __future__ import annotations

import pytest
from made_record import folded, made_record, made_trial, whole_record, with_probabilities
from made_studies import SIX, multi_label, regression

from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.prediction_figures import (
    agreement_maps,
    calibration_figures,
    missed_table,
    threshold_figures,
)

TWO = build_report(with_probabilities(whole_record(("negative", "positive"))))
SETS = build_report(with_probabilities(multi_label()))


@pytest.mark.parametrize("record", [whole_record(), regression(), made_record()])
def test_without_probabilities_there_is_nothing_to_show(record: object) -> None:
    report = build_report(record)  # type: ignore[arg-type]
    assert calibration_figures(report) is None
    assert threshold_figures(report) is None
    assert missed_table(report) is None
    assert agreement_maps(report) == []


def test_every_method_has_its_error_and_the_best_one_a_diagram() -> None:
    figures = calibration_figures(TWO, size=150)
    assert figures is not None
    assert [row.name for row in figures.rows] == [row.name for row in TWO.leaderboard if row.phase == "confirm"]
    assert (figures.split, figures.best.name, figures.best.runs, figures.of_labels) == ("test", "lora", 3, False)
    entry = next(entry for entry in TWO.calibration if (entry.method, entry.split) == ("lora", "test"))
    assert figures.best.ece == pytest.approx(entry.ece)
    assert figures.best.lowest <= figures.best.ece <= figures.best.highest
    (diagram,) = figures.diagrams
    assert len(diagram.bars) == len(entry.bins)
    for bar, held in zip(diagram.bars, entry.bins, strict=True):
        assert (bar.x, bar.x + bar.width) == pytest.approx((150 * held.low, 150 * held.high), abs=0.11)
        assert (bar.height, bar.y) == pytest.approx((150 * held.share, 150 - 150 * held.share), abs=0.11)
        assert bar.said == pytest.approx(150 - 150 * held.probability, abs=0.11)


def test_of_labels_those_with_the_highest_error_have_diagrams() -> None:
    figures = calibration_figures(SETS)
    assert figures is not None
    assert figures.of_labels
    errors = {entry.label: entry.ece for entry in SETS.calibration if (entry.name, entry.split) == ("lora", "test")}
    assert [diagram.title for diagram in figures.diagrams] == sorted(errors, key=lambda label: -errors[label])[:6]
    assert figures.best.ece == pytest.approx(sum(errors.values()) / len(errors))


def test_the_threshold_is_chosen_on_the_deciding_rows_and_judged_on_test() -> None:
    figures = threshold_figures(TWO)
    assert figures is not None
    assert (figures.method, figures.label, figures.on_select) == ("lora", "positive", True)
    assert [line.name for line in figures.chart.lines] == ["precision", "recall", "F1"]
    select, test = TWO.thresholds
    best = max(value for value in select.f1 if value is not None)
    assert f"{best:.3f}" in figures.sentence
    number = select.f1.index(best)
    assert f"{test.f1[number]:.3f}" in figures.sentence
    only_test = TWO.model_copy(update={"thresholds": (test,)})
    on_test = threshold_figures(only_test)
    assert on_test is not None
    assert not on_test.on_select


def test_with_no_row_of_the_label_no_threshold_can_be_judged() -> None:
    select = TWO.thresholds[0]
    nothing = dict.fromkeys(("precision", "recall", "f1"), (None,) * len(select.threshold))
    figures = threshold_figures(TWO.model_copy(update={"thresholds": (select.model_copy(update=nothing),)}))
    assert figures is not None
    assert figures.chart.lines == ()


def test_missed_rows_are_named_as_the_user_knows_them() -> None:
    table = missed_table(TWO)
    assert table is not None
    assert TWO.missed is not None
    first = TWO.missed.rows[0]
    assert table.rows[0].origin == f"{first.unit} {first.line} of {first.file}"
    assert {table.rows[0].label, table.rows[0].predicted} == {"negative", "positive"}
    for part in (str(TWO.missed.select), str(TWO.missed.test), "6 confirmed methods", "50"):
        assert part in table.sentence
    unknown = first.model_copy(update={"file": None, "line": None, "unit": None})
    report = TWO.model_copy(update={"missed": TWO.missed.model_copy(update={"rows": (unknown,)})})
    table = missed_table(report)
    assert table is not None
    assert table.rows[0].origin == f"row {first.row} of {first.split}"


def test_a_row_without_labels_is_written_as_such() -> None:
    assert SETS.missed is not None
    row = SETS.missed.rows[0].model_copy(update={"label": (), "predicted": ("a", "b"), "probability": None})
    table = missed_table(SETS.model_copy(update={"missed": SETS.missed.model_copy(update={"rows": (row,)})}))
    assert table is not None
    assert (table.rows[0].label, table.rows[0].predicted, table.rows[0].probability) == ("–", "a, b", "–")


def test_every_pair_of_methods_has_both_its_cells() -> None:
    equal, kappa = agreement_maps(TWO)
    assert len(equal.columns) == 6
    for number, (name, cells) in enumerate(equal.rows):
        assert name == equal.columns[number]
        assert cells[number] is None
        for other, cell in enumerate(cells):
            assert cell == equal.rows[other][1][number]
    assert kappa.rows[0][1][1] is not None
    alone = build_report(with_probabilities(made_record(made_trial(0, "lora", 0.8, {1: 0.8, 2: 0.7}))))
    assert agreement_maps(alone) == []


def test_with_folds_the_rows_are_those_of_train_and_validation() -> None:
    report = build_report(folded(with_probabilities(whole_record(SIX))))
    table = missed_table(report)
    assert table is not None
    assert "folds" in table.sentence

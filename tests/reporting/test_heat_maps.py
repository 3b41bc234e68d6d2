from __future__ import annotations

import pandas as pd
import pytest
from made_record import GATES, LABELS, made_record, made_trial, whole_record
from made_studies import many

from unipelt_search.records.report import GatesOfRuns, ReportedAblation, ReportedGate, StudyReport
from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.heat_maps import MOST_LABELS, Cell, HeatMap, ablation_maps, gated_trials

REPORT = build_report(whole_record())


def test_a_gated_trial_has_maps_by_layer_contribution_and_label() -> None:
    (entry,) = gated_trials(REPORT)
    assert (entry.name, entry.trial, entry.runs, entry.split) == ("unipelt_apl", 5, 3, "select")
    layers, contributions, labels = entry.maps
    assert layers.columns == contributions.columns == labels.columns == GATES
    assert [name for name, _ in layers.rows] == ["5", "4", "3", "2", "1", "0"]  # nearest to the output on top
    assert [name for name, _ in labels.rows] == list(LABELS)
    top = layers.rows[0][1][0]
    row = next(r for r in REPORT.gates if (r.layer, r.gate, r.split, r.label) == (5, "adapter", "select", None))
    assert top is not None
    assert (top.text, top.shade) == (f"{row.mean:.2f}", row.mean)
    shades = [cell.shade for map_ in entry.maps for _, cells in map_.rows for cell in cells if cell]
    assert all(0 <= shade <= 1 for shade in shades)


def test_a_label_cell_is_the_mean_over_layers() -> None:
    (entry,) = gated_trials(REPORT)
    own = [r.mean for r in REPORT.gates if (r.gate, r.label) == ("prefix", LABELS[1])]
    cell = entry.maps[2].rows[1][1][GATES.index("prefix")]
    assert cell is not None
    assert cell.shade == pytest.approx(sum(own) / len(own))


def test_layers_matter_only_where_several_submodules_compete() -> None:
    (found,) = ablation_maps(REPORT.ablation, REPORT.task)
    assert found.title == "unipelt_apl"
    assert found.columns == ("adapter", "prefix", "lora")
    assert [cell.text for cell in found.rows[0][1] if cell] == ["−0.100"] * 3
    assert ablation_maps([], REPORT.task) == []


def test_a_study_without_gates_has_no_maps() -> None:
    assert gated_trials(build_report(made_record(made_trial(0, "head", 0.5)))) == []


def cell_of(map: HeatMap, row: str, column: str) -> Cell:
    cell = dict(map.rows)[row][map.columns.index(column)]
    assert cell is not None
    return cell


def ablated(drop: float, layer: int | None, submodule: str = "lora", method: str = "unipelt_apl") -> ReportedAblation:
    return ReportedAblation(trial=0, method=method, submodule=submodule, layer=layer, value=0.8 - drop, drop=drop)


def test_a_gate_that_was_not_recorded_leaves_an_empty_cell() -> None:
    gates = tuple(r for r in REPORT.gates if (r.layer, r.gate) != (2, "prefix"))
    by_layer = gated_trials(REPORT.model_copy(update={"gates": gates}))[0].maps[0]
    assert dict(by_layer.rows)["2"][by_layer.columns.index("prefix")] is None


def test_contributions_of_nothing_at_all_can_be_drawn() -> None:
    gates = tuple(row.model_copy(update={"contribution": 0.0}) for row in REPORT.gates)
    maps = gated_trials(REPORT.model_copy(update={"gates": gates}))[0].maps
    assert {cell.shade for _, cells in maps[1].rows for cell in cells if cell} == {0.0}


def test_before_the_confirm_phase_only_the_best_trial_of_a_method_is_shown() -> None:
    record = made_record(
        made_trial(0, "unipelt_apl", 0.7), made_trial(1, "unipelt_apl", 0.8), made_trial(2, "head", 0.5)
    )
    report = build_report(record)
    assert {row.trial for row in report.gates} == {0, 1}
    tune = tuple(row for row in report.gates if row.split == "tune")
    (entry,) = gated_trials(report.model_copy(update={"gates": tune}))
    assert (entry.trial, entry.split, entry.epoch, len(entry.maps)) == (1, "tune", 3.0, 1)


def test_ablation_is_on_one_scale_and_a_gain_counts_as_no_drop() -> None:
    rows = [ablated(0.08, 0), ablated(0.02, 1), ablated(-0.01, 0, "adapter"), ablated(0.5, None)]
    single = ablated(0.9, 0, method="lora")
    (found,) = ablation_maps([*rows, single], REPORT.task)
    assert found.title == "unipelt_apl"
    assert [cell_of(found, row, "lora").shade for row in ("0", "1")] == pytest.approx([1.0, 0.25])
    gain = cell_of(found, "0", "adapter")
    assert (gain.text, gain.shade) == ("+0.010", 0.0)
    assert cell_of(found, "0", "lora").text == "−0.080"
    (nothing,) = ablation_maps([ablated(0.0, 0)], REPORT.task)
    assert nothing.rows[0][1][0] == Cell("0.000", 0.0, "0.800 without lora in layer 0")


def test_a_loss_raises_an_error() -> None:
    errors = REPORT.task.model_copy(update={"direction": "minimize"})
    (found,) = ablation_maps([ablated(0.08, 0), ablated(-0.01, 1)], errors)
    assert [cell_of(found, row, "lora").text for row in ("0", "1")] == ["+0.080", "−0.010"]
    assert [cell_of(found, row, "lora").shade for row in ("0", "1")] == [1.0, 0.0]


def test_of_many_labels_those_farthest_from_the_mean_are_shown() -> None:
    (entry,) = gated_trials(build_report(whole_record(many(77))))
    by_label = entry.maps[2]
    assert len(by_label.rows) == MOST_LABELS
    assert by_label.title == "Mean gate by true label: the 20 of 77 farthest from the mean"
    rows = [row for row in build_report(whole_record(many(77))).gates if row.label is not None]
    means = pd.DataFrame([row.model_dump() for row in rows]).pivot_table(index="label", columns="gate", values="mean")
    oddness = (means - means.mean()).abs().max(axis=1)
    visible = [name for name, _ in by_label.rows]
    assert oddness[visible].min() >= oddness.drop(visible).max()


def test_a_variant_has_a_map_of_its_own_beside_its_method() -> None:
    plain, own = ablated(0.1, 0), ablated(0.2, 0).model_copy(update={"trial": 1, "variant": "mine"})
    maps = ablation_maps([plain, own], REPORT.task)
    assert [map_.title for map_ in maps] == ["unipelt_apl", "mine"]
    assert [cell_of(map_, "0", "lora").text for map_ in maps] == ["−0.100", "−0.200"]


def test_gates_with_a_null_have_a_map_of_what_is_beyond_it() -> None:
    record = whole_record()
    trials = []
    for trial in record.trials:
        runs = []
        for run in trial.runs:
            assert run.result is not None
            gates = run.result.gates
            if run.seed_index == 1:  # one run has a null
                gates = tuple(
                    row.model_copy(update={"null_mean": row.mean - 0.25}) if row.split == "select" else row
                    for row in gates
                )
            runs.append(run.model_copy(update={"result": run.result.model_copy(update={"gates": gates})}))
        trials.append(trial.model_copy(update={"runs": tuple(runs)}))
    report = build_report(record.model_copy(update={"trials": tuple(trials)}))
    entry = gated_trials(report)[0]
    assert [found.title for found in entry.maps][1] == "Mean gate minus its value after training on shuffled labels"
    cells = [cell for _, row in entry.maps[1].rows for cell in row if cell is not None]
    assert {cell.text for cell in cells} == {"+0.250"}
    assert "when trained on shuffled labels" in next(c for _, row in entry.maps[0].rows for c in row if c).title
    assert len(gated_trials(REPORT)[0].maps) == len(entry.maps) - 1


def opposite(gates: tuple[ReportedGate, ...]) -> StudyReport:
    return REPORT.model_copy(update={"gates": gates})


def test_a_gate_that_is_open_in_one_run_and_closed_in_another_has_two_colours() -> None:
    changed = []
    for row in REPORT.gates:
        if (row.layer, row.gate) == (2, "adapter"):
            runs = GatesOfRuns(run=(1, 2, 3), mean=(0.2, 0.8, 0.3), q50=(0.2, 0.8, 0.3), q05=(0.1,) * 3, q95=(0.9,) * 3)
            row = row.model_copy(update={"agrees": False, "between_sd": 0.3, "per_run": runs})
        changed.append(row)
    (entry,) = gated_trials(opposite(tuple(changed)))
    layers, _, labels = entry.maps
    cell = cell_of(layers, "2", "adapter")
    assert (cell.text, cell.shade, cell.other) == ("0.20", 0.2, ("≠ 0.80", 0.8))
    assert "run 2: 0.80 (0.10 to 0.90)" in cell.title
    assert "the runs disagree" in cell.title
    assert cell_of(layers, "3", "adapter").other is None
    assert cell_of(labels, LABELS[0], "adapter").other == ("≠ 0.80", 0.8)
    (apart,) = entry.apart
    assert (apart.gate, apart.layer, apart.between, apart.bars) == ("adapter", 2, "0.30", "")
    assert (apart.lowest, apart.highest) == ("run 1: 0.20 (0.10 to 0.90)", "run 2: 0.80 (0.10 to 0.90)")
    assert "disagree on 1 of 24" in entry.agreement


def test_a_histogram_is_drawn_from_the_left_to_the_right() -> None:
    (row, *_) = (row for row in REPORT.gates if row.split == "select" and row.label is None)
    counts = (0,) * 10 + (4,) + (0,) * 20 + (8,) + (0,) * 32
    apart = row.model_copy(update={"agrees": False, "histogram": counts})
    (entry,) = gated_trials(opposite((apart,)))
    bars = entry.apart[0].bars
    assert bars.startswith("M0 16V16h1")
    assert bars.count("h1") == 64
    assert (bars.count("V8h1"), bars.count("V0h1")) == (1, 1)


def test_a_control_is_held_against_its_own_run() -> None:
    rows = []
    for row in REPORT.gates:
        if row.split == "select" and row.label is None and row.per_run is not None:
            runs = row.per_run.model_copy(update={"mean": (0.7, 0.1, 0.1), "null_mean": (0.6, None, None)})
            row = row.model_copy(update={"null_mean": 0.6, "per_run": runs})
        rows.append(row)
    (entry,) = gated_trials(opposite(tuple(rows)))
    assert entry.maps[1].title.startswith("Mean gate minus its value after training on shuffled labels")
    assert cell_of(entry.maps[1], "0", "adapter").text == "+0.100"

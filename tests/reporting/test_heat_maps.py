from __future__ import annotations

import pytest
from made_record import GATES, LABELS, made_record, made_trial, whole_record

from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.heat_maps import ablation_maps, gated_trials

REPORT = build_report(whole_record())


def test_a_gated_trial_has_maps_by_layer_contribution_and_label() -> None:
    (entry,) = gated_trials(REPORT)
    assert (entry.method, entry.trial, entry.runs, entry.split) == ("unipelt_apl", 5, 3, "select")
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
    (found,) = ablation_maps(REPORT.ablation)
    assert found.title == "unipelt_apl"
    assert found.columns == ("adapter", "prefix", "lora")
    assert [cell.text for cell in found.rows[0][1] if cell] == ["−0.100"] * 3
    assert ablation_maps([]) == []


def test_a_study_without_gates_has_no_maps() -> None:
    assert gated_trials(build_report(made_record(made_trial(0, "head", 0.5)))) == []

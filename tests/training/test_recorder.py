from __future__ import annotations

import numpy as np
import pytest
import torch

from unipelt_search.training.recorder import GateRecorder, RecordedGate, gate_rows, gate_values, has_label


def test_statistics_are_numpys_over_the_rows_seen() -> None:
    values = np.random.default_rng(0).random(10)
    labels = np.arange(10) % 2
    recorder = GateRecorder(1, 12, contributions=True)
    for part in (np.array([4, 2, 0, 9]), np.array([1, 3, 5, 6, 7, 8])):
        recorder.begin(part)
        recorder.record("gate", 3, "adapter", torch.tensor(values[part]))
        recorder.record("contribution", 3, "adapter", torch.tensor(2 * values[part]))
    padded = np.append(labels, [0, 0])
    initial = {(3, "adapter"): np.full(12, 0.5)}
    rows = list(
        gate_rows(
            recorder.of_slot(0, initial),
            epoch=2.0,
            stacks=["encoder"] * 9,
            split="select",
            labels=padded,
            names=("a", "b", "never"),
        )
    )
    assert [row.label for row in rows] == [None, "a", "b"]
    overall, odd = rows[0], rows[2]
    assert (overall.layer, overall.gate, overall.n, odd.n) == (3, "adapter", 10, 5)
    assert overall.mean == pytest.approx(values.mean(), abs=1e-6)
    assert overall.sd == pytest.approx(values.std(ddof=1), abs=1e-6)
    assert (overall.q05, overall.q50, overall.q95) == pytest.approx(np.quantile(values, [0.05, 0.5, 0.95]), abs=1e-6)
    assert overall.share_active == (values > 0.5).mean()
    assert overall.contribution == pytest.approx(2 * values.mean(), abs=1e-6)
    assert odd.mean == pytest.approx(values[1::2].mean(), abs=1e-6)
    assert odd.initial_mean == 0.5


def test_a_slot_without_a_gate_has_no_rows_and_one_example_has_no_spread() -> None:
    recorder = GateRecorder(2, 1, contributions=False)
    recorder.begin(np.array([0]))
    recorder.record("gate", 0, "prefix", torch.tensor([0.25, float("nan")]))
    assert recorder.gates(1) == {}
    (row,) = gate_rows(
        recorder.of_slot(0, recorder.gates(0)),
        epoch=0.0,
        stacks=["encoder"] * 9,
        split="tune",
        labels=np.zeros(1, dtype=int),
    )
    assert (row.mean, row.sd, row.contribution) == (0.25, 0.0, None)


def test_rows_with_sets_of_labels_stand_with_each_of_them() -> None:
    assert has_label(np.array([2, 0, 2]), 2).tolist() == [True, False, True]
    assert has_label(np.array([[1, 0], [1, 1], [0, 0]]), 0).tolist() == [True, True, False]


def test_gates_are_kept_row_by_row_in_half_precision() -> None:
    values = np.random.default_rng(0).random((2, 6))
    gates = [RecordedGate(layer, "prefix", row, None, row) for layer, row in enumerate(values)]
    kept = gate_values(gates, stacks=["encoder", "decoder"], rows=np.array([0, 2, 5]))
    assert [(name.stack, name.layer, name.gate) for name in kept.gates] == [
        ("encoder", 0, "prefix"), ("decoder", 1, "prefix"),
    ]  # fmt: skip
    assert kept.rows == (0, 2, 5)
    half = np.frombuffer(kept.values, dtype="<f2").reshape(2, 3)
    assert half == pytest.approx(values[:, [0, 2, 5]], abs=2**-11)

from __future__ import annotations

import pytest
from made_record import gate_row, made_trial

from unipelt_search.records.report import ReportedGate
from unipelt_search.reporting.gate_words import agreement, farthest_apart, summarise
from unipelt_search.reporting.pooled_gates import KeptGates, RunRow, pool_rows

TRIAL = made_trial(4, "unipelt_apl", 0.8)


def of_runs(layer: int, *means: float) -> ReportedGate:
    rows = [RunRow(number, gate_row(layer, "prefix", mean)) for number, mean in enumerate(means, start=1)]
    return pool_rows(TRIAL, rows, KeptGates((), ()))


CLOSED, OPEN = of_runs(0, 0.4, 0.41), of_runs(1, 0.8, 0.81)
OPPOSITE, LESS_SO = of_runs(2, 0.3, 0.7), of_runs(3, 0.7, 0.9)


def test_runs_that_agree_are_one_figure() -> None:
    assert summarise([CLOSED]).text == "0.41"
    assert summarise([CLOSED, OPEN]).text == "0.60"


def test_an_open_and_a_closed_gate_never_look_half_open() -> None:
    assert summarise([OPPOSITE]).text == "0.30 ≠ 0.70"
    found = summarise([CLOSED, OPPOSITE, LESS_SO])
    assert (found.apart, found.layers, found.low, found.high) == (2, 3, pytest.approx(0.5), pytest.approx(0.8))
    assert found.text == "0.50 ≠ 0.80 in 2 of 3"


def test_layers_do_not_make_up_for_one_another() -> None:
    swapped = of_runs(4, 0.7, 0.3)
    assert summarise([OPPOSITE, swapped]).text == "0.30 ≠ 0.70 in 2 of 2"


def test_the_sentence_tells_the_gate_that_differs_most() -> None:
    rows = [LESS_SO, CLOSED, OPPOSITE]
    assert farthest_apart(rows) == [OPPOSITE, LESS_SO]
    said = agreement(rows)
    assert "disagree on 2 of 3" in said
    assert "prefix in layer 2 is open in one run (median 0.70) and closed in another (0.30)" in said
    assert "0.70 in one run and 0.90 in another" in agreement([LESS_SO])
    assert "2 runs agree on all 2" in agreement([CLOSED, OPEN])
    assert "One run" in agreement([of_runs(0, 0.3)])

from __future__ import annotations

import numpy as np
import pytest
from made_record import gate_row, made_trial

from unipelt_search.reporting.pooled_gates import pool_rows


def test_pooled_mean_and_sd_are_those_of_all_examples_together() -> None:
    random = np.random.default_rng(0)
    samples = [random.normal(mean, 0.1, size) for mean, size in ((0.4, 30), (0.6, 50), (0.55, 7))]
    rows = [gate_row(0, "adapter", float(s.mean()), sd=float(s.std(ddof=1)), n=len(s)) for s in samples]
    pooled = pool_rows(made_trial(4, "unipelt_apl", 0.8), rows)
    together = np.concatenate(samples)
    assert (pooled.n, pooled.runs, pooled.trial) == (87, 3, 4)
    assert (pooled.mean, pooled.sd) == pytest.approx((together.mean(), together.std(ddof=1)))


def test_final_rows_of_runs_that_stopped_at_different_epochs_are_pooled() -> None:
    rows = [gate_row(0, "adapter", 0.4, n=100, epoch=2.0), gate_row(0, "adapter", 0.6, n=300, epoch=6.0)]
    pooled = pool_rows(made_trial(4, "unipelt_apl", 0.8), rows)
    assert (pooled.epoch, pooled.mean, pooled.n) == pytest.approx((5.0, 0.55, 400))


def test_a_contribution_needs_every_run() -> None:
    trial = made_trial(0, "unipelt_apl", 0.8)
    known, unknown = gate_row(0, "prefix", 0.5, contribution=0.2), gate_row(0, "prefix", 0.5, contribution=None)
    assert pool_rows(trial, [known, known]).contribution == pytest.approx(0.2)
    assert pool_rows(trial, [known, unknown]).contribution is None
    single = pool_rows(trial, [gate_row(0, "prefix", 0.5, n=1, sd=0.0)])
    assert single.sd == 0

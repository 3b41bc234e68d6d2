from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from tiny import tiny_task
from unipelt_search.training.batches import evaluation_batches, lengths_of, make_batch, training_batches

LENGTHS = np.random.default_rng(0).integers(3, 60, 103)


def test_an_epoch_is_every_row_once() -> None:
    batches = list(islice(training_batches(LENGTHS, 8, 1), 13))
    assert sorted(np.concatenate(batches)) == list(range(103))
    assert sorted(map(len, batches)) == [7] + [8] * 12
    again = list(islice(training_batches(LENGTHS, 8, 1), 26))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again[:13], strict=True))
    assert sorted(np.concatenate(again[13:])) == list(range(103))
    assert not all(np.array_equal(a, b) for a, b in zip(again[:13], again[13:], strict=True))


def test_batches_hold_similar_lengths_in_no_fixed_order() -> None:
    batches = list(islice(training_batches(LENGTHS, 8, 1), 13))
    spread = np.mean([np.ptp(LENGTHS[rows]) for rows in batches])
    assert spread < np.ptp(LENGTHS) / 4
    means = [LENGTHS[rows].mean() for rows in batches]
    assert means != sorted(means)


def test_runs_of_a_pack_meet_similar_lengths_at_the_same_time() -> None:
    first, second = (list(islice(training_batches(LENGTHS, 8, seed), 13)) for seed in (1, 2))
    gaps = [abs(LENGTHS[a].mean() - LENGTHS[b].mean()) for a, b in zip(first, second, strict=True)]
    assert max(gaps) < 12
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_evaluation_visits_each_asked_row_once() -> None:
    rows = np.arange(0, 103, 2)
    batches = evaluation_batches(LENGTHS, rows)
    assert sorted(np.concatenate(batches)) == list(rows)


def test_a_batch_is_slot_major_padded_and_weighted() -> None:
    split = tiny_task().train
    rows = [np.array([3, 4, 5]), np.array([7])]
    batch = make_batch(split, rows, 0, torch.device("cpu"))
    width = max(lengths_of(split)[[3, 4, 5, 7]])
    assert batch.inputs["input_ids"].shape == (6, width)
    assert batch.inputs["input_ids"][3, : len(split.input_ids[7])].tolist() == list(split.input_ids[7])
    assert batch.inputs["attention_mask"].sum(1).tolist() == [*lengths_of(split)[[3, 4, 5, 7]], 1, 1]
    assert batch.weights.tolist() == [pytest.approx([1 / 3] * 3), [1.0, 0.0, 0.0]]
    assert batch.labels[0].tolist() == split.labels[[3, 4, 5]].tolist()
    assert batch.tokens == sum(lengths_of(split)[[3, 4, 5, 7]])


def test_a_row_counts_by_its_weight_whatever_is_beside_it() -> None:
    plain = tiny_task().train
    split = replace(plain, weights=np.linspace(0.5, 3, len(plain)))
    rows = [np.array([3, 4, 5]), np.array([7])]
    batch = make_batch(split, rows, 0, torch.device("cpu"))
    expected = [[*(split.weights[[3, 4, 5]] / 3)], [split.weights[7], 0, 0]]
    assert batch.weights.tolist() == [pytest.approx(row) for row in expected]

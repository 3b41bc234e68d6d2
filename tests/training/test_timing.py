from __future__ import annotations

import pytest
import torch

from tiny import tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.pelt.pack import Pack
from unipelt_search.training import timing
from unipelt_search.training.batches import lengths_of
from unipelt_search.training.timing import time_run


@pytest.mark.parametrize("method", ["lora", "fine_tuning"])
def test_timing_a_run_leaves_the_backbone_as_it_was(method: str) -> None:
    backbone, task = tiny_backbone(), tiny_task()
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    timed = time_run(tiny_run(tiny_trial(method)), backbone, task)
    assert timed.step_seconds > 0
    assert timed.row_seconds > 0
    with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
        assert (timed.trained_parameters, timed.stored_parameters) == pack.counts(0)[:2]
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.model.state_dict().items())


def test_batches_of_unusual_length_are_not_taken_for_the_run() -> None:
    task = tiny_task(train=200)
    run = tiny_run(tiny_trial("head"))
    lengths = lengths_of(task.train)
    by_length = sorted(range(len(lengths)), key=lambda row: lengths[row])
    # An epoch of sorted batches of four, each padded to its longest row.
    padded = [4 * lengths[by_length[end - 1]] for end in range(4, 201, 4)]
    assert timing._positions_per_step(run, task) == pytest.approx(sum(padded) / len(padded), rel=0.02)
    splits = (task.tune, task.select, task.test)
    fewest = sum(lengths_of(split).sum() for split in splits) / 36
    most = max(lengths_of(split).max() for split in splits)
    assert fewest <= timing._positions_per_row(task) <= most


def test_a_step_in_two_passes_is_timed_as_one() -> None:
    backbone, task = tiny_backbone(), tiny_task()
    run = tiny_run(tiny_trial("head"))
    assert time_run(run, backbone, task, 2).step_seconds > 0
    assert time_run(run, backbone, task).start_seconds > 0

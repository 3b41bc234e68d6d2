from __future__ import annotations

import pytest
import torch

from tiny import tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.pelt.pack import Pack
from unipelt_search.training.timing import time_run


@pytest.mark.parametrize("method", ["lora", "fine_tuning"])
def test_timing_a_run_leaves_the_backbone_as_it_was(method: str) -> None:
    backbone, task = tiny_backbone(), tiny_task()
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    timing = time_run(tiny_run(tiny_trial(method)), backbone, task)
    assert timing.step_seconds > 0
    assert timing.row_seconds > 0
    with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
        assert (timing.trained_parameters, timing.stored_parameters) == pack.counts(0)[:2]
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.model.state_dict().items())

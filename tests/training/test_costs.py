from __future__ import annotations

import torch

from unipelt_search.training.costs import PeakMemory


def test_a_peak_that_has_passed_is_seen_and_a_new_meter_starts_lower() -> None:
    meter = PeakMemory(torch.device("cpu"))
    start = meter.megabytes()
    block = torch.ones(40 * 2**18)  # 40 MiB
    meter.sample()
    peak = meter.megabytes()
    del block
    assert peak > start + 30
    assert PeakMemory(torch.device("cpu")).megabytes() < peak - 20

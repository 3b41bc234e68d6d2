from __future__ import annotations

import gc

import torch

from unipelt_search.training.costs import PeakMemory


def test_a_peak_that_has_passed_is_seen_and_a_new_meter_starts_lower() -> None:
    gc.collect()  # what earlier tests left would otherwise be given back somewhere in the middle
    gc.disable()
    try:
        meter = PeakMemory(torch.device("cpu"))
        start = meter.megabytes()
        block = torch.ones(200 * 2**18)  # 200 MiB
        meter.sample()
        peak = meter.megabytes()
        del block
        later = PeakMemory(torch.device("cpu")).megabytes()
    finally:
        gc.enable()
    assert peak > start + 100
    assert later < peak - 100


def test_a_peak_of_another_process_counts() -> None:
    meter = PeakMemory(torch.device("cpu"))
    meter.include(1e7)
    assert meter.megabytes() == 1e7

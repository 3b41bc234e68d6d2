"""How long a run would take, from a few of its steps."""

from __future__ import annotations

import time

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.run_timing import RunTiming
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.encode import EncodedTask
from unipelt_search.training.evaluate import predict
from unipelt_search.training.pack_training import PackTraining

TIMED_STEPS, TIMED_ROWS = 3, 64
"""Steps and tune rows from which the time of a run is estimated."""


def time_run(run: RunSpec, backbone: Backbone, task: EncodedTask) -> RunTiming:
    """Take a few steps of a run and throw them away.

    Args:
        run: The configuration and its seeds.
        backbone: The frozen backbone; left as it was.
        task: The encoded rows.

    Returns:
        Seconds per step and per scored row, and the run's parameters.

    Raises:
        BackboneError: The configuration cannot attach to the backbone.
    """
    with Pack(backbone, [run]) as pack:
        training = PackTraining(pack, [run], task, TIMED_ROWS)
        training.step()  # the first one is slower: it allocates memory
        training.train_seconds = 0.0
        for _ in range(TIMED_STEPS):
            training.step()
        began = time.perf_counter()
        predict(pack, task.tune, task.pad_token_id, training.tune_rows)
        row_seconds = (time.perf_counter() - began) / len(training.tune_rows)
        trained, stored, _ = pack.counts(0)
    return RunTiming(training.train_seconds / TIMED_STEPS, row_seconds, trained, stored)

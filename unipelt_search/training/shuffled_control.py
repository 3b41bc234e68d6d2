"""What gates do when there is nothing to learn: the same training on shuffled labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unipelt_search.records.results import RunResult
from unipelt_search.specs.seeds import derive_seed
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask


def shuffled(task: EncodedTask, seed: int) -> EncodedTask:
    """Shuffle the labels that a run learns from and that choose its checkpoint.

    Args:
        task: The encoded task.
        seed: Decides the order.

    Returns:
        The task with the labels of its train and tune rows in another order each; the other rows keep theirs.
    """

    def mixed(name: str, split: EncodedSplit) -> EncodedSplit:
        random = np.random.Generator(np.random.PCG64(derive_seed(seed, "null", name)))
        return replace(split, labels=split.labels[random.permutation(len(split))])

    train = mixed("train", task.train)
    tune = mixed("tune", task.tune)
    return replace(task, train=train, tune=tune)


def with_shuffled_control(result: RunResult, control: RunResult) -> RunResult:
    """Put what a run's gates are after training on shuffled labels beside what they are.

    Args:
        result: The run's result.
        control: That of the same run on shuffled labels.

    Returns:
        The result, its gate rows on select with their `null_mean`.
    """
    means = {}
    for row in control.gates:
        if row.split == "select":
            means[row.layer, row.gate, row.label] = row.mean
    gates = []
    for row in result.gates:
        if row.split == "select":
            row = row.model_copy(update={"null_mean": means[row.layer, row.gate, row.label]})
        gates.append(row)
    return result.model_copy(update={"gates": tuple(gates)})

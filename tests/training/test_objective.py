from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tiny import randomise, tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.pelt.pack import Pack
from unipelt_search.tasks.target import Target
from unipelt_search.training.objective import Objective

CPU = torch.device("cpu")
S, B, L = 2, 5, 3


def logits(outputs: int = L) -> torch.Tensor:
    return torch.randn(S, B, outputs, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 1.5)])
def test_classes_have_torchs_cross_entropy(weights: tuple[float, ...]) -> None:
    labels = torch.randint(0, L, (S, B), generator=torch.Generator().manual_seed(1))
    losses = Objective(Target("classification", ("a", "b", "c"), weights=weights), CPU)(logits(), labels)
    loss = nn.CrossEntropyLoss(torch.tensor(weights) if weights else None)
    for slot in range(S):
        counted = torch.tensor(weights or [1.0] * L)[labels[slot]]
        # torch divides by the weights it met, a slot's loss is the mean over its rows
        expected = loss(logits()[slot], labels[slot]) * counted.sum() / B
        assert torch.allclose(losses[slot].mean(), expected)


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 1.5)])
def test_sets_of_labels_have_torchs_binary_cross_entropy(weights: tuple[float, ...]) -> None:
    labels = torch.randint(0, 2, (S, B, L), generator=torch.Generator().manual_seed(1))
    losses = Objective(Target("multi_label", ("a", "b", "c"), weights=weights), CPU)(logits(), labels)
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weights) if weights else None)
    assert losses.shape == (S, B)
    for slot in range(S):
        assert torch.allclose(losses[slot].mean(), loss(logits()[slot], labels[slot].float()))


def test_numbers_have_torchs_squared_error_of_the_standardised_number() -> None:
    labels = torch.tensor([[1e9 + 1.0, 1e9 - 1.0, 1e9, 1e9, 1e9 + 4.0]] * S, dtype=torch.float64)
    losses = Objective(Target("regression", (), mean=1e9, sd=2.0), CPU)(logits(1), labels)
    wanted = torch.tensor([0.5, -0.5, 0.0, 0.0, 2.0])  # large numbers lose nothing: they are standardised in float64
    for slot in range(S):
        assert torch.allclose(losses[slot].mean(), nn.MSELoss()(logits(1)[slot, :, 0], wanted))


class Gradients:
    """Those of one step of a pack, by tensor, and what the passes saw."""

    def __init__(self, methods: tuple[str, ...], micro_batch: int | None) -> None:
        task = tiny_task()
        runs = [tiny_run(tiny_trial(method, dropout=0.3), seed) for seed, method in enumerate(methods)]
        rows = [np.arange(11) + seed for seed in range(len(methods))]
        rows[-1] = rows[-1][:7]
        with Pack(tiny_backbone(), runs) as pack:
            randomise(pack)
            self.seen = Objective(task.target, CPU).descend(pack, task, rows, [4] * len(methods), micro_batch)
            self.by_name = {t.name: t.parameter.grad for t in pack.trained() if t.parameter.grad is not None}


@pytest.mark.parametrize("methods", [("head",), ("unipelt_apl",), ("fine_tuning",), ("lora", "adapter", "bitfit")])
@pytest.mark.parametrize("micro_batch", [1, 4, 6])
def test_gradients_added_up_over_micro_batches_are_those_of_the_whole_batch(
    methods: tuple[str, ...], micro_batch: int
) -> None:
    whole, parts = Gradients(methods, None), Gradients(methods, micro_batch)
    assert whole.by_name.keys() == parts.by_name.keys()
    for name, gradient in whole.by_name.items():
        assert torch.allclose(parts.by_name[name], gradient, atol=1e-5, rtol=1e-4), name
    assert parts.seen.losses == pytest.approx(whole.seen.losses, rel=1e-5)
    assert parts.seen.tokens == whole.seen.tokens


def test_passes_have_no_more_rows_than_a_micro_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, forward = [], Pack.forward

    def watched(pack: Pack, inputs: dict[str, torch.Tensor], *, steps: list[int], first_row: int) -> torch.Tensor:
        seen.append((len(inputs["input_ids"]), first_row))
        return forward(pack, inputs, steps=steps, first_row=first_row)

    monkeypatch.setattr(Pack, "forward", watched)
    Gradients(("head",), 3)
    assert seen == [(3, 0), (3, 3), (1, 6)]

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch

from tiny import randomise, tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.kinds.label_kind import label_kinds
from unipelt_search.pelt.pack import Pack
from unipelt_search.training.objective import Objective

CPU = torch.device("cpu")
S, B, L = 2, 5, 3


def logits(outputs: int = L) -> torch.Tensor:
    return torch.randn(S, B, outputs, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", label_kinds())
def test_the_loss_is_that_of_the_kind(kind: str) -> None:
    known = label_kinds()[kind]
    names = ("a", "b", "c") if known.has_labels else ()
    target = known.fit(names, ["1.5", "2"], balanced=False)
    rows = [target.encode(names * 2 if names else ("1", "2", "3", "4", "5"))[:B] for _ in range(S)]
    labels = torch.from_numpy(np.stack([target.to_array(row) for row in rows]))
    losses = Objective(target, CPU)(logits(target.outputs), labels)
    assert losses.shape == (S, B)
    assert torch.equal(losses, import_module(known.loss).make_loss(target, CPU)(logits(target.outputs), labels))


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

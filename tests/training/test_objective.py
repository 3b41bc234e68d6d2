from __future__ import annotations

from dataclasses import replace
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

    def __init__(self, methods: tuple[str, ...], micro_batch: int | None, *, weighted: bool = False) -> None:
        task = tiny_task()
        if weighted:
            weights = np.linspace(0.2, 4, len(task.train))
            task = replace(task, train=replace(task.train, weights=weights))
        runs = [tiny_run(tiny_trial(method, dropout=0.3), seed) for seed, method in enumerate(methods)]
        rows = [np.arange(11) + seed for seed in range(len(methods))]
        rows[-1] = rows[-1][:7]
        with Pack(tiny_backbone(), runs) as pack:
            randomise(pack)
            self.seen = Objective(task.target, CPU).descend(pack, task, rows, [4] * len(methods), micro_batch)
            self.by_name = {t.name: t.parameter.grad for t in pack.trained() if t.parameter.grad is not None}


@pytest.mark.parametrize("methods", [("head",), ("unipelt_apl",), ("fine_tuning",), ("lora", "adapter", "bitfit")])
@pytest.mark.parametrize(("micro_batch", "weighted"), [(1, False), (4, False), (6, False), (4, True)])
def test_gradients_added_up_over_micro_batches_are_those_of_the_whole_batch(
    methods: tuple[str, ...], micro_batch: int, weighted: bool
) -> None:
    whole, parts = Gradients(methods, None, weighted=weighted), Gradients(methods, micro_batch, weighted=weighted)
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


@pytest.mark.parametrize("kind", ["classification", "multi_label", "regression"])
def test_a_weight_of_two_is_the_row_twice(kind: str) -> None:
    task = tiny_task(kind=kind, balanced=kind != "regression")
    twice = [0, 1, 2, 2, 3, 3]
    weighted = replace(task, train=replace(task.train.take([0, 1, 2, 3]), weights=np.array([1.0, 1, 2, 2])))
    gradients = []
    for own, rows in ((replace(task, train=task.train.take(twice)), 6), (weighted, 4)):
        with Pack(tiny_backbone(classes=task.target.outputs), [tiny_run(tiny_trial("head", dropout=0.0))]) as pack:
            seen = Objective(task.target, CPU).descend(pack, own, [np.arange(rows)], [0], None)
            by_name = {t.name: t.parameter.grad.clone() for t in pack.trained() if t.parameter.grad is not None}
        gradients.append((seen.losses[0] * rows, {name: tensor * rows for name, tensor in by_name.items()}))
    (loss, expected), (weighted_loss, found) = gradients
    assert weighted_loss == pytest.approx(loss, rel=1e-5)
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-5, rtol=1e-4), name

"""BitFit against training the biases of the same model with torch's own AdamW, step for step."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional

from tiny import tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.pelt.pack import Pack
from unipelt_search.training.batches import lengths_of, make_batch, training_batches
from unipelt_search.training.optimizer import SlotAdamW, learning_rate


def test_bitfit_equals_bias_only_training() -> None:
    backbone, task = tiny_backbone("bert"), tiny_task()
    trial = tiny_trial("bitfit", steps=8, dropout=0.0, learning_rate=3e-3)
    run = tiny_run(trial)
    reference = copy.deepcopy(backbone.model)
    with Pack(backbone, [run]) as pack:
        with torch.no_grad():
            head = pack.parts["head/classifier"]
            reference.classifier.weight.copy_(head.weight[0])
            reference.classifier.bias.copy_(head.bias[0])
        biases = [p for n, p in reference.named_parameters() if n.endswith("bias")]
        weights = [reference.classifier.weight]
        for parameter in [*biases, *weights]:
            parameter.requires_grad_(True)
        theirs = torch.optim.AdamW(
            [{"params": biases, "weight_decay": 0.0}, {"params": weights, "weight_decay": trial.training.weight_decay}]
        )
        ours = SlotAdamW(pack.trained(), [trial.training])
        assert sum(t.parameter.numel() for t in pack.trained()) == sum(p.numel() for p in [*biases, *weights])
        batches = training_batches(lengths_of(task.train), 4, run.seeds.order)
        for step in range(8):
            batch = make_batch(task.train, [next(batches)], 0, torch.device("cpu"))
            our_loss = functional.cross_entropy(pack(batch.inputs, steps=[step])[0], batch.labels[0])
            their_loss = functional.cross_entropy(reference(**batch.inputs).logits, batch.labels[0])
            assert our_loss.item() == pytest.approx(their_loss.item(), abs=1e-5)
            our_loss.backward()
            their_loss.backward()
            torch.nn.utils.clip_grad_norm_([*biases, *weights], trial.training.clip_norm)
            for group in theirs.param_groups:
                group["lr"] = learning_rate(trial.training, step)
            theirs.step()
            theirs.zero_grad()
            ours.step([True])
    with torch.no_grad():
        moved = max(
            float((p - q).abs().max()) for p, q in zip(reference.parameters(), backbone.model.parameters(), strict=True)
        )
    assert moved > 1e-3

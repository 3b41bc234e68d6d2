from __future__ import annotations

import pytest
import torch
from torch import nn

from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.pelt.pack import TrainedTensor
from unipelt_search.training.optimizer import SlotAdamW, learning_rate


def test_each_slot_is_torchs_adamw_with_its_own_settings() -> None:
    settings = [
        TrainingSpec(learning_rate=0.03, steps=6, weight_decay=0.1, clip_norm=0.5, warmup_share=0.3),
        TrainingSpec(learning_rate=0.2, steps=9, weight_decay=0.0, clip_norm=9.0, schedule="cosine"),
    ]
    start, bias = torch.randn(2, 4, 3), torch.randn(2, 3)
    weight_p, bias_p = nn.Parameter(start.clone()), nn.Parameter(bias.clone())
    ours = SlotAdamW([TrainedTensor("w", weight_p, True, True), TrainedTensor("b", bias_p, True, False)], settings)
    alone = []
    for slot, spec in enumerate(settings):
        w, b = nn.Parameter(start[slot].clone()), nn.Parameter(bias[slot].clone())
        groups = [{"params": [w], "weight_decay": spec.weight_decay}, {"params": [b], "weight_decay": 0.0}]
        alone.append((w, b, torch.optim.AdamW(groups, lr=1.0)))
    for step in range(9):
        active = [step < 6, True]
        grads = torch.randn(2, 4, 3), torch.randn(2, 3)
        weight_p.grad, bias_p.grad = grads[0].clone(), grads[1].clone()
        ours.step(active)
        for slot, (w, b, optimizer) in enumerate(alone):
            if not active[slot]:
                continue
            w.grad, b.grad = grads[0][slot].clone(), grads[1][slot].clone()
            nn.utils.clip_grad_norm_([w, b], settings[slot].clip_norm)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings[slot], step)
            optimizer.step()
        for slot, (w, b, _) in enumerate(alone):
            assert torch.allclose(weight_p[slot], w, atol=1e-6)
            assert torch.allclose(bias_p[slot], b, atol=1e-6)


def test_a_resting_slot_is_untouched_even_by_a_gradient_that_is_no_number() -> None:
    parameter = nn.Parameter(torch.ones(2, 3))
    settings = [TrainingSpec(learning_rate=0.1, steps=5)] * 2
    optimizer = SlotAdamW([TrainedTensor("w", parameter, True, True)], settings)
    parameter.grad = torch.tensor([[float("nan")] * 3, [1.0] * 3])
    optimizer.step([False, True])
    assert parameter[0].tolist() == [1.0] * 3
    assert bool((parameter[1] < 1).all())


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_schedules_rise_then_follow_their_shape(schedule: str) -> None:
    spec = TrainingSpec(learning_rate=0.4, steps=20, warmup_share=0.2, schedule=schedule)  # type: ignore[arg-type]
    rates = [learning_rate(spec, step) for step in range(20)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[4] == pytest.approx(0.4)
    assert rates[12] == pytest.approx(0.4 if schedule == "constant" else 0.2)
    assert all(rate > 0 for rate in rates)

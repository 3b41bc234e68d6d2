from __future__ import annotations

import pytest
import torch

from unipelt_search.pelt.slots import (
    ContextHolder,
    ForwardContext,
    add_per_slot,
    normal,
    scale_rows,
    slot_matmul,
    slot_parameter,
)


def test_a_slot_has_the_values_it_has_alone_whatever_the_envelope() -> None:
    together = slot_parameter([5, 6, 7], "x", (4, 6), [(2, 6), None, (4, 3)], normal(1.0))
    assert torch.equal(together[0, :2], slot_parameter([5], "x", (2, 6), [(2, 6)], normal(1.0))[0])
    assert torch.equal(together[2, :, :3], slot_parameter([7], "x", (4, 3), [(4, 3)], normal(1.0))[0])
    assert not together[0, 2:].any()
    assert not together[1].any()
    assert not torch.equal(slot_parameter([5], "y", (2, 6), [(2, 6)], normal(1.0))[0], together[0, :2])


def test_slotwise_products_and_sums_are_a_loop_over_slots() -> None:
    x, weight, bias = torch.randn(6, 5, 4), torch.randn(2, 3, 4), torch.randn(2, 3)
    product = slot_matmul(x, weight)
    for row in range(6):
        assert torch.allclose(product[row], x[row] @ weight[row // 3].T, atol=1e-6)
        assert torch.allclose(add_per_slot(product, bias)[row], product[row] + bias[row // 3], atol=1e-6)
    assert torch.equal(scale_rows(x, torch.arange(6.0))[2], x[2] * 2)


def test_factor_mixes_gated_and_ungated_slots() -> None:
    state = ForwardContext(slots=2, tokens=torch.ones(4, 3))
    state.gates[0, "adapter"] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    factor = state.factor(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0]), 0, "adapter")
    assert torch.allclose(factor, torch.tensor([2.0, 2.0, 0.3, 0.4]))
    assert torch.allclose(
        state.factor(torch.tensor([2.0, 0.0]), torch.zeros(2), 1, "adapter"), torch.tensor([2.0, 2, 0, 0])
    )


def test_a_submodule_is_removed_everywhere_or_in_a_layer() -> None:
    state = ForwardContext(slots=1, tokens=torch.ones(1, 1), removed=frozenset({("lora", None), ("adapter", 1)}))
    assert state.is_removed("lora", 0)
    assert state.is_removed("adapter", 1)
    assert not state.is_removed("adapter", 0)


def test_hooks_outside_of_a_pass_are_refused() -> None:
    with pytest.raises(RuntimeError, match="outside of Pack.forward"):
        _ = ContextHolder().context

from __future__ import annotations

import pytest
import torch

from unipelt_search.pelt.dropout import DropoutKeys, hashed_dropout, site_key


def keys_of(*seeds: int, step: int = 0, rate: float = 0.3) -> DropoutKeys:
    return DropoutKeys.of_step(seeds, [step] * len(seeds), torch.full((len(seeds),), rate))


def dropped(x: torch.Tensor, keys: DropoutKeys, site: str = "a") -> torch.Tensor:
    return hashed_dropout(x, keys.keys, site_key(site), keys.rates)


def test_keeps_the_asked_share_and_the_mean() -> None:
    for rate in (0.1, 0.5):
        y = dropped(torch.ones(8, 50, 200), keys_of(1, rate=rate))
        assert float((y == 0).float().mean()) == pytest.approx(rate, abs=0.01)
        assert float(y.mean()) == pytest.approx(1.0, abs=0.02)
        kept = y[y != 0]
        assert torch.allclose(kept, torch.full_like(kept, 1 / (1 - rate)))


def test_features_positions_and_rows_are_uncorrelated() -> None:
    mask = (dropped(torch.ones(16, 32, 64), keys_of(3, rate=0.5)) > 0).double() - 0.5
    for shifted in (mask.roll(1, 0), mask.roll(1, 1), mask.roll(1, 2), mask.roll((1, 1), (1, 2))):
        assert abs(float((mask * shifted).mean())) < 0.01


def test_mask_depends_on_run_step_and_site_only() -> None:
    x = torch.ones(3, 5, 40)
    one = dropped(x, keys_of(1))
    assert torch.equal(one, dropped(x, keys_of(1)))
    assert not torch.equal(one, dropped(x, keys_of(2)))
    assert not torch.equal(one, dropped(x, keys_of(1, step=1)))
    assert not torch.equal(one, dropped(x, keys_of(1), site="b"))


def test_padding_rows_and_other_slots_change_nothing() -> None:
    one = dropped(torch.ones(3, 5, 40), keys_of(1))
    wide = dropped(torch.ones(8, 9, 40), keys_of(9, 1))  # slot 1 of 2, four rows each, more positions
    assert torch.equal(wide[4:7, :5], one)


def test_pooled_vectors_and_a_rate_of_zero() -> None:
    x = torch.randn(4, 10)
    assert torch.equal(dropped(x, keys_of(1, rate=0.0)), x)
    assert dropped(x, keys_of(1)).shape == x.shape


def test_rows_in_a_pass_of_their_own_are_dropped_as_in_the_whole_batch() -> None:
    seeds, rates = (1, 2), torch.tensor([0.3, 0.5])
    whole = DropoutKeys.of_step(seeds, [4, 4], rates)
    part = DropoutKeys.of_step(seeds, [4, 4], rates, first_row=3)
    x = torch.ones(2, 5, 6, 40)  # two slots of five rows
    dropped_whole = whole.drop(x.flatten(0, 1), site_key("a")).view(x.shape)
    dropped_part = part.drop(x[:, 3:].flatten(0, 1), site_key("a")).view(2, 2, 6, 40)
    assert torch.equal(dropped_part, dropped_whole[:, 3:])
    own = part.drop(x[:, 3:].flatten(0, 1), site_key("a"), torch.zeros(2))
    assert torch.equal(own, torch.ones(4, 6, 40))

"""Dropout whose mask is a pure function of (run, step, site, row, position, feature).

torch's own generator depends on everything that was drawn before, so a run in a pack, in another slot or with more
padding would see other masks. Here each element's mask bit is an integer hash (the finaliser of MurmurHash3 by
Austin Appleby, public domain) of its coordinates, so it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unipelt_search.specs.seeds import derive_seed

# Odd 32-bit constants as signed integers; products wrap around, which is what a hash wants.
_ROW, _POSITION, _FEATURE = 0x27D4EB2F, 0x165667B1, -0x61C88647
_MIX_1, _MIX_2 = 0x85EBCA6B - 2**32, 0xC2B2AE35 - 2**32


def site_key(name: str) -> int:
    """Return the signed 32-bit key of a dropout site's name."""
    return _signed(derive_seed(0, "dropout site", name))


def backbone_site(name: str) -> int:
    """Return the key of one of the backbone's own sites, by its name."""
    return site_key(f"backbone.{name}")


def in_layer(layer: int, name: str) -> str:
    """Name the site of a layer's dropout module."""
    return f"layer.{layer}.{name}"


def _signed(seed: int) -> int:
    """Bring a seed into the range of signed 32-bit integers."""
    return seed % 2**32 - 2**31


@dataclass(frozen=True)
class DropoutKeys:
    """The randomness of one training step."""

    keys: Tensor
    """``(S,)`` int32, a hash of each run's dropout seed and step."""
    rates: Tensor
    """``(S,)``, the share of features dropped at the backbone's sites."""
    first_row: int = 0
    """Where in the batch the rows of this pass begin."""

    @classmethod
    def of_step(
        cls,
        seeds: Sequence[int],
        steps: Sequence[int],
        rates: Tensor,
        *,
        first_row: int = 0,
    ) -> DropoutKeys:
        """Key one step.

        Args:
            seeds: Each run's dropout seed.
            steps: Each run's own step, counted from 0.
            rates: ``(S,)``, each run's dropout rate at the backbone's sites.
            first_row: Where in the batch the rows of the pass begin.

        Returns:
            The keys, on the device of the rates.
        """
        pairs = zip(seeds, steps, strict=True)
        keys = [_signed(derive_seed(seed, step)) for seed, step in pairs]
        by_slot = torch.tensor(keys, dtype=torch.int32, device=rates.device)
        return cls(by_slot, rates, first_row)

    def drop(self, x: Tensor, site: int, rates: Tensor | None = None) -> Tensor:
        """Drop features of ``(S·B, T, D)`` or ``(S·B, D)`` at a site, at its own rates ``(S,)`` or the step's."""
        own_rates = self.rates if rates is None else rates
        return hashed_dropout(x, self.keys, site, own_rates, first_row=self.first_row)


def _mix(x: Tensor) -> Tensor:
    """Mix the bits of an int32 tensor in place."""
    x ^= x >> 16
    x *= _MIX_1
    x ^= x >> 13
    x *= _MIX_2
    return x


def hashed_dropout(
    x: Tensor,
    keys: Tensor,
    site: int,
    rates: Tensor,
    *,
    first_row: int = 0,
) -> Tensor:
    """Drop features and scale the kept ones by 1 / (1 - rate).

    Args:
        x: ``(S·B, T, D)`` or ``(S·B, D)``, slot-major.
        keys: ``(S,)`` int32, as in `DropoutKeys`.
        site: The site's key (`site_key`).
        rates: ``(S,)`` in [0, 1), each slot's rate.
        first_row: Where in the batch the rows begin.

    Returns:
        The same shape as ``x``.
    """
    slots = keys.shape[0]
    rows, features = x.shape[0] // slots, x.shape[-1]
    positions = x.shape[1] if x.dim() == 3 else 1
    last_row = first_row + rows
    by_row = torch.arange(first_row, last_row, dtype=torch.int32, device=x.device) * _ROW
    by_position = torch.arange(positions, dtype=torch.int32, device=x.device) * _POSITION
    by_feature = torch.arange(features, dtype=torch.int32, device=x.device) * _FEATURE
    coordinates = by_row[:, None] + by_position[None, :]  # (B, T)
    by_slot = (keys ^ site)[:, None, None]
    start = _mix(by_slot + coordinates[None])  # (S, B, T)
    # Mixed twice: the features of a token would else be shifted copies of each other.
    bits = _mix(start[..., None] + by_feature)  # (S, B, T, D)
    # A uniform int32 lies below the threshold with probability `rate`.
    level = rates.double() * 2**32 - 2**31
    threshold = level.clamp(max=2**31 - 1).to(torch.int32)
    scale = (1.0 / (1.0 - rates)).to(x.dtype)
    kept = (bits >= threshold.view(slots, 1, 1, 1)).to(x.dtype)
    scaled = kept * scale.view(slots, 1, 1, 1)
    return x * scaled.view(x.shape)

"""The classification head: the architecture's own linear layers, newly drawn for every run, one set per slot.

With native pooling the architecture's head runs as it is and only its linear layers are replaced; with any other
pooling the token vectors are pooled here and one linear layer follows. A causal model's native pooling is the last real
token, found by the mask.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from unipelt_search.pelt.dropout import hashed_dropout, site_key
from unipelt_search.pelt.slots import StateHolder, add_per_slot, normal, slot_matmul, slot_parameter, zeros

POOLED = "pooled"


class SlotLinear(nn.Module):
    """A linear layer of the head with dropout on its input, for every slot of a pack."""

    def __init__(
        self, name: str, shape: tuple[int, int], bias: bool, std: float, seeds: Sequence[int], holder: StateHolder
    ) -> None:
        """Draw the weights as the architecture does.

        Args:
            name: The layer's name.
            shape: (out, in) features.
            bias: Whether it has a bias.
            std: Standard deviation of the weights.
            seeds: Each slot's initialisation seed.
            holder: Where the pass under way is found.
        """
        super().__init__()
        self.holder, self.site = holder, site_key(f"head.{name}")
        self.weight = slot_parameter(seeds, f"head.{name}.weight", shape, [shape] * len(seeds), normal(std))
        self.bias = None
        if bias:
            self.bias = slot_parameter(seeds, f"head.{name}.bias", shape[:1], [shape[:1]] * len(seeds), zeros)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(S·B, in)`` or ``(S·B, T, in)`` to the same with ``out`` features."""
        dropout = self.holder.now.dropout
        if dropout is not None:
            x = hashed_dropout(x, dropout.keys, self.site, dropout.rates)
        result = slot_matmul(x, self.weight)
        return result if self.bias is None else add_per_slot(result, self.bias)

    def hook(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Answer in place of the architecture's own linear layer."""
        return self(args[0])

    def stored(self, slot: int) -> dict[str, Tensor]:
        """Return one slot's tensors."""
        tensors = {"weight": self.weight[slot]}
        return tensors if self.bias is None else {**tensors, "bias": self.bias[slot]}


def pool(hidden: Tensor, tokens: Tensor, pooling: str) -> Tensor:
    """Make one vector of an example's token vectors.

    Args:
        hidden: ``(S·B, T, D)``.
        tokens: ``(S·B, T)``, 1 for a real token.
        pooling: `mean` over real tokens, `cls` (the first real one) or `last` (the last real one).

    Returns:
        ``(S·B, D)``.
    """
    if pooling == "mean":
        mask = tokens.to(hidden.dtype)[:, :, None]
        return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
    if pooling == "cls":
        place = tokens.argmax(1)
    else:
        place = tokens.shape[1] - 1 - tokens.flip(1).argmax(1)
    return hidden.take_along_dim(place[:, None, None], 1)[:, 0]


class Pooling:
    """Hooks that pool where the architecture would."""

    def __init__(self, pooling: str, holder: StateHolder, linear: SlotLinear | None, every_position: bool) -> None:
        """Take what the hook needs.

        Args:
            pooling: `mean`, `cls` or `last`.
            holder: Where the pass under way is found.
            linear: The layer that follows at once; None where the architecture calls it itself.
            every_position: Whether the architecture expects logits at every position and picks one (causal heads).
        """
        self.pooling, self.holder, self.linear, self.every_position = pooling, holder, linear, every_position

    def hook(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Answer in place of the pooler or the head, from its input ``(S·B, T, D)``."""
        hidden = args[0]
        pooled = pool(hidden, self.holder.now.tokens, self.pooling)
        if self.linear is None:
            return pooled
        logits: Tensor = self.linear(pooled)
        return logits[:, None].expand(-1, hidden.shape[1], -1) if self.every_position else logits

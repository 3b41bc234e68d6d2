"""Weights by a formula: the same numbers wherever a tensor of a name and shape is made, so that no file has them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

SIZES = {
    "bert": {"pad_token_id": 0},
    "roberta": {"pad_token_id": 1},
    "gpt2": {"pad_token_id": 0, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "n_inner": 64},
}
"""Settings of the tiny models, beside `COMMON`."""
COMMON = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "num_labels": 3,
}  # fmt: skip
MINILM = "minilm"
BOTTLENECK, RANK, ALPHA, LENGTH = 8, 2, 3, 3
PIECES = ("adapter", "lora", "prefix", "adapter gated", "lora gated", "prefix gated", "unipelt")
LENGTHS = (9, 5, 7, 3)
"""Tokens of the four sentences."""
_NORM = re.compile(r"(LayerNorm|ln_\w+)\.weight$")


def values(name: str, shape: Sequence[int]) -> np.ndarray:
    """Return the values of a tensor: normal with standard deviation 0.2, around 1 for the weights of a norm.

    Args:
        name: What keys them; `RandomState` gives the same numbers in every version of NumPy.
        shape: The shape.

    Returns:
        Single precision.
    """
    drawn = 0.2 * np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape))
    return np.asarray(drawn + (1.0 if _NORM.search(name) else 0.0), dtype=np.float32)

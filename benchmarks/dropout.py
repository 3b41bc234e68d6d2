"""The hashed dropout mask against torch's own dropout, on a hidden state of MiniLM's size: milliseconds and the ratio.

python benchmarks/dropout.py
"""

from __future__ import annotations

import time

import torch

from unipelt_search.pelt.dropout import DropoutKeys, hashed_dropout, site_key

REPEATS = 50


def main() -> None:
    """Print the ratio for a short and a long batch."""
    torch.set_num_threads(1)
    keys = DropoutKeys.of_step([1], [0], torch.tensor([0.1]))
    for tokens in (30, 128):
        x = torch.randn(16, tokens, 384)
        sides = {
            "torch": lambda x=x: torch.nn.functional.dropout(x, 0.1),
            "hashed": lambda x=x: hashed_dropout(x, keys.keys, site_key("a"), keys.rates),
        }
        took = {}
        for name, side in sides.items():
            side()
            began = time.perf_counter()
            for _ in range(REPEATS):
                side()
            took[name] = 1000 * (time.perf_counter() - began) / REPEATS
        print(f"16 x {tokens} x 384: torch {took['torch']:.2f} ms, hashed {took['hashed']:.2f} ms, "
              f"ratio {took['torch'] / took['hashed']:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()

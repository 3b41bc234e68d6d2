"""A few rows with the logits of a trained model: another form of the model must compute the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unipelt_search.errors import SavedModelError
from unipelt_search.pelt.pack import Pack
from unipelt_search.tasks.encode import encode_texts, pad_token_id
from unipelt_search.training.batches import make_batch

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "Is it?",
    "In 1998 the committee asked 27 people, among them two of its own members, what they thought of the plan.",
)
TOLERANCE = 1e-4
"""How much the largest logit may differ by, in shares of itself: sums in another order."""


@dataclass(frozen=True)
class Sample:
    """Rows of different lengths, and a model's logits."""

    inputs: dict[str, Tensor]
    """`input_ids`, `attention_mask` and perhaps `token_type_ids`, ``(B, T)``."""
    logits: Tensor
    """``(B, outputs)``."""

    @classmethod
    @torch.no_grad()
    def of(cls, pack: Pack, columns: int, max_length: int) -> Sample:
        """Compute the logits of a pack of one run.

        Args:
            pack: The attached pack, with the weights to compare with.
            columns: Texts of a row.
            max_length: Tokens of a row at most.

        Returns:
            The sample.
        """
        tokenizer = pack.backbone.tokenizer
        split = encode_texts([(text,) * columns for text in TEXTS], tokenizer, max_length)
        batch = make_batch(split, [np.arange(len(split))], pad_token_id(tokenizer), pack.backbone.device)
        return cls(batch.inputs, pack(batch.inputs)[0])

    @torch.no_grad()
    def check(self, model: Any, option: str) -> None:
        """Check that a model computes the same.

        Args:
            model: A Hugging Face model, or one of PEFT.
            option: What the user asked for.

        Raises:
            SavedModelError: It does not.
        """
        logits = model.to(self.logits.device).eval()(**self.inputs).logits
        difference = float((logits - self.logits).abs().max())
        if difference > TOLERANCE * max(1.0, float(self.logits.abs().max())):
            raise SavedModelError(
                f"{option} must give the trained model's logits; on this architecture they differ by {difference:.2g}. "
                f"Leave {option} out."
            )

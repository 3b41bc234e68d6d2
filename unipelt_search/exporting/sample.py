"""A few rows with the logits of a trained model: another form of the model must compute the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from unipelt_search.errors import SavedModelError
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.study import Side
from unipelt_search.tasks.encode import encode_texts, pad_token_id
from unipelt_search.training.batches import make_batch

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "Is it?",
    "In 1998 the committee asked 27 people, among them two of its own members, what they thought of the plan.",
)
TOLERANCE = 1e-4
"""How much the largest logit may differ by, in shares of itself: sums in another order."""


def long_text(tokens: int) -> str:
    """Make a text that has more tokens than a row may have, none of them alike at its two ends.

    Args:
        tokens: Tokens of a row at most.

    Returns:
        Words.
    """
    return " ".join([TEXTS[0], *[TEXTS[2]] * (1 + tokens // 20), TEXTS[1]])


@dataclass(frozen=True)
class Sample:
    """Rows of different lengths, and a model's logits."""

    columns: int
    """Texts of a row."""
    cut: tuple[int, ...]
    """Token numbers of a row that is longer than a row may be, as training cut it."""
    inputs: dict[str, Tensor]
    """`input_ids`, `attention_mask` and perhaps `token_type_ids`, ``(B, T)``."""
    logits: Tensor
    """``(B, outputs)``."""

    @classmethod
    @torch.no_grad()
    def of(cls, pack: Pack, columns: int, max_length: int, side: Side | None = None) -> Sample:
        """Compute the logits of a pack of one run.

        Args:
            pack: The attached pack, with the weights to compare with.
            columns: Texts of a row.
            max_length: Tokens of a row at most.
            side: The side of a long text that is cut.

        Returns:
            The sample.
        """
        tokenizer = pack.backbone.tokenizer
        rows = [(text,) * columns for text in (*TEXTS, long_text(max_length))]
        encoded = encode_texts(rows, tokenizer, max_length, side)
        # Of the longest row the tokens are compared alone: a pass over thousands of them takes long.
        split = encoded.take(range(len(TEXTS)))
        cut = tuple(encoded.input_ids[-1].tolist())
        batch = make_batch(split, [np.arange(len(split))], pad_token_id(tokenizer), pack.backbone.device)
        return cls(columns, cut, batch.inputs, pack(batch.inputs)[0])

    def in_label_units(self, scale: tuple[float, float] | None) -> Sample:
        """Return the sample of a model whose outputs are multiplied and moved; None leaves them as they are."""
        if scale is None:
            return self
        factor, summand = scale
        return replace(self, logits=self.logits * factor + summand)

    def read_with(self, tokenizer: PreTrainedTokenizerBase, option: str) -> dict[str, Any]:
        """Read the rows with a tokenizer as plain libraries do.

        Args:
            tokenizer: A tokenizer that was loaded from an exported folder.
            option: What the user asked for.

        Returns:
            What the model gets, ``(B, T)`` each.

        Raises:
            SavedModelError: The token numbers are others than the trained model's.
        """
        texts = list(TEXTS)
        read = dict(tokenizer(*[texts] * self.columns, truncation=True, padding=True, return_tensors="pt"))
        long = long_text(tokenizer.model_max_length)
        cut = tuple(tokenizer(*[long] * self.columns, truncation=True)["input_ids"])
        if not torch.equal(read["input_ids"], self.inputs["input_ids"].cpu()) or cut != self.cut:
            raise SavedModelError(
                f"{option} must read texts as the trained model does; the tokenizer that it writes gives other tokens. "
                f"Leave {option} out."
            )
        return {name: values.to(self.logits.device) for name, values in read.items()}

    def check(self, logits: Tensor, option: str) -> None:
        """Check that another form of the model computes the same.

        Args:
            logits: What it computes for the rows, ``(B, outputs)``.
            option: What the user asked for.

        Raises:
            SavedModelError: It does not.
        """
        difference = float((logits.to(self.logits.device) - self.logits).abs().max())
        if not difference <= TOLERANCE * max(1.0, float(self.logits.abs().max())):
            raise SavedModelError(
                f"{option} must give the trained model's logits; on this architecture they differ by {difference:.2g}. "
                f"Leave {option} out."
            )

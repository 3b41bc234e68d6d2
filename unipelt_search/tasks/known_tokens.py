"""Whether a backbone's tokenizer knows the texts of a task."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.tokenizer_check import MOST_UNKNOWN, embedding_rows, unknown_share
from unipelt_search.errors import BackboneError
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask


def count_unknown(encoded: EncodedTask, backbone: Backbone) -> float:
    """Count the tokens of a task's rows that stand for what the tokenizer does not know.

    Args:
        encoded: The task.
        backbone: The backbone whose tokenizer encoded it.

    Returns:
        Their share of all tokens that are not special.

    Raises:
        BackboneError: A row has a token that the model has no embedding for.
    """
    splits = [encoded.train, encoded.tune, encoded.test]
    if not encoded.folds:  # else the select rows are those of train and tune
        splits.append(encoded.select)
    rows = [row for split in splits for row in split.input_ids]
    check_embedded(rows, backbone)
    return unknown_share(rows, backbone.tokenizer)


def check_known(share: float, backbone: Backbone) -> None:
    """Refuse a task of which a tokenizer knows next to nothing.

    Args:
        share: What `count_unknown` counted.
        backbone: The backbone.

    Raises:
        BackboneError: Only the number of words is left to learn from.
    """
    if share > MOST_UNKNOWN:
        raise BackboneError(
            f"--model must know the words of the texts; the tokenizer of {backbone.name!r} does not know {share:.1%} "
            "of their tokens. Choose a model for their language, and look whether its tokenizer is its own: "
            f"unipelt-search doctor --model {backbone.name}"
        )


def check_embedded(rows: Iterable[np.ndarray], backbone: Backbone) -> None:
    """Check that the model can look up every token: some have spare tokens without an embedding.

    Args:
        rows: The token numbers of each, ``(tokens,)``.
        backbone: The backbone.

    Raises:
        BackboneError: It cannot.
    """
    limit = embedding_rows(backbone.name, backbone.model)
    for number, row in enumerate(rows):
        if len(row) and int(row.max()) >= limit:
            token = backbone.tokenizer.convert_ids_to_tokens(int(row.max()))
            raise BackboneError(
                f"Every token must have an embedding; {backbone.name!r} has none for {token!r}, which the text of row "
                f"{number} has. Remove it there."
            )


def check_split(split: EncodedSplit, backbone: Backbone) -> EncodedSplit:
    """Return rows after `check_embedded`.

    Args:
        split: The rows.
        backbone: The backbone.

    Returns:
        The same.

    Raises:
        BackboneError: A row has a token that the model has no embedding for.
    """
    check_embedded(split.input_ids, backbone)
    return split

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken

import tiny
from unipelt_search.backbones.tokenizer_check import MOST_UNKNOWN
from unipelt_search.errors import BackboneError
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask
from unipelt_search.tasks.known_tokens import check_embedded, check_known, check_split, count_unknown


def rows(*numbers: list[int]) -> EncodedSplit:
    ids = tuple(np.asarray(row, dtype=np.int64) for row in numbers)
    return EncodedSplit(ids, None, np.zeros(len(ids), dtype=np.int64))


def task_of(**splits: Any) -> EncodedTask:
    known = rows([2, 5, 3])
    return replace(tiny.tiny_task(), **{"train": known, "tune": known, "select": known, "test": known, **splits})


def test_unknown_tokens_of_every_split_are_counted_once() -> None:
    backbone = tiny.tiny_backbone()
    assert count_unknown(task_of(), backbone) == 0
    assert count_unknown(task_of(test=rows([2, 1, 1, 3])), backbone) == 0.4
    # With folds the select rows are those of train and tune again.
    folded = task_of(train=rows([2, 1, 3]), select=rows([2, 1, 3], [2, 5, 3]), folds=("a fold",))
    assert count_unknown(folded, backbone) == pytest.approx(1 / 3)


@pytest.mark.parametrize("share", [0.0, 0.5, MOST_UNKNOWN])
def test_a_model_may_know_little(share: float) -> None:
    check_known(share, tiny.tiny_backbone())


def test_a_model_that_knows_next_to_nothing_is_refused() -> None:
    with pytest.raises(BackboneError, match="'bert' does not know 99.0% of their tokens"):
        check_known(0.99, tiny.tiny_backbone())


def test_a_token_without_an_embedding_is_named_with_its_row() -> None:
    backbone = tiny.tiny_backbone()
    backbone.tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken("<picture>", special=True)]})
    check_embedded([np.asarray([2, 63, 3]), np.asarray([], dtype=np.int64)], backbone)
    split = rows([2, 5, 3], backbone.tokenizer("w1 <picture>")["input_ids"])
    with pytest.raises(BackboneError, match="'bert' has none for '<picture>', which the text of row 1 has"):
        check_split(split, backbone)

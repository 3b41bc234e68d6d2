from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tiny import tiny_tokenizer
from unipelt_search.errors import BackboneError
from unipelt_search.kinds.label_kind import Target
from unipelt_search.specs.study import Side, TaskSpec
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.encode import EncodedTask, encode_task, encode_texts, pad_token_id
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.task import Resample, Split, Task
from unipelt_search.tasks.truncate import CHARACTERS_PER_TOKEN

CLS, SEP, FIRST = 2, 3, 4
TWO = Target("classification", ("a", "b"))


def task(*rows: tuple[str, ...]) -> Task:
    """Make a task whose splits have these same rows."""
    split = Split(rows, tuple(number % 2 for number in range(len(rows))))
    return Task("x", TWO, "accuracy", split, split, split, split, "f", ())


def bare_tokenizer(**special: str) -> PreTrainedTokenizerFast:
    """Make a tokenizer that adds nothing, as those of causal models do."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "w0": 1, "[END]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", model_input_names=["input_ids", "attention_mask"], **special
    )


def ids(encoded: EncodedTask, row: int) -> list[int]:
    return encoded.train.input_ids[row].tolist()


def test_rows_become_token_numbers_without_padding() -> None:
    encoded = encode_task(task(("w0 w5",), ("w1",), ("w2 w2 w2",)), tiny_tokenizer(), 16)
    assert ids(encoded, 0) == [CLS, FIRST, FIRST + 5, SEP]
    assert [len(row) for row in encoded.test.input_ids] == [4, 3, 5]
    assert encoded.select.labels.tolist() == [0, 1, 0]
    assert encoded.train.labels.dtype == encoded.train.input_ids[0].dtype == np.int64
    assert (len(encoded.tune), encoded.truncated_share, encoded.pad_token_id) == (3, 0.0, 0)


def test_long_rows_are_cut_and_counted() -> None:
    encoded = encode_task(task(("w0 " * 7,), ("w1 " * 6,), ("w2",), ("w3",)), tiny_tokenizer(), 8)
    assert ids(encoded, 0) == ids(encode_task(task(("w0 " * 6,)), tiny_tokenizer(), 8), 0)
    assert [len(row) for row in encoded.train.input_ids] == [8, 8, 3, 3]
    assert encoded.truncated_share == 0.25


def test_of_a_pair_the_longer_text_is_cut() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    encoded = encode_task(task(("w0 w1", "w2 " * 9), ("w0", "w1")), tokenizer, 8)
    assert ids(encoded, 0) == [CLS, FIRST, FIRST + 1, SEP, FIRST + 2, FIRST + 2, FIRST + 2, SEP]
    assert encoded.train.token_type_ids is not None
    assert encoded.train.token_type_ids[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert encoded.train.token_type_ids[1].tolist() == [0, 0, 0, 1, 1]


def test_absurdly_long_texts_are_cut_before_they_are_tokenized() -> None:
    words = "w0 " * (CHARACTERS_PER_TOKEN * 8)
    spaces = "w1" + " " * (CHARACTERS_PER_TOKEN * 8) + "w2"
    encoded = encode_task(task((words,), (spaces,)), tiny_tokenizer(), 8)
    assert len(ids(encoded, 0)) == 8
    assert ids(encoded, 1) == [CLS, FIRST + 1, SEP]
    assert encoded.truncated_share == 1.0


@pytest.mark.parametrize(("side", "kept"), [("right", [0, 1, 2]), ("left", [6, 7, 8]), ("head_tail", [0, 1, 8])])
def test_a_side_that_is_stated_is_cut_in_every_split_and_in_texts_without_labels(side: Side, kept: list[int]) -> None:
    rows = ((" ".join(f"w{number}" for number in range(9)),), ("w0" + " " * 64 * 8 + "w1",))
    encoded = encode_task(task(*rows), tiny_tokenizer(), 5, side)
    expected = [CLS, *(FIRST + number for number in kept), SEP]
    assert ids(encoded, 0) == encoded.test.input_ids[0].tolist() == expected
    assert encode_texts(rows, tiny_tokenizer(), 5, side).input_ids[0].tolist() == expected
    assert ids(encoded, 1) == [CLS, FIRST, FIRST + 1, SEP]
    assert encoded.truncated_share == 0.5


def test_every_batch_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipelt_search.tasks.encode.BATCH_ROWS", 2)
    encoded = encode_task(task(*((f"w{number} " * (number + 1),) for number in range(5))), tiny_tokenizer(), 6)
    assert [row[1] - FIRST for row in encoded.train.input_ids] == [0, 1, 2, 3, 4]
    assert [len(row) for row in encoded.train.input_ids] == [3, 4, 5, 6, 6]


def test_a_tokenizer_without_types_or_padding_token_is_fine() -> None:
    encoded = encode_task(task(("w0 w0",), ("w0",)), bare_tokenizer(eos_token="[END]"), 8)
    assert encoded.train.token_type_ids is None
    assert encoded.pad_token_id == 2
    assert encode_task(task(("w0",)), bare_tokenizer(), 8).pad_token_id == 0


def test_no_room_and_no_token_are_refused() -> None:
    with pytest.raises(BackboneError, match="got 4, of which 3 are special tokens. Allow at least 5"):
        encode_task(task(("w0", "w1")), tiny_tokenizer(), 4)
    with pytest.raises(BackboneError, match="finds none in 1 rows"):
        encode_task(task(("w0",), ("\u2003",)), bare_tokenizer(), 8)


def test_texts_without_labels_are_encoded_alike() -> None:
    rows = (("w0 w5",), ("w1 " * 20,))
    encoded, whole = encode_texts(rows, tiny_tokenizer(), 8), encode_task(task(*rows), tiny_tokenizer(), 8)
    assert [row.tolist() for row in encoded.input_ids] == [row.tolist() for row in whole.train.input_ids]
    assert encoded.labels.tolist() == [0, 0]
    assert len(encode_texts([], tiny_tokenizer(), 8)) == 0
    with pytest.raises(BackboneError, match="finds none in 1 rows"):
        encode_texts([("w0",), ("",)], bare_tokenizer(), 8)
    allowed = encode_texts([("w0",), ("",)], bare_tokenizer(), 8, allow_empty=True)
    assert [len(row) for row in allowed.input_ids] == [1, 0]


def test_padding_is_any_number_of_the_vocabulary() -> None:
    assert [pad_token_id(bare_tokenizer(**special)) for special in ({}, {"eos_token": "[END]"})] == [0, 2]


def test_redrawn_training_rows_are_encoded_and_take_the_place_of_the_search_rows() -> None:
    made = task(("w0",), ("w1 w2",))
    other = Split((("w3 w3",),), (1,))
    target = Target("classification", ("a", "b"), weights=(2.0, 1.0))
    encoded = encode_task(replace(made, resamples=(Resample(target, other),)), tiny_tokenizer(), 16)
    assert encoded.of_resample(0) is encoded
    resamples = encoded.of_resample(1)
    assert (resamples.target, len(resamples.train), list(resamples.train.labels)) == (target, 1, [1])
    assert (resamples.tune, resamples.select, resamples.test) == (encoded.tune, encoded.select, encoded.test)


@pytest.mark.parametrize("texts", [1, 2])
def test_a_fold_has_the_rows_that_it_names(texts: int) -> None:
    words = [tuple(f"w{number} w{place}" for place in range(texts)) for number in range(40)]
    labels = tuple(str(number % 2) for number in range(40))
    parts = {"train": slice(25), "validation": slice(25, 40), "test": slice(1)}
    raw = RawData("x", {name: Rows(tuple(words[part]), labels[part]) for name, part in parts.items()})
    made = build_task(raw, TaskSpec(data="x", text=("t", "u")[:texts], label="l", allow_overlap=True), 1, repeats=2)
    tokenizer = tiny_tokenizer()
    if texts == 2:
        tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    encoded = encode_task(made, tokenizer, 16)
    assert encoded.of_resample(0).select_rows is None
    for number, fold in enumerate(made.folds, start=1):
        own = encoded.of_resample(number)
        assert (own.target, own.select_rows, own.test) == (fold.target, fold.rows.select, encoded.test)
        for split, rows in ((own.train, fold.rows.train), (own.tune, fold.rows.tune), (own.select, fold.rows.select)):
            assert [int(row[1]) - FIRST for row in split.input_ids] == list(rows)
            assert split.labels.tolist() == [row % 2 for row in rows]
            types = split.token_type_ids and [np.bincount(row).tolist() for row in split.token_type_ids]
            assert types == (None if texts == 1 else [[4, 3]] * len(rows))


def test_weights_follow_their_rows_and_have_mean_one_in_training() -> None:
    split = Split((("w0",), ("w1",), ("w2",)), (0, 1, 0), (1.0, 2.0, 6.0))
    encoded = encode_task(Task("x", TWO, "accuracy", split, split, split, split, "f", ()), tiny_tokenizer(), 8).train
    assert encoded.weights is not None
    taken = encoded.take([2, 0]).followed_by(encoded.take([1]))
    assert taken.weights is not None
    assert taken.weights.tolist() == [6.0, 1.0, 2.0]
    ones = taken.with_mean_weight_one().weights
    assert ones is not None
    assert ones.tolist() == pytest.approx([2.0, 1 / 3, 2 / 3])
    plain = replace(encoded, weights=None)
    assert plain.with_mean_weight_one() is plain
    assert plain.followed_by(encoded).weights is None

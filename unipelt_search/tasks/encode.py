"""Texts become token numbers, once per study; batches pad them later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from unipelt_search.errors import BackboneError
from unipelt_search.kinds.label_kind import Target
from unipelt_search.specs.study import Side
from unipelt_search.tasks.task import Fold, Split, Task
from unipelt_search.tasks.truncate import encode_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH_ROWS = 1000


@dataclass(frozen=True)
class EncodedSplit:
    """The token numbers of a split's rows."""

    input_ids: tuple[np.ndarray, ...]
    """One array ``(tokens,)`` of int64 per row, without padding."""
    token_type_ids: tuple[np.ndarray, ...] | None
    """The same shapes, or None where the tokenizer gives none."""
    labels: np.ndarray
    """``(n,)`` of int64, for regression of float64; for sets of labels ``(n, labels)`` of 0 and 1."""
    weights: np.ndarray | None = None
    """``(n,)`` of float64, what each row counts in the loss; None where all count the same."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def take(self, numbers: Sequence[int]) -> EncodedSplit:
        """Return the rows with these numbers, counted from 0, in this order."""
        types = None
        if self.token_type_ids is not None:
            types = tuple(self.token_type_ids[number] for number in numbers)
        input_ids = tuple(self.input_ids[number] for number in numbers)
        weights = None if self.weights is None else self.weights[list(numbers)]
        return EncodedSplit(input_ids, types, self.labels[list(numbers)], weights)

    def followed_by(self, others: EncodedSplit) -> EncodedSplit:
        """Return these rows and then others of the same tokenizer."""
        types = None
        if self.token_type_ids is not None and others.token_type_ids is not None:
            types = self.token_type_ids + others.token_type_ids
        labels = np.concatenate([self.labels, others.labels])
        weights = None
        if self.weights is not None and others.weights is not None:
            weights = np.concatenate([self.weights, others.weights])
        return EncodedSplit(self.input_ids + others.input_ids, types, labels, weights)

    def with_mean_weight_one(self) -> EncodedSplit:
        """Return the same rows with weights whose mean is 1, so that weights change no learning rate."""
        if self.weights is None:
            return self
        return replace(self, weights=self.weights / self.weights.mean())


@dataclass(frozen=True)
class EncodedResample:
    """Another sample of training rows."""

    target: Target
    train: EncodedSplit


@dataclass(frozen=True)
class EncodedTask:
    """A task as a backbone reads it."""

    target: Target
    """What is predicted."""
    metric: str
    pad_token_id: int
    train: EncodedSplit
    tune: EncodedSplit
    select: EncodedSplit
    test: EncodedSplit
    truncated_share: float
    """Share of all rows that were longer than allowed and were cut."""
    resamples: tuple[EncodedResample, ...] = ()
    """Training rows of the confirm runs 1, 2, … where each has its own."""
    folds: tuple[Fold, ...] = ()
    """What the confirm runs 1, 2, … do with the select rows, where folds decide."""
    select_rows: tuple[int, ...] | None = None
    """Of one fold: the numbers of its rows among those of all folds."""
    weight_metric: bool = False
    """Whether rows count by their weights in the metrics too."""

    def metric_weights(self, split: EncodedSplit) -> np.ndarray | None:
        """Return what the rows of a split count in the metrics, ``(n,)``; None where all count the same."""
        return split.weights if self.weight_metric else None

    def of_resample(self, number: int) -> EncodedTask:
        """Return the task with other rows: 0 is those that it has, 1 the first of `resamples` or of `folds`."""
        if number == 0:
            return self
        if self.folds:
            fold = self.folds[number - 1]
            return replace(
                self,
                target=fold.target,
                train=self.select.take(fold.rows.train),
                tune=self.select.take(fold.rows.tune),
                select=self.select.take(fold.rows.select),
                select_rows=fold.rows.select,
            )
        resample = self.resamples[number - 1]
        return replace(self, target=resample.target, train=resample.train)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names in the order of their numbers; none for regression."""
        return self.target.labels


def encode_task(
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    side: Side | None = None,
) -> EncodedTask:
    """Tokenize every row of a task.

    Args:
        task: The task.
        tokenizer: The backbone's tokenizer.
        max_length: Tokens of a row at most, special ones included; of a pair, the longer text is cut first.
        side: The side of a long text that is cut, as in `encode_rows`.

    Returns:
        The encoded task.

    Raises:
        BackboneError: `max_length` leaves no room for a token, or the tokenizer finds no token in a row.
    """
    texts = len(task.train.texts[0])
    special = tokenizer.num_special_tokens_to_add(pair=texts == 2)
    if max_length < special + texts:
        raise BackboneError(
            f"max_length must leave room for one token of every text; got {max_length}, of which {special} are special "
            f"tokens. Allow at least {special + texts}."
        )
    splits: dict[str, EncodedSplit] = {}
    rows = 0
    cut_rows = 0
    jobs = {"train": task.train, "tune": task.tune, "select": task.select, "test": task.test}
    for name, split in jobs.items():
        if name == "select" and task.folds:
            # With folds the select rows are those of train and validation, which no one needs to tokenize twice.
            splits[name] = splits["train"].followed_by(splits["tune"])
            continue
        splits[name], cut = _encode_split(split, task.target, tokenizer, max_length, side)
        rows += len(split)
        cut_rows += cut
    resamples = []
    for resample in task.resamples:
        train, _ = _encode_split(resample.train, resample.target, tokenizer, max_length, side)
        resamples.append(EncodedResample(resample.target, train))
    return EncodedTask(
        target=task.target,
        metric=task.metric,
        pad_token_id=pad_token_id(tokenizer),
        train=splits["train"],
        tune=splits["tune"],
        select=splits["select"],
        test=splits["test"],
        resamples=tuple(resamples),
        folds=task.folds,
        truncated_share=cut_rows / rows,
        weight_metric=task.weight_metric,
    )


def encode_texts(
    texts: Sequence[tuple[str, ...]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    side: Side | None = None,
    *,
    allow_empty: bool = False,
) -> EncodedSplit:
    """Tokenize rows that have no labels.

    Args:
        texts: One text per row, or the two of a pair.
        tokenizer: The backbone's tokenizer.
        max_length: Tokens of a row at most, as in training.
        side: The side of a long text that is cut, as in training.
        allow_empty: Whether a row may have no token.

    Returns:
        The rows, with 0 for every label.

    Raises:
        BackboneError: The tokenizer finds no token in a row, and every row must have one.
    """
    ids, types, _ = _tokenize(texts, tokenizer, max_length, side)
    if not allow_empty:
        _check_tokens(ids)
    no_labels = np.zeros(len(ids), dtype=np.int64)
    return EncodedSplit(tuple(ids), tuple(types) or None, no_labels)


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return what padding positions hold; they are masked, so any number of the vocabulary does."""
    for number in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if number is not None:
            return int(number)
    return 0


def _encode_split(
    split: Split,
    target: Target,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    side: Side | None,
) -> tuple[EncodedSplit, int]:
    """Tokenize a split; also return how many of its rows were cut."""
    ids, types, cut = _tokenize(split.texts, tokenizer, max_length, side)
    _check_tokens(ids)
    weights = np.asarray(split.weights, dtype=np.float64) if split.weights else None
    encoded = EncodedSplit(
        input_ids=tuple(ids),
        token_type_ids=tuple(types) or None,
        labels=target.to_array(split.labels),
        weights=weights,
    )
    return encoded, cut


def _tokenize(
    texts: Sequence[tuple[str, ...]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    side: Side | None,
) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    """Tokenize rows: token numbers, token types if the tokenizer has any, and how many rows were cut."""
    ids: list[np.ndarray] = []
    types: list[np.ndarray] = []
    cut = 0
    for start in range(0, len(texts), BATCH_ROWS):
        encoded, cut_here = encode_rows(texts[start : start + BATCH_ROWS], tokenizer, max_length, side)
        cut += cut_here
        ids += [np.asarray(row, dtype=np.int64) for row in encoded["input_ids"]]
        types += [np.asarray(row, dtype=np.int64) for row in encoded.get("token_type_ids", ())]
    return ids, types, cut


def _check_tokens(ids: Sequence[np.ndarray]) -> None:
    empty = sum(not len(row) for row in ids)
    if empty:
        raise BackboneError(
            f"Every row must have a token; this backbone's tokenizer finds none in {empty} rows, whose texts are "
            "invisible characters. Remove them."
        )

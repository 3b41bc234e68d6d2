"""Batches: rows of similar length together, so that little is padding; every order keyed by the run's own seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unipelt_search.specs.seeds import derive_seed
from unipelt_search.tasks.encode import EncodedSplit

WINDOW_BATCHES = 50
"""Batches in a shuffled window, inside of which rows are sorted by length."""
EVALUATION_ROWS = 32
"""Rows of an evaluation batch."""


@dataclass(frozen=True)
class Batch:
    """Inputs of one forward pass of a pack, slot-major."""

    inputs: dict[str, Tensor]
    """`input_ids`, `attention_mask` and perhaps `token_type_ids`, each ``(S·B, T)``."""
    labels: Tensor
    """``(S, B)``, or ``(S, B, labels)`` where rows have sets of labels; 0 where a row is missing."""
    weights: Tensor
    """``(S, B)``: 1 / (the slot's real rows) for a real row, times the row's own weight; 0 for a missing one."""
    tokens: int
    """Real tokens."""

    @property
    def positions(self) -> int:
        """Token positions, padding included."""
        return self.inputs["input_ids"].numel()


def training_batches(lengths: np.ndarray, batch_size: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the rows of one training batch after another, without end.

    An epoch is a permutation of the rows. Windows of it are sorted by length and cut into batches. The order in which
    a window's batches (short to long) are visited depends on the epoch and their number only, so that the runs of a
    pack meet similar lengths at the same time.

    Args:
        lengths: ``(n,)``, each row's number of tokens.
        batch_size: Rows per batch; the last one of an epoch may have fewer.
        seed: The run's seed for its data order.

    Yields:
        Row numbers, ``(at most batch_size,)``.
    """
    epoch = 0
    window = WINDOW_BATCHES * batch_size
    while True:
        order = _generator(derive_seed(seed, epoch)).permutation(len(lengths))
        for number, start in enumerate(range(0, len(order), window)):
            rows = order[start : start + window]
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            batches = _cut(rows, batch_size)
            # Keyed by the number of batches and not by the run, so that all runs of a pack visit the same ranks.
            ranks = _generator(derive_seed(0, "ranks", epoch, number, len(batches)))
            for rank in ranks.permutation(len(batches)):
                yield batches[rank]
        epoch += 1


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _cut(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut rows into pieces of a size; the last one may be smaller."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def evaluation_batches(lengths: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """Cut rows into batches of similar length.

    Args:
        lengths: ``(n,)``, each row's number of tokens.
        rows: Which rows to evaluate.

    Returns:
        Row numbers, batch by batch.
    """
    ordered = rows[np.argsort(lengths[rows], kind="stable")]
    return _cut(ordered, EVALUATION_ROWS)


def lengths_of(split: EncodedSplit) -> np.ndarray:
    """Return each row's number of tokens, ``(n,)``."""
    return np.array([len(ids) for ids in split.input_ids], dtype=np.int64)


def make_batch(
    split: EncodedSplit,
    rows: Sequence[np.ndarray],
    pad_token_id: int,
    device: torch.device,
) -> Batch:
    """Put the rows of every slot into one batch, padded to the longest.

    Args:
        split: The encoded rows.
        rows: For each slot its row numbers; a slot with fewer is filled up with missing rows.
        pad_token_id: What padding positions hold.
        device: Where the batch goes.

    Returns:
        The batch.
    """
    slots = len(rows)
    height = max(len(numbers) for numbers in rows)
    lengths = [len(split.input_ids[number]) for numbers in rows for number in numbers]
    width = max(lengths, default=1)
    ids = np.full((slots, height, width), pad_token_id, dtype=np.int64)
    mask = np.zeros((slots, height, width), dtype=np.int64)
    types = np.zeros((slots, height, width), dtype=np.int64)
    label_shape = split.labels.shape[1:]
    labels = np.zeros((slots, height, *label_shape), dtype=split.labels.dtype)
    weights = np.zeros((slots, height), dtype=np.float32)
    # A missing row keeps one visible position: attention over nothing would give NaN.
    mask[:, :, 0] = 1
    tokens = 0
    for slot, numbers in enumerate(rows):
        for position, row in enumerate(numbers):
            own = split.input_ids[row]
            ids[slot, position, : len(own)] = own
            mask[slot, position, : len(own)] = 1
            tokens += len(own)
            if split.token_type_ids is not None:
                types[slot, position, : len(own)] = split.token_type_ids[row]
        labels[slot, : len(numbers)] = split.labels[numbers]
        # Divided by the number of rows and not by the sum of their weights: else a row's share in the loss would
        # depend on the rows that happen to be beside it.
        own_weights = 1.0 if split.weights is None else split.weights[numbers]
        weights[slot, : len(numbers)] = own_weights / max(len(numbers), 1)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if split.token_type_ids is not None:
        inputs["token_type_ids"] = types
    flat = {name: array.reshape(-1, width) for name, array in inputs.items()}
    return Batch(
        inputs={name: torch.from_numpy(array).to(device) for name, array in flat.items()},
        labels=torch.from_numpy(labels).to(device),
        weights=torch.from_numpy(weights).to(device),
        tokens=tokens,
    )

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from pyarrow import parquet

from unipelt_search.errors import StorageError
from unipelt_search.records.results import Predictions
from unipelt_search.storage.prediction_blobs import prediction_row, read_predictions, remove_probabilities


@pytest.mark.parametrize(
    ("labels", "predicted"),
    [
        ((0, 149, 3), (1, 149, 0)),
        ((1.5, -2.0, 5.0), (1.25, 1e-9, 4.999999999999999)),
        (((0, 2), (), (1,)), ((), (0, 1, 2), (1,))),
        ((), ()),
    ],
)
def test_answers_of_every_kind_come_back_as_they_were(
    labels: tuple[object, ...], predicted: tuple[object, ...]
) -> None:
    predictions = Predictions.model_validate({"split": "test", "labels": labels, "predicted": predicted})
    back = read_predictions(prediction_row("run", predictions))
    assert back == predictions
    assert list(map(type, back.labels)) == list(map(type, labels))


def test_the_content_is_an_ordinary_parquet_file() -> None:
    row = prediction_row("run", Predictions(split="select", labels=(0, 1), predicted=(1, 1)))
    assert parquet.read_table(BytesIO(row.content)).to_pydict() == {"label": [0, 1], "predicted": [1, 1]}


def test_a_changed_byte_is_found() -> None:
    row = prediction_row("run", Predictions(split="select", labels=(0, 1), predicted=(1, 1)))
    row.content = row.content[:40] + bytes([row.content[40] ^ 1]) + row.content[41:]
    with pytest.raises(StorageError, match="those of run run on select are damaged"):
        read_predictions(row)


def test_answers_of_a_fold_say_which_rows_they_are() -> None:
    predictions = Predictions(split="select", labels=(0, 1), predicted=(1, 1), rows=(7, 2))
    row = prediction_row("run", predictions)
    assert read_predictions(row) == predictions
    assert parquet.read_table(BytesIO(row.content)).to_pydict()["row"] == [7, 2]


def test_what_rows_count_comes_back() -> None:
    predictions = Predictions(split="select", labels=(0, 1), predicted=(1, 1), weights=(0.5, 1.5))
    row = prediction_row("run", predictions)
    assert read_predictions(row) == predictions
    assert parquet.read_table(BytesIO(row.content)).to_pydict()["weight"] == [0.5, 1.5]


SHARES = np.array([[0.1, 0.9], [1 / 3, 2 / 3], [1e-30, 1.0]], dtype="<f4")
WITH_SHARES = Predictions(split="test", labels=(0, 1, 1), predicted=(1, 1, 1), probabilities=SHARES.tobytes())


@pytest.mark.parametrize(
    "changes", [{}, {"rows": (4, 2, 9)}, {"labels": ((0, 1), (), (1,)), "predicted": ((), (0,), (1,))}]
)
def test_probabilities_come_back_to_the_last_bit(changes: dict[str, object]) -> None:
    predictions = WITH_SHARES.model_copy(update=changes)
    row = prediction_row("run", predictions)
    assert read_predictions(row) == predictions
    found = parquet.read_table(BytesIO(row.content)).column("probability").to_pylist()
    assert np.array_equal(np.array(found, dtype="<f4"), SHARES)


def test_weights_come_back_and_are_no_part_of_what_is_taken_out() -> None:
    weighted = WITH_SHARES.model_copy(update={"weights": (0.5, 1 / 3, 2.0)})
    row = prediction_row("run", weighted)
    assert read_predictions(row) == weighted
    remove_probabilities(row)
    assert read_predictions(row).weights == (0.5, 1 / 3, 2.0)


def test_without_a_row_there_are_no_probabilities_to_lose() -> None:
    empty = Predictions(split="test", labels=(), predicted=(), probabilities=b"")
    assert read_predictions(prediction_row("run", empty)) == empty


def test_probabilities_are_taken_out_and_the_rest_stays() -> None:
    row = prediction_row("run", WITH_SHARES.model_copy(update={"rows": (4, 2, 9)}))
    assert remove_probabilities(row)
    assert read_predictions(row) == Predictions(split="test", labels=(0, 1, 1), predicted=(1, 1, 1), rows=(4, 2, 9))
    before = row.sha256
    assert not remove_probabilities(row)
    assert row.sha256 == before

from __future__ import annotations

from io import BytesIO

import pytest
from pyarrow import parquet

from unipelt_search.errors import StorageError
from unipelt_search.records.results import Predictions
from unipelt_search.storage.prediction_blobs import prediction_row, read_predictions


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

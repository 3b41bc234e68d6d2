from __future__ import annotations

import numpy as np
import pytest
import torch

from tiny import randomise, tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.pelt.pack import Pack
from unipelt_search.training.evaluate import ablate, predict, spread_rows


def test_rows_are_spread_evenly() -> None:
    assert spread_rows(10, 20).tolist() == list(range(10))
    assert spread_rows(101, 3).tolist() == [0, 50, 100]


def test_predictions_stand_in_the_order_asked_for() -> None:
    task = tiny_task()
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"), i) for i in (0, 1)]) as pack:
        rows = np.array([7, 2, 11])
        logits = predict(pack, task.select, 0, rows)
        assert logits.shape == (2, 3, 3)
        for place, row in enumerate(rows):
            ids = torch.tensor(task.select.input_ids[row])[None].repeat(2, 1)
            with torch.no_grad():
                alone = pack({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
            assert torch.allclose(torch.tensor(logits[:, place]), alone[:, 0], atol=1e-5)


def test_ablation_names_every_submodule_as_a_whole_and_per_layer() -> None:
    task = tiny_task()
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("unipelt_ap"))]) as pack:
        randomise(pack)
        rows = list(ablate(pack, 0, task))
        full = (predict(pack, task.select, 0, np.arange(12))[0].argmax(-1) == task.select.labels).mean()
        without = predict(pack, task.select, 0, np.arange(12), removed=frozenset({("adapter", 1)}))[0]
    assert [(row.layer, row.submodule) for row in rows] == [
        (layer, submodule) for layer in (None, 0, 1) for submodule in ("adapter", "prefix")
    ]
    assert all(row.value + row.drop == pytest.approx(full) for row in rows)
    (row,) = (row for row in rows if (row.submodule, row.layer) == ("adapter", 1))
    assert row.value == (without.argmax(-1) == task.select.labels).mean()


def test_methods_without_submodules_have_nothing_to_remove() -> None:
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"))]) as pack:
        assert list(ablate(pack, 0, tiny_task())) == []

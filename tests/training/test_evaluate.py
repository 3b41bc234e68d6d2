from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

from tiny import randomise, tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.kinds.label_kind import Target
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.results import OutcomeRow
from unipelt_search.training.evaluate import ablate, outcome_rows, predict, prunable_parts, spread_rows


def test_rows_are_spread_evenly() -> None:
    assert spread_rows(10, 20).tolist() == list(range(10))
    assert spread_rows(101, 3).tolist() == [0, 50, 100]


def test_predictions_stand_in_the_order_asked_for() -> None:
    task = tiny_task()
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"), i) for i in (0, 1)]) as pack:
        rows = np.array([7, 2, 11])
        logits = predict(pack, task.select, 0, rows)
        assert logits.shape == (2, 3, 3)
        for position, row in enumerate(rows):
            ids = torch.tensor(task.select.input_ids[row])[None].repeat(2, 1)
            with torch.no_grad():
                removed_alone = pack({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
            assert torch.allclose(torch.tensor(logits[:, position]), removed_alone[:, 0], atol=1e-5)


def test_ablation_names_every_submodule_as_a_whole_and_per_layer_on_request() -> None:
    task = tiny_task()
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("unipelt_ap"))]) as pack:
        randomise(pack)
        rows = list(ablate(pack, 0, task, layers=True))
        whole = list(ablate(pack, 0, task, layers=False))
        full = (predict(pack, task.select, 0, np.arange(12))[0].argmax(-1) == task.select.labels).mean()
        without = predict(pack, task.select, 0, np.arange(12), removed=frozenset({("adapter", 1)}))[0]
    assert [(row.layer, row.submodule) for row in rows] == [
        (layer, submodule) for layer in (None, 0, 1) for submodule in ("adapter", "prefix")
    ]
    assert whole == rows[:2]
    assert all(row.value + row.drop == pytest.approx(full) for row in rows)
    (row,) = (row for row in rows if (row.submodule, row.layer) == ("adapter", 1))
    assert row.value == (without.argmax(-1) == task.select.labels).mean()


def test_the_error_of_a_drop_is_about_that_of_a_paired_difference() -> None:
    task = tiny_task(other=300)
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("unipelt_ap"))]) as pack:
        randomise(pack)
        rows = [row for row in ablate(pack, 0, task, layers=False) if row.layer is None]
        every = np.arange(300)
        right = predict(pack, task.select, 0, every)[0].argmax(-1) == task.select.labels
        for row in rows:
            without = predict(pack, task.select, 0, every, removed=frozenset({(row.submodule, None)}))[0].argmax(-1)
            change = right.astype(float) - (without == task.select.labels)
            assert row.error == pytest.approx(change.std(ddof=1) / np.sqrt(300), rel=0.5)
        few = ablate(pack, 0, tiny_task(other=12), layers=False)
    assert all(row.error is None for row in few)


def test_what_can_go_costs_nothing_together_on_the_tune_rows() -> None:
    task, found = tiny_task(other=40), []
    for seed in range(4):
        with Pack(tiny_backbone(), [tiny_run(tiny_trial("unipelt_apl"))]) as pack:
            randomise(pack, seed)
            gone = prunable_parts(pack, 0, task, 30)
            rows = spread_rows(40, 30)
            full_logits, without = (
                (predict(pack, task.tune, 0, rows, removed=removed)[0].argmax(-1) == task.tune.labels[rows]).mean()
                for removed in (frozenset(), frozenset(gone))
            )
            assert gone == tuple(sorted(gone))
            assert without >= full_logits
            found.append(gone)
    assert any(found)
    assert all(len(gone) < 6 for gone in found)


def test_nothing_can_go_where_everything_could() -> None:
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("unipelt_al"))]) as pack:  # as it begins, no submodule acts
        assert prunable_parts(pack, 0, tiny_task(), 12) == ()


def test_methods_without_submodules_have_nothing_to_remove() -> None:
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"))]) as pack:
        assert list(ablate(pack, 0, tiny_task(), layers=True)) == []


NAMES = tuple(f"class {i}" for i in range(7))
CLASSES = Target("classification", NAMES)
SETS = Target("multi_label", NAMES)


def test_pairs_are_the_confusion_matrix_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 5, 60), random.integers(1, 7, 60)
    found = np.zeros((7, 7), dtype=int)
    for row in outcome_rows("test", CLASSES, labels, predicted):
        assert (row.split, row.n > 0) == ("test", True)
        assert row.label is not None
        assert row.predicted is not None
        found[NAMES.index(row.label), NAMES.index(row.predicted)] = row.n
    assert (found == confusion_matrix(labels, predicted, labels=range(7))).all()


def test_hits_misses_and_false_alarms_of_any_number_of_labels_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    labels, predicted = (random.random((50, 7)) < share for share in (0.3, 0.4))
    labels[:, 6] = predicted[:, 6] = False
    rows = {(row.label, row.predicted): row.n for row in outcome_rows("select", SETS, labels * 1, predicted * 1)}
    for name, ((_, alarms), (misses, hits)) in zip(NAMES, multilabel_confusion_matrix(labels, predicted), strict=True):
        counts = [rows.get(pair, 0) for pair in ((name, name), (name, None), (None, name))]
        assert counts == [hits, misses, alarms]
    assert all(rows.values())


def test_a_task_without_labels_has_no_outcomes() -> None:
    assert list(outcome_rows("test", Target("regression", ()), np.array([0.5, -1.2]), np.array([0.4, 3.0]))) == []


def test_rows_follow_the_order_of_the_names() -> None:
    rows = list(outcome_rows("test", Target("classification", ("b", "a")), np.array([1, 0, 1]), np.array([0, 0, 0])))
    assert rows == [
        OutcomeRow(split="test", label="b", predicted="b", n=1),
        OutcomeRow(split="test", label="a", predicted="b", n=2),
    ]

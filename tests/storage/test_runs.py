from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from unipelt_search.errors import StorageError
from unipelt_search.records.history import RunState, TrialState
from unipelt_search.records.results import Predictions, RunResult
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.storage.runs import is_search_run
from unipelt_search.storage.store import StudyStore
from unipelt_search.storage.tables import RunRow


def test_only_the_run_of_seed_index_0_and_fold_0_decides_its_trial() -> None:
    runs = [RunRow(seed_index=seed_index, fold=fold) for seed_index, fold in ((0, 0), (1, 0), (0, 1))]
    assert [is_search_run(run) for run in runs] == [True, False, False]


def test_a_failed_search_run_fails_its_trial_and_a_failed_confirm_run_does_not(
    store: StudyStore,
    create: Callable[..., str],
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    study = create()
    bad, good = (store.runs.add_trial(study, trial_spec(), "screen", "published") for _ in range(2))
    error = "loss is inf \x00 in caf\udce9.csv" + "x" * 100_000
    store.runs.fail(bad.id, store.attempts.start(bad.id, "me"), error)
    store.runs.finish(good.id, store.attempts.start(good.id, "me"), run_result())
    confirm = store.runs.add(study, good.trial, "confirm", 1)
    store.runs.fail(confirm.id, store.attempts.start(confirm.id, "me"), "killed")
    first, second = store.studies.load("first").trials
    assert (first.state, first.value, first.runs[0].state) == (TrialState.FAILED, None, RunState.FAILED)
    assert (first.runs[0].error or "").startswith("loss is inf \\x00 in caf\\udce9.csvxxx")
    assert (second.state, second.value, second.runs[1].state) == (TrialState.COMPLETE, 0.75, RunState.FAILED)


def test_a_confirm_run_needs_its_trial_and_a_new_seed(
    store: StudyStore, create: Callable[..., str], trial_spec: Callable[..., TrialSpec]
) -> None:
    study = create()
    with pytest.raises(StorageError, match="no trial 0"):
        store.runs.add(study, 0, "confirm", 1)
    with pytest.raises(StorageError, match="got confirm"):
        store.runs.add_trial(study, trial_spec(), "confirm", "tpe")
    store.runs.add_trial(study, trial_spec(), "screen", "published")
    assert store.runs.add(study, 0, "confirm", 2).seed_index == 2
    with pytest.raises(StorageError, match="has one of index 2"):
        store.runs.add(study, 0, "confirm", 2)
    assert [run.seed_index for run in store.studies.load("first").trials[0].runs] == [0, 2]


def test_every_fold_of_a_seed_has_a_run(
    store: StudyStore, create: Callable[..., str], trial_spec: Callable[..., TrialSpec]
) -> None:
    study = create()
    store.runs.add_trial(study, trial_spec(), "screen", "published")
    for fold in (2, 1):
        store.runs.add(study, 0, "confirm", 1, fold)
    with pytest.raises(StorageError, match="has one of index 1, fold 2"):
        store.runs.add(study, 0, "confirm", 1, 2)
    assert [(run.seed_index, run.fold) for run in store.studies.load("first").trials[0].runs] == [
        (0, 0),
        (1, 1),
        (1, 2),
    ]


def test_probabilities_are_taken_from_all_trials_but_some(
    store: StudyStore,
    create: Callable[..., str],
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    shares = np.array([[0.25, 0.75]], dtype="<f4").tobytes()
    kept = tuple(
        Predictions(split=split, labels=(0,), predicted=(1,), probabilities=shares) for split in ("select", "test")
    )
    other = create("other")
    study = create()
    for study_id in (study, other):
        for _ in range(3):
            run = store.runs.add_trial(study_id, trial_spec(), "screen", "published")
            result = run_result().model_copy(update={"predictions": kept})
            store.runs.finish(run.id, store.attempts.start(run.id, "me"), result)
    for _ in range(2):
        store.runs.remove_probabilities(study, {1})
        found = [trial.runs[0].result for trial in store.studies.load("first").trials]
        plain = tuple(part.model_copy(update={"probabilities": None}) for part in kept)
        assert [result.predictions for result in found if result] == [plain, kept, plain]
    assert {trial.runs[0].result.predictions for trial in store.studies.load("other").trials} == {kept}
    with pytest.raises(StorageError, match="none with the id"):
        store.runs.remove_probabilities("absent", ())

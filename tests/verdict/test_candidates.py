from __future__ import annotations

import numpy as np
import pytest
from made_record import folded, made_record, made_trial, whole_record, without_answers

from unipelt_search.records.history import RunState, TrialState
from unipelt_search.verdict.candidates import find_candidates


def test_confirmed_methods_come_first_best_first() -> None:
    names = [candidate.method for candidate in find_candidates(whole_record())]
    assert names == ["lora", "adapter", "unipelt_apl", "fine_tuning", "bitfit", "head", "prefix"]


def test_a_methods_confirmed_trial_stands_for_it_even_behind_a_better_tune_score() -> None:
    record = made_record(made_trial(0, "lora", 0.9), made_trial(1, "lora", 0.8, {1: 0.7}), made_trial(2, "lora", 0.95))
    (candidate,) = find_candidates(record)
    assert (candidate.trial.number, candidate.score, len(candidate.results)) == (1, 0.7, 1)


def test_failed_trials_stand_for_nothing_and_cheaper_ones_break_ties() -> None:
    failed = made_trial(0, "lora", 0.9).model_copy(update={"state": TrialState.FAILED, "value": None})
    record = made_record(failed, made_trial(1, "adapter", 0.8), made_trial(2, "head", 0.8))
    assert [candidate.method for candidate in find_candidates(record)] == ["head", "adapter"]


def test_a_metric_may_be_minimised() -> None:
    record = made_record(made_trial(0, "lora", 0.9, {1: 0.9}), made_trial(1, "head", 0.8, {1: 0.8}))
    record = record.model_copy(update={"task": record.task.model_copy(update={"direction": "minimize"})})
    assert find_candidates(record)[0].method == "head"


def test_a_variant_stands_for_itself_beside_its_method() -> None:
    record = made_record(
        made_trial(0, "lora", 0.9, {1: 0.7}),
        made_trial(1, "lora", 0.95, {1: 0.8}, variant="mine"),
        made_trial(2, "lora", 0.8, variant="other"),
    )
    candidates = find_candidates(record)
    assert [(candidate.name, candidate.method) for candidate in candidates] == [
        ("mine", "lora"), ("lora", "lora"), ("other", "lora"),
    ]  # fmt: skip


def test_a_repeat_of_folds_counts_as_one_seed_once_all_of_it_has_finished() -> None:
    complete = whole_record()
    record = folded(complete)
    candidates = {candidate.name: candidate for candidate in find_candidates(record)}
    lora = candidates["lora"]
    assert [len(lora.confirmed), len(lora.seeds)] == [15, 3]
    # All rows of a repeat together give the score that one run had on them.
    assert lora.score == pytest.approx(find_candidates(complete)[0].score)
    predictions = next(
        run.result.predictions[0] for run in complete.trials[2].runs if run.seed_index == 1 and run.result
    )
    assert lora.seeds[0].predictions == predictions
    assert lora.seeds[0].folds is not None
    assert np.bincount(lora.seeds[0].folds).tolist() == [40] * 5
    trial = record.trials[2]
    failed = trial.runs[-1].model_copy(update={"state": RunState.FAILED, "result": None})
    record = record.model_copy(
        update={"trials": (*record.trials[:2], trial.model_copy(update={"runs": (*trial.runs[:-1], failed)}))}
    )
    lora = next(candidate for candidate in find_candidates(record) if candidate.name == "lora")
    assert [run.seed_index for run in lora.confirmed] == [1] * 5 + [2] * 5


def test_without_answers_a_repeat_has_the_mean_of_its_folds() -> None:
    record = folded(whole_record())
    lora = next(candidate for candidate in find_candidates(without_answers(record)) if candidate.name == "lora")
    assert lora.score == pytest.approx(0.88)
    assert all(seed.predictions is None for seed in lora.seeds)


def test_a_run_that_was_held_up_does_not_make_its_method_slow() -> None:
    trial = made_trial(0, "lora", 0.8, {1: 0.8, 2: 0.8, 3: 0.8})
    runs = []
    for run, time in zip(trial.runs, (None, 15.2, 6.8, 6.9), strict=True):
        assert run.result is not None
        costs = run.result.costs.model_copy(update={"predict_ms_per_example": time})
        runs.append(run.model_copy(update={"result": run.result.model_copy(update={"costs": costs})}))
    (candidate,) = find_candidates(made_record(trial.model_copy(update={"runs": tuple(runs)})))
    assert candidate.milliseconds == 6.9

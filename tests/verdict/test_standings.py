from __future__ import annotations

from made_record import made_record, made_trial, whole_record

from unipelt_search.records.history import TrialState
from unipelt_search.verdict.standings import method_standings


def test_confirmed_methods_come_first_best_first() -> None:
    names = [standing.method for standing in method_standings(whole_record())]
    assert names == ["lora", "adapter", "unipelt_apl", "fine_tuning", "bitfit", "head", "prefix"]


def test_a_methods_confirmed_trial_stands_for_it_even_behind_a_better_tune_score() -> None:
    record = made_record(made_trial(0, "lora", 0.9), made_trial(1, "lora", 0.8, {1: 0.7}), made_trial(2, "lora", 0.95))
    (standing,) = method_standings(record)
    assert (standing.trial.number, standing.score, len(standing.results)) == (1, 0.7, 1)


def test_failed_trials_stand_for_nothing_and_cheaper_ones_break_ties() -> None:
    failed = made_trial(0, "lora", 0.9).model_copy(update={"state": TrialState.FAILED, "value": None})
    record = made_record(failed, made_trial(1, "adapter", 0.8), made_trial(2, "head", 0.8))
    assert [standing.method for standing in method_standings(record)] == ["head", "adapter"]


def test_a_metric_may_be_minimised() -> None:
    record = made_record(made_trial(0, "lora", 0.9, {1: 0.9}), made_trial(1, "head", 0.8, {1: 0.8}))
    record = record.model_copy(update={"task": record.task.model_copy(update={"direction": "minimize"})})
    assert method_standings(record)[0].method == "head"


def test_a_variant_stands_for_itself_beside_its_method() -> None:
    record = made_record(
        made_trial(0, "lora", 0.9, {1: 0.7}),
        made_trial(1, "lora", 0.95, {1: 0.8}, variant="mine"),
        made_trial(2, "lora", 0.8, variant="other"),
    )
    standings = method_standings(record)
    assert [(standing.name, standing.method) for standing in standings] == [
        ("mine", "lora"), ("lora", "lora"), ("other", "lora"),
    ]  # fmt: skip

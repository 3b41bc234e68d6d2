from __future__ import annotations

import pytest
from made_record import folded, made_record, made_trial, whole_record, with_latency, with_probabilities
from made_studies import SIX, multi_label, regression

from unipelt_search.records.history import StudyRecord
from unipelt_search.verdict import kept_probabilities
from unipelt_search.verdict.kept_probabilities import (
    needs_probabilities,
    probability_bytes,
    probability_notices,
    trials_to_keep,
)
from unipelt_search.verdict.ranking import rank_methods

RECORD = with_probabilities(whole_record(SIX))


def stored_bytes(record: StudyRecord) -> int:
    results = [run.result for trial in record.trials for run in trial.runs]
    kept = [part.probabilities for result in results if result for part in result.predictions]
    return sum(len(shares) for shares in kept if shares is not None)


@pytest.mark.parametrize("record", [RECORD, with_probabilities(multi_label()), folded(RECORD)])
def test_the_bytes_are_counted_without_what_was_stored(record: StudyRecord) -> None:
    trials = []
    for trial in record.trials:
        runs = []
        for run in trial.runs:
            plain = run.result.model_copy(update={"predictions": ()}) if run.result else None
            runs.append(run.model_copy(update={"result": plain}))
        trials.append(trial.model_copy(update={"runs": tuple(runs)}))
    without_details = record.model_copy(update={"trials": tuple(trials)})
    assert probability_bytes(without_details) == stored_bytes(record) > 0


def test_numbers_have_no_probabilities() -> None:
    assert probability_bytes(regression()) == 0
    assert not needs_probabilities(RECORD)


def test_the_best_three_methods_keep_theirs() -> None:
    by_name = {trial.method: trial.number for trial in RECORD.trials}
    best = {by_name[name] for name in ("lora", "adapter", "unipelt_apl")}
    assert trials_to_keep(RECORD) == best
    assert trials_to_keep(folded(RECORD)) == best
    # What is too slow to win comes after all that may win.
    slow = with_latency(RECORD, {"lora": 9.0, "adapter": 9.0, "unipelt_apl": 9.0, "head": 9.0})
    space = slow.spec.space.model_copy(update={"max_latency_ms": 5.0})
    slow = slow.model_copy(update={"spec": slow.spec.model_copy(update={"space": space})})
    assert trials_to_keep(slow) == {by_name[name] for name in ("fine_tuning", "bitfit", "lora")}


def test_two_methods_keep_what_they_have() -> None:
    record = made_record(made_trial(0, "lora", 0.8, {1: 0.8}), made_trial(1, "head", 0.5, {1: 0.5}))
    assert trials_to_keep(record) == {0, 1}


def pruned(record: StudyRecord, keep: frozenset[int]) -> StudyRecord:
    plain = whole_record(SIX)
    trials = [trial if trial.number in keep else plain.trials[trial.number] for trial in record.trials]
    return record.model_copy(update={"trials": tuple(trials)})


def test_the_report_says_of_which_methods_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    record = pruned(RECORD, trials_to_keep(RECORD))
    assert list(probability_notices(rank_methods(RECORD))) == []
    monkeypatch.setattr(kept_probabilities, "MOST_BYTES", 100_000)
    (notice,) = probability_notices(rank_methods(record))
    assert notice.code == "probabilities_of_best"
    assert notice.values["methods"] == ("lora", "adapter", "unipelt_apl")
    # As long as none were taken away, there is nothing to say; nor where an older version kept none.
    assert list(probability_notices(rank_methods(RECORD))) == []
    assert list(probability_notices(rank_methods(whole_record(SIX)))) == []


def test_probabilities_that_the_metric_needs_are_all_kept_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_probabilities, "MOST_BYTES", 100_000)
    monkeypatch.setattr(kept_probabilities, "needs_probabilities", lambda record: True)
    (notice,) = probability_notices(rank_methods(RECORD))
    assert (notice.code, notice.values["metric"]) == ("probabilities_needed", "accuracy")

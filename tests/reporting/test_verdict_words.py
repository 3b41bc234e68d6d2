"""The verdict in English: short headlines, and every number of the verdict where it belongs."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from made_record import (
    by_brier,
    few_rows,
    folded,
    made_record,
    made_trial,
    whole_record,
    with_labels,
    with_latency,
    without_answers,
)
from made_studies import multi_label, regression, studies

from unipelt_search.records.history import StudyRecord
from unipelt_search.records.report import Disagreement, Power, Verdict
from unipelt_search.reporting.verdict_words import join_names, make_verdict, metric_name
from unipelt_search.verdict.ranking import rank_methods

LORA_AND_HEAD = (
    made_trial(0, "lora", 0.8, {1: 0.80, 2: 0.84, 3: 0.79}),
    made_trial(1, "head", 0.8, {1: 0.81, 2: 0.80, 3: 0.80}),
)


def verdict_of(record: StudyRecord) -> Verdict:
    return make_verdict(rank_methods(record))


def power_of(record: StudyRecord) -> Power:
    power = verdict_of(record).power
    assert power is not None
    return power


def limited(record: StudyRecord, milliseconds: float) -> StudyRecord:
    space = record.spec.space.model_copy(update={"max_latency_ms": milliseconds})
    return record.model_copy(update={"spec": record.spec.model_copy(update={"space": space})})


def variants(count: int) -> StudyRecord:
    """As many configurations of the user's, alike but for their names."""
    trials = [made_trial(n, "lora", 0.8, {1: 0.8, 2: 0.81}, variant=f"a-rather-long-name-{n}") for n in range(count)]
    return made_record(*trials)


SLOW = with_latency(whole_record(), {"lora": 9.0, "unipelt_apl": 9.0})
RECORDS = {
    "ties": whole_record(),
    "one tie": made_record(*LORA_AND_HEAD),
    "twenty ties": variants(21),
    "a clear winner": made_record(LORA_AND_HEAD[0], made_trial(1, "head", 0.5, {1: 0.50, 2: 0.52, 3: 0.49})),
    "no trial": made_record(),
    "nothing confirmed": made_record(made_trial(0, "lora", 0.8), made_trial(1, "head", 0.5)),
    "one method": made_record(made_trial(0, "lora", 0.8, {1: 0.8, 2: 0.9}), made_trial(1, "head", 0.5)),
    "one method, one seed": made_record(made_trial(0, "lora", 0.8, {1: 0.8})),
    "one seed": made_record(made_trial(0, "lora", 0.8, {1: 0.8}), made_trial(1, "head", 0.5, {1: 0.5})),
    "few rows": few_rows(whole_record()),
    "an older version": without_answers(whole_record()),
    "below the majority": made_record(made_trial(0, "head", 0.2, {1: 0.2, 2: 0.21, 3: 0.2})),
    "folds": folded(whole_record()),
    "one repeat of folds": folded(
        made_record(made_trial(0, "lora", 0.8, {1: 0.71}), made_trial(1, "head", 0.5, {1: 0.69}))
    ),
    "folds of an older version": without_answers(folded(whole_record())),
    "some too slow": limited(SLOW, 5.0),
    "all too slow": limited(SLOW, 1.0),
    "all others too slow": limited(with_latency(made_record(*LORA_AND_HEAD), {"lora": 2.0, "head": 9.0}), 5.0),
    "another is the fastest": with_latency(
        whole_record(), {"lora": 4.0, "adapter": 3.9, "unipelt_apl": 3.0, "head": 1.0}
    ),
    "regression": regression(),
    "folds of a regression": folded(regression()),
    "sets of labels": multi_label(),
    **studies(),
}  # fmt: skip


def words_in(text: str, names: set[str]) -> int:
    """Count words; the name of a method or a variant is one."""
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "name")
    return len(text.split())


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_every_headline_has_at_most_twelve_words_and_begins_the_sentence(record: StudyRecord) -> None:
    verdict = verdict_of(record)
    names = {trial.name for trial in record.trials}
    assert 0 < words_in(verdict.headline, names) <= 12
    assert verdict.headline.endswith(".")
    assert verdict.sentence.startswith(verdict.headline)
    assert f"{verdict.title} {verdict.details}".strip() == verdict.sentence


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_sentences_are_short(record: StudyRecord) -> None:
    verdict = verdict_of(record)
    names = {trial.name for trial in record.trials}
    text = verdict.sentence + (f" {verdict.power.sentence}" if verdict.power else "")
    for sentence in re.split(r"(?<=[.:])\s", text):
        listed = sentence.split(" apart from ")[0]  # names of ties may be many
        assert words_in(listed, names) <= 22, sentence


def test_a_verdict_says_what_how_sure_and_at_what_cost() -> None:
    verdict = verdict_of(whole_record())
    assert (verdict.method, verdict.trial, verdict.decided_on) == ("lora", 2, "select")
    assert (verdict.ties, verdict.cheapest_tie, verdict.fastest_tie) == (("adapter", "unipelt_apl"), "lora", "lora")
    assert verdict.headline == "lora is best; two methods tie with it."
    for part in ("accuracy is 0.880", "0.837 to 0.923", "3 seeds and 200 rows", "adapter and unipelt_apl", "76,038"):
        assert part in verdict.details
    assert "0.052" in power_of(whole_record()).sentence


def test_headlines_of_every_kind() -> None:
    found = {name: verdict_of(record).headline for name, record in RECORDS.items()}
    assert found["one tie"] == "lora is best; head ties with it."
    assert found["twenty ties"].endswith("is best; 20 methods tie with it.")
    assert found["a clear winner"] == "lora is best; no other method ties with it."
    assert found["no trial"] == "No verdict yet: no trial is complete."
    assert found["nothing confirmed"] == "No verdict yet: no method was confirmed."
    assert found["one method"] == "lora is the only confirmed method."
    assert found["one seed"] == "lora leads, but one seed cannot rank methods."
    assert found["below the majority"] == "head leads, but does not beat a constant prediction."
    assert found["all others too slow"] == "lora is best; all others are too slow."


def test_a_cheaper_tie_is_named_with_what_it_may_lose() -> None:
    record = made_record(*LORA_AND_HEAD)
    low = rank_methods(record).differences["head"].low
    assert low is not None
    details = verdict_of(record).details
    assert "head, with 2,310 stored parameters" in details
    assert f"at most {-low:.3f} worse than the best" in details


def test_the_fastest_is_named_only_where_it_is_not_the_cheapest() -> None:
    assert "fastest of them is unipelt_apl" in verdict_of(RECORDS["another is the fastest"]).details
    assert "fastest" not in verdict_of(whole_record()).details


def test_a_study_that_compares_nothing_says_why() -> None:
    assert "three seeds or more" in verdict_of(RECORDS["one seed"]).details
    assert "nterval" not in verdict_of(RECORDS["one seed"]).sentence
    assert "kept no predictions" in verdict_of(RECORDS["an older version"]).details
    assert "few rows" in verdict_of(RECORDS["few rows"]).details
    assert "lora (trial 0) leads with accuracy 0.800" in verdict_of(RECORDS["nothing confirmed"]).details


def test_the_majority_of_a_score_of_probabilities_is_the_shares_of_the_labels() -> None:
    study = by_brier(RECORDS["below the majority"])
    majority = dict.fromkeys(("select", "test"), {"brier": 0.0125})
    found = verdict_of(with_labels(study, study.task.labels, majority=majority))
    assert "its share of the training rows as probability scores 0.013" in found.details
    assert "most frequent" not in found.details


def test_the_majority_and_slow_methods_are_said() -> None:
    assert "the most frequent label scores 0.250" in verdict_of(RECORDS["below the majority"]).details
    assert "Too slow for 5 ms per example: lora and unipelt_apl." in verdict_of(RECORDS["some too slow"]).details
    assert "fast enough is worse" in verdict_of(RECORDS["some too slow"]).details
    assert "within 1 ms per example" in verdict_of(RECORDS["all too slow"]).details


def test_folds_are_named_with_what_their_rows_chose() -> None:
    verdict = verdict_of(folded(whole_record()))
    assert verdict.decided_on == "folds"
    assert "0.880 on 5 folds of train and validation, repeated 3 times" in verdict.details
    assert "over 15 runs and 200 rows" in verdict.details
    assert verdict.details.endswith("also used to choose the hyperparameters.")
    assert "select" not in verdict.sentence
    assert "repeated" not in verdict_of(RECORDS["one repeat of folds"]).details
    assert verdict_of(folded(made_record(made_trial(0, "lora", 0.8)))).decided_on == "folds"


def of_validation(record: StudyRecord, rows: int) -> StudyRecord:
    """Let the select rows be the whole validation split of the user's, and tell of so many."""
    task = record.task.model_copy(
        update={"validation_decides": True, "rows": {**record.task.rows, "select": rows, "validation": rows}}
    )
    return record.model_copy(update={"task": task})


def test_few_validation_rows_that_decide_alone_are_named_with_what_they_show() -> None:
    details = verdict_of(of_validation(whole_record(), 80)).details
    assert "accuracy is 0.880 on the validation rows" in details
    assert "Only 80 validation rows decide, which would show a true difference of 0.052" in details
    assert "--folds always" in details
    assert "--folds" not in verdict_of(of_validation(whole_record(), 100)).details
    assert "Only 80 validation rows decide. With" in verdict_of(of_validation(RECORDS["one seed"], 80)).details


def test_folds_that_were_asked_for_are_said() -> None:
    record = folded(whole_record())
    spec = record.spec.model_copy(update={"task": record.spec.task.model_copy(update={"folds": "always"})})
    said = "assigned to folds together, as --folds always asks."
    assert verdict_of(record.model_copy(update={"spec": spec})).details.endswith(said)
    assert said not in verdict_of(record).details


@pytest.mark.parametrize("record", [whole_record(), folded(whole_record())], ids=["select", "folds"])
def test_a_disagreement_of_selection_and_test_is_the_second_sentence(record: StudyRecord) -> None:
    ranking = replace(rank_methods(record), disagreement=Disagreement(deciding=1.0, test=0.535))
    verdict = make_verdict(ranking)
    assert verdict.disagreement == Disagreement(deciding=1.0, test=0.535)
    assert verdict.details.startswith(
        "Selection and test disagree by more than their intervals allow: accuracy is 1.000"
    )
    assert "0.535 on test." in verdict.details
    assert "disagreement" not in verdict_of(record).model_dump()
    for part in re.split(r"(?<=[.:])\s", verdict.sentence):
        assert len(part.split()) <= 22


def test_what_would_settle_a_tie_is_said() -> None:
    near = (LORA_AND_HEAD[0], made_trial(1, "head", 0.8, {1: 0.74, 2: 0.80, 3: 0.76}))
    power = power_of(made_record(*near))
    assert power.more_seeds
    assert f"About {power.more_seeds} more seeds would tell lora and head apart." in power.sentence
    assert "No affordable number of seeds or rows" in power_of(whole_record()).sentence
    assert power_of(RECORDS["a clear winner"]).more_seeds == power_of(RECORDS["a clear winner"]).more_rows == 0
    assert "apart" not in power_of(RECORDS["a clear winner"]).sentence


def test_what_would_settle_a_tie_of_folds_is_said_in_repeats() -> None:
    assert "More labelled rows might" in power_of(folded(whole_record())).sentence
    assert "A second repeat of the folds" in power_of(RECORDS["one repeat of folds"]).sentence
    near = (
        made_trial(0, "lora", 0.8, {1: 0.69, 2: 0.65, 3: 0.72}),
        made_trial(1, "head", 0.5, {1: 0.67, 2: 0.67, 3: 0.68}),
    )
    power = power_of(folded(made_record(*near)))
    assert (power.more_rows, bool(power.more_seeds)) == (0, True)
    assert f"About {power.more_seeds} more repeats of the folds would tell lora and head apart." in power.sentence


def test_a_variant_has_its_own_name() -> None:
    ours = made_trial(0, "lora", 0.9, {1: 0.8, 2: 0.82, 3: 0.81}, variant="mine")
    verdict = verdict_of(made_record(ours, made_trial(1, "lora", 0.9, {1: 0.8, 2: 0.81, 3: 0.81})))
    assert (verdict.method, verdict.variant, verdict.name, verdict.trial) == ("lora", "mine", "mine", 0)
    assert verdict.headline == "mine is best; lora ties with it."


def test_metrics_and_lists_are_written_as_one_says_them() -> None:
    assert (metric_name("macro_f1"), metric_name("accuracy")) == ("macro-F1", "accuracy")
    assert [join_names(names) for names in (("a",), ("a", "b"), ("a", "b", "c"))] == ["a", "a and b", "a, b and c"]

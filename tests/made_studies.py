"""A study of every kind that a report must cope with, by what is special about it."""

from __future__ import annotations

from functools import cache

import numpy as np
from made_record import folded, made_record, made_trial, whole_record, with_labels, with_predictions, with_probabilities

from unipelt_search.records.history import DroppedMethod, StudyRecord, StudyState, TrialState
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import GateName, GateValues, OutcomeRow, Predictions, RunResult

SIX = ("abbreviation", "description", "entity", "human", "location", "numeric")
ODD = (
    '<script>alert("1")</script>', "it's \"quoted\" | `piped` & <b>bold</b>", "🎉 fête", "موقع جغرافي",
    "a label that somebody wrote as a whole sentence, with a comma and no end in sight, since nothing forbade it " * 3,
    "a" * 200,
)  # fmt: skip


def many(count: int) -> tuple[str, ...]:
    """Label names as long as those of real intent data."""
    kinds = ("card arrival", "lost or stolen phone", "exchange rate", "pending cash withdrawal", "top up failed")
    return tuple(f"{kinds[number % 5]} {number}" for number in range(count))


def regression() -> StudyRecord:
    """A task without labels, judged by R2, whose worst method is below 0."""
    record = made_record(
        made_trial(0, "head", -0.2, {1: -0.21, 2: -0.25, 3: -0.18}, ()),
        made_trial(1, "lora", 0.1, {1: 0.12, 2: 0.13, 3: 0.09}, ()),
        made_trial(2, "unipelt_apl", 0.1, {1: 0.11, 2: 0.10, 3: 0.14}, ()),
    )
    zero = dict.fromkeys(("r2", "spearman", "pearson"), -0.01)
    return with_labels(
        record, (), kind="pair_regression", metric="r2", majority={"select": zero, "test": zero}, majority_answer=0.0
    )


def mislabelled() -> StudyRecord:
    """Numbers of which some are far from what every method predicts."""

    def with_wrong_labels(predictions: tuple[Predictions, ...]) -> tuple[Predictions, ...]:
        found = []
        for part in predictions:
            labels = list(part.labels)
            labels[3], labels[7] = 50.0, -20.25
            found.append(part.model_copy(update={"labels": tuple(labels)}))
        return tuple(found)

    return with_predictions(regression(), with_wrong_labels).model_copy(update={"edition": 3})


def multi_label() -> StudyRecord:
    """A task whose rows have any number of labels: hits, misses and false alarms instead of pairs."""
    record = whole_record(SIX)

    def answered(row: OutcomeRow) -> tuple[OutcomeRow, ...]:
        if row.label == row.predicted:
            return (row,)
        missed, alarm = row.model_copy(update={"predicted": None}), row.model_copy(update={"label": None})
        return missed, alarm

    def sets(predictions: Predictions) -> Predictions:
        labels, predicted = (tuple((label,) for label in row) for row in (predictions.labels, predictions.predicted))
        return predictions.model_copy(update={"labels": labels, "predicted": predicted})

    trials = []
    for trial in record.trials:
        runs = []
        for run in trial.runs:
            assert run.result is not None
            changes = {
                "outcomes": tuple(new for row in run.result.outcomes for new in answered(row)),
                "predictions": tuple(sets(predictions) for predictions in run.result.predictions),
            }
            runs.append(run.model_copy(update={"result": run.result.model_copy(update=changes)}))
        trials.append(trial.model_copy(update={"runs": tuple(runs)}))
    record = record.model_copy(update={"trials": tuple(trials)})
    return with_labels(record, SIX, kind="multi_label", metric="micro_f1", majority_answer=(0,))


def opposite() -> StudyRecord:
    """Gates that are open in one run and closed in the next one, all of them kept."""
    record = whole_record(("negative", "positive"))
    trials = []
    for trial in record.trials:
        runs = []
        for run in trial.runs:
            if run.result is not None and run.result.gates:
                result = _shifted(run.result, 0.2 if run.seed_index % 2 else -0.2)
                run = run.model_copy(update={"result": result})
            runs.append(run)
        trials.append(trial.model_copy(update={"runs": tuple(runs)}))
    return record.model_copy(update={"trials": tuple(trials)})


def _shifted(result: RunResult, shift: float) -> RunResult:
    """The result with all gates moved by so much, and their values on the select rows."""
    figures = ("mean", "q05", "q25", "q50", "q75", "q95")
    gates = tuple(
        row.model_copy(update={name: min(max(getattr(row, name) + shift, 0.01), 0.99) for name in figures})
        for row in result.gates
    )
    overall = [row for row in gates if row.split == "select" and row.label is None]
    spread = np.linspace(-0.08, 0.08, 200)
    values = np.clip(np.array([[row.mean] for row in overall]) + spread, 0, 1)
    kept = GateValues(
        gates=tuple(GateName(stack=row.stack, layer=row.layer, gate=row.gate) for row in overall),
        rows=tuple(range(200)),
        values=values.astype("<f2").tobytes(),
    )
    return result.model_copy(update={"gates": gates, "gate_values": kept if result.select else None})


def odd() -> StudyRecord:
    """Odd labels, and names and sentences without a place to break a line at."""
    long = "/" + "unbroken" * 30
    record = with_labels(whole_record(ODD), ODD, name=long)
    backbone = record.spec.backbone.model_copy(update={"model": long})
    spec = record.spec.model_copy(update={"backbone": backbone})
    sentence = Notice.model_validate(long)
    dropped = (DroppedMethod(method="prefix", phase="screen", reason=sentence),)
    return record.model_copy(update={"spec": spec, "notices": (sentence,), "command": long, "dropped": dropped})


def failed() -> StudyRecord:
    """Every trial failed."""
    trials = (made_trial(number, "lora", 0.5) for number in range(2))
    none = [trial.model_copy(update={"state": TrialState.FAILED, "value": None, "runs": ()}) for trial in trials]
    dropped = (DroppedMethod(method="lora", phase="screen", reason="The training loss must be a finite number."),)
    return made_record(*none, state=StudyState.FAILED, phase="screen", dropped=dropped)


@cache
def studies() -> dict[str, StudyRecord]:
    """Return the studies by a short name."""
    head, lora = made_trial(0, "head", 0.5, {1: 0.5, 2: 0.52}), made_trial(1, "lora", 0.8, {1: 0.8, 2: 0.79})
    unconfirmed = (made_trial(0, "head", 0.5), made_trial(1, "unipelt_apl", 0.8))
    return {
        "two-labels": whole_record(("negative", "positive")),
        "six-labels": whole_record(SIX),
        "77-labels": whole_record(many(77)),
        "150-labels": whole_record(many(150)),
        "odd-labels": odd(),
        "regression": regression(),
        "regression-missed": mislabelled(),
        "multi-label": multi_label(),
        "opposite-gates": opposite(),
        "folds": folded(whole_record()),
        "two-labels-probable": with_probabilities(whole_record(("negative", "positive"))),
        "odd-labels-probable": with_probabilities(odd()),
        "multi-label-probable": with_probabilities(multi_label()),
        "folds-probable": folded(with_probabilities(whole_record())),
        "one-method": made_record(lora),
        "one-run": made_record(made_trial(0, "lora", 0.8, {1: 0.8}), made_trial(1, "head", 0.5, {1: 0.5})),
        "no-gates": made_record(head, lora),
        "not-confirmed": made_record(*unconfirmed, phase="tune", state=StudyState.STOPPED),
        "running": made_record(unconfirmed[0], state=StudyState.RUNNING, phase="screen"),
        "nothing-yet": made_record(state=StudyState.RUNNING, phase="screen", command="", notices=()),
        "failed": failed(),
    }

"""A study's record becomes its report, the published JSON contract."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import fmean

from unipelt_search.methods.catalogue import stored_method
from unipelt_search.records.history import DroppedMethod, StudyRecord, TrialRecord, TrialState
from unipelt_search.records.notice import Notice, without_facts
from unipelt_search.records.report import (
    CurvePoint,
    Interval,
    LeaderboardRow,
    ParetoFront,
    ReportedAblation,
    ReportedDrop,
    ReportedStudy,
    ReportedTask,
    StudyCost,
    StudyReport,
    TrialCounts,
    UpperBound,
)
from unipelt_search.records.results import RunResult
from unipelt_search.reporting.notice_sentences import described, notice_sentence
from unipelt_search.reporting.pooled_gates import pool_gates
from unipelt_search.reporting.pooled_outcomes import pool_outcomes
from unipelt_search.reporting.pooled_predictions import pool_predictions
from unipelt_search.reporting.verdict_words import make_verdict
from unipelt_search.specs.adapter_input import adapter_input
from unipelt_search.specs.seeds import run_number
from unipelt_search.specs.trial import Phase, config_of
from unipelt_search.verdict.candidates import Candidate, adapter_notices
from unipelt_search.verdict.kept_probabilities import probability_notices
from unipelt_search.verdict.pareto import pareto_front
from unipelt_search.verdict.ranking import Ranking, rank_methods
from unipelt_search.verdict.roles import ablation_scale, worth_of

# A string of JSON holds no line break and no quotation mark of its own, so neither is ever inside of one.
_NUMBERS = re.compile(r"\[\n[\s\d.eE+,null-]*\]")
_RUNS = re.compile(r'"per_run": \{\n[^{}]*\}')


def build_report(record: StudyRecord) -> StudyReport:
    """Assemble everything that is known of a study.

    Args:
        record: The study with its details.

    Returns:
        The report.
    """
    ranking = rank_methods(record)
    verdict = make_verdict(ranking)
    pooled = pool_predictions(record, ranking.confirmed, verdict.name)
    found = (*record.task.notices, *record.notices, *_found_now(ranking))
    notices = described(without_facts(found))
    return StudyReport(
        study=_study(record),
        task=ReportedTask(**record.task.model_dump(include=set(ReportedTask.model_fields))),
        verdict=verdict,
        leaderboard=_leaderboard(ranking),
        upper_bound=_upper_bound(ranking.candidates),
        pareto=_pareto(ranking),
        gates=tuple(pool_gates(record)),
        ablation=tuple(_ablation(record)),
        curves=tuple(_curves(record)),
        outcomes=tuple(pool_outcomes(record, ranking.candidates)),
        calibration=pooled.calibration,
        thresholds=pooled.thresholds,
        missed=pooled.missed,
        agreement=pooled.agreement,
        dropped=tuple(map(_dropped, record.dropped)),
        notices=tuple(notices),
        notice_codes=tuple(notices.values()),
        trials=_trial_counts(record),
        cost=_cost(record),
    )


def render_json(report: StudyReport) -> str:
    """Render a report as report.json: schema 1, finite numbers only, one trailing newline; a list of numbers a line."""
    text = report.model_dump_json(by_alias=True, indent=1)
    return _RUNS.sub(_on_one_line, _NUMBERS.sub(_on_one_line, text)) + "\n"


def _on_one_line(found: re.Match[str]) -> str:
    return "".join(found[0].split())


def _found_now(ranking: Ranking) -> Iterator[Notice]:
    """Yield the notices that follow from the runs that have finished, and so are nowhere stored."""
    yield from adapter_notices(ranking.record, ranking.candidates)
    yield from probability_notices(ranking)


def _study(record: StudyRecord) -> ReportedStudy:
    return ReportedStudy(
        name=record.spec.name,
        status=record.state.value,
        phase=record.phase,
        backbone=record.spec.backbone.model,
        created=record.created.isoformat(),
        software=record.software,
        command=record.command,
        seed=record.spec.seed,
        edition=record.edition,
    )


def _dropped(drop: DroppedMethod) -> ReportedDrop:
    return ReportedDrop(method=drop.method, phase=drop.phase, reason=notice_sentence(drop.reason))


def _trial_counts(record: StudyRecord) -> TrialCounts:
    states = Counter(trial.state for trial in record.trials)
    return TrialCounts(
        complete=states[TrialState.COMPLETE],
        stopped=states[TrialState.STOPPED],
        failed=states[TrialState.FAILED],
    )


def _results(record: StudyRecord) -> Iterator[tuple[TrialRecord, RunResult]]:
    for trial in record.trials:
        for run in trial.runs:
            if run.result is not None:
                yield trial, run.result


def _cost(record: StudyRecord) -> StudyCost:
    costs = [result.costs for _, result in _results(record)]
    return StudyCost(
        wall_seconds=record.wall_seconds,
        train_seconds=sum(cost.train_seconds for cost in costs),
        examples_trained=sum(cost.examples_trained for cost in costs),
    )


def _ablation(record: StudyRecord) -> Iterator[ReportedAblation]:
    scale = ablation_scale(record.task)
    for trial, result in _results(record):
        for row in result.ablation:
            worth = worth_of(row, scale)
            yield ReportedAblation(
                trial=trial.number,
                method=trial.method,
                variant=trial.variant,
                role=worth.role,
                detectable=worth.detectable,
                margin=scale.margin if worth.role == "idle" else None,
                **row.model_dump(),
            )


def _curves(record: StudyRecord) -> Iterator[CurvePoint]:
    for trial in record.trials:
        for run in trial.runs:
            number = run_number(run.seed_index, run.fold, record.task.folds)
            for row in run.result.evaluations if run.result is not None else ():
                yield CurvePoint(
                    trial=trial.number,
                    run=number,
                    epoch=row.epoch,
                    train_loss=row.train_loss,
                    validation=row.value,
                )


def _leaderboard(ranking: Ranking) -> tuple[LeaderboardRow, ...]:
    confirmed = [_trained_row(candidate, ranking) for candidate in ranking.confirmed]
    others = [_trained_row(candidate, ranking) for candidate in ranking.candidates if not candidate.confirmed]
    # The majority prediction is scored on the same rows as the confirmed methods, so it is ranked among them.
    scored = [*confirmed, _majority_row(ranking)]
    sign = 1 if ranking.record.task.direction == "minimize" else -1
    return (*sorted(scored, key=lambda row: sign * row.validation.mean), *others)


def _trained_row(candidate: Candidate, ranking: Ranking) -> LeaderboardRow:
    trial = candidate.trial
    results = candidate.results
    costs = [result.costs for result in results]
    tuned = Interval(mean=candidate.score, sd=None, low=None, high=None)
    return LeaderboardRow(
        method=trial.method,
        variant=trial.variant,
        trial=trial.number,
        phase="confirm" if candidate.confirmed else _search_phase(trial),
        runs=len(candidate.confirmed) or len(results),
        config={**config_of(trial.spec), "head_parameters": costs[0].head_parameters},
        adapter_input=adapter_input(trial.spec),
        validation=ranking.validation.get(candidate.name, tuned),
        test=ranking.test.get(candidate.name),
        difference_to_best=ranking.differences.get(candidate.name),
        trained_parameters=costs[0].trained_parameters,
        stored_parameters=costs[0].stored_parameters,
        train_seconds=fmean(cost.train_seconds for cost in costs),
        predict_ms_per_example=candidate.milliseconds if isfinite(candidate.milliseconds) else None,
        peak_memory_mb=fmean(cost.peak_memory_mb for cost in costs),
    )


def _search_phase(trial: TrialRecord) -> Phase:
    """Return the phase that a trial's score comes from, also while its confirm runs are still under way."""
    return next(run.phase for run in trial.runs if run.phase != "confirm")


def _majority_row(ranking: Ranking) -> LeaderboardRow:
    task = ranking.record.task
    select = task.majority["select"][task.metric]
    test = task.majority["test"][task.metric]
    return LeaderboardRow(
        method="majority",
        trial=None,
        phase=None,
        runs=0,
        config={},
        validation=Interval(mean=select, sd=None, low=None, high=None),
        test=Interval(mean=test, sd=None, low=None, high=None),
        difference_to_best=ranking.differences.get("majority"),
        trained_parameters=0,
        stored_parameters=0,
        train_seconds=0.0,
        predict_ms_per_example=None,
        peak_memory_mb=None,
    )


def _pareto(ranking: Ranking) -> ParetoFront | None:
    if not ranking.confirmed:
        return None
    maximize = ranking.record.task.direction == "maximize"
    return ParetoFront(
        stored_parameters=pareto_front(ranking.confirmed, lambda s: s.stored_parameters, maximize=maximize),
        predict_ms_per_example=pareto_front(ranking.confirmed, lambda s: s.milliseconds, maximize=maximize),
    )


def _upper_bound(candidates: Sequence[Candidate]) -> UpperBound:
    # A method with one submodule is what UniPELT combines, so the best of them is its upper bound.
    single = [s for s in candidates if s.confirmed and len(stored_method(s.method).submodules) == 1]
    if not single:
        return UpperBound(of=None, validation=None, test=None)
    chosen = single[0]  # candidates are ordered by validation
    return UpperBound(
        of=tuple(candidate.name for candidate in single),
        method=chosen.name,
        validation=chosen.score,
        test=fmean(run.test for run in chosen.confirmed),
    )

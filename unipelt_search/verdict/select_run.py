"""Which run's weights are exported."""

from __future__ import annotations

from unipelt_search.errors import SavedModelError
from unipelt_search.records.history import RunRecord, StudyRecord
from unipelt_search.verdict.candidates import find_candidates
from unipelt_search.verdict.ranking import rank_methods
from unipelt_search.verdict.recommend import recommend


def select_run(record: StudyRecord, *, trial: int | None = None, cheapest: bool = False) -> RunRecord:
    """Choose the run whose weights are exported: of one trial, the first confirmed run.

    Args:
        record: The study.
        trial: This trial; None is the verdict's.
        cheapest: Of the verdict's ties the one with the fewest stored parameters, not the best.

    Returns:
        A run whose weights were kept.

    Raises:
        SavedModelError: Both were asked for, there is no verdict yet, or the trial's weights were not kept.
    """
    if trial is not None and cheapest:
        raise SavedModelError("--trial and --cheapest name two trials; give one of them.")
    # The later entry of a trial replaces the earlier one, so the first confirmed run is left.
    last_first = sorted(_kept_runs(record), key=lambda run: (-run.seed_index, -run.fold))
    kept = {run.trial: run for run in last_first}
    known = ", ".join(f"{number} ({record.trials[number].method})" for number in sorted(kept)) or "none"
    if trial is None:
        verdict = recommend(rank_methods(record))
        wanted = verdict.cheapest_tie if cheapest else verdict.name
        candidates = find_candidates(record)
        numbers = [candidate.trial.number for candidate in candidates if candidate.name == wanted]
        if not numbers:
            raise SavedModelError(
                f"Export needs a study with a verdict; {record.spec.name!r} has none yet. Go on with it: "
                f"unipelt-search resume {record.spec.name}. Trials with weights: {known}."
            )
        trial = numbers[0]
    # A study without --out keeps no weights, and screen runs never do.
    if trial not in kept:
        raise SavedModelError(
            f"Export needs a trial whose weights were kept; trial {trial} has none, there are: {known}. Only confirmed "
            "trials keep theirs, in the folder --out of the study."
        )
    return kept[trial]


def _kept_runs(record: StudyRecord) -> list[RunRecord]:
    return [
        run
        for trial in record.trials
        for run in trial.runs
        if run.phase == "confirm" and run.result is not None and run.result.checkpoint is not None
    ]

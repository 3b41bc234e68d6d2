from __future__ import annotations

from made_record import made_record, made_trial

from unipelt_search.verdict.candidates import Candidate, find_candidates
from unipelt_search.verdict.pareto import pareto_front


def size(candidate: Candidate) -> float:
    return candidate.stored_parameters


def test_the_front_has_who_is_better_than_all_that_cost_no_more() -> None:
    record = made_record(
        made_trial(0, "head", 0.6, {1: 0.60}),
        made_trial(1, "bitfit", 0.7, {1: 0.55}),  # larger than head and worse
        made_trial(2, "lora", 0.8, {1: 0.80}),
        made_trial(3, "adapter", 0.8, {1: 0.80}),  # larger than lora and no better
        made_trial(4, "unipelt_apl", 0.9, {1: 0.81}),
    )
    candidates = find_candidates(record)
    assert pareto_front(candidates, size, maximize=True) == ("head", "lora", "unipelt_apl")
    assert pareto_front(candidates, size, maximize=False) == ("head", "bitfit")
    assert pareto_front((), size, maximize=True) == ()


def test_an_unknown_cost_is_left_out() -> None:
    candidates = find_candidates(made_record(made_trial(0, "head", 0.6, {1: 0.6}), made_trial(1, "lora", 0.9)))
    assert [candidate.milliseconds for candidate in candidates] == [4.0, float("inf")]
    assert pareto_front(candidates, lambda s: s.milliseconds, maximize=True) == ("head",)

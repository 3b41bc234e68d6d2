"""A suite with chosen scores, for tests of what is computed and shown of one."""

from __future__ import annotations

from typing import Any

from editions import NEWEST
from made_record import made_record, made_trial

from unipelt_search.methods.basis import Basis
from unipelt_search.records.history import StudyRecord, StudyState
from unipelt_search.specs.suite import SuiteSpec
from unipelt_search.verdict.recommend import Recommendation
from unipelt_search.verdict.suite_scores import Scores, StudyScores, SuiteScores

METHODS = ("fine_tuning", "adapter", "lora", "unipelt_al")
SUITE: dict[str, Any] = {
    "name": "two",
    "backbone": {"model": "minilm"},
    "space": {"methods": METHODS},
    "budget": {"trials": 4, "seeds": 2},
    "carve": 10,
    "redraw": True,
    "sizes": (20, 100),
    "tasks": (
        {"name": "films", "label": "stars", "metric": "accuracy", "hub": {"data": "o/films", "text": ["review"]},
         "local": {"data": "films-copy", "text": ["text"], "test": "validation", "note": "a sample"}},
        {"name": "pairs", "label": "same", "hub": {"data": "o/pairs:all", "text": ["a", "b"]}},
    ),
    "published": {
        "source": "Somebody (2022)",
        "backbone": "BERT-base",
        "scores": {
            20: {
                "fine_tuning": {"films": 60.0, "pairs": 70.0},
                "adapter": {"films": 61.0, "pairs": 75.0},
                "lora": {"films": 65.0, "pairs": 72.0},
                "unipelt_al": {"films": 66.0, "pairs": 76.0},
            }
        },
    },
}  # fmt: skip


def made_suite(**changes: Any) -> SuiteSpec:
    """Two tasks, one with a local copy, and two sizes, of which one was published."""
    return SuiteSpec.model_validate({**SUITE, **changes})


def made_study(
    suite: SuiteSpec, task: str, size: int, scores: dict[str, tuple[float, ...]], *, local: bool = False,
    basis: Basis = NEWEST, **changes: Any,
) -> StudyRecord:  # fmt: skip
    """A study of a suite with these select scores, seed by seed; the test scores lie 0.02 higher."""
    place = next(place for place in suite.tasks if place.name == task)
    data = f"copies/{place.local.data}" if local and place.local else place.hub.data
    trials = [
        made_trial(number, method, values[0] if values else 0.5, dict(enumerate(values, start=1)), basis=basis)
        for number, (method, values) in enumerate(scores.items())
    ]
    return made_record(
        *trials,
        spec=suite.study(place, size, data),
        **{"state": StudyState.COMPLETE, "edition": basis.edition, **changes},
    )


def made_records(suite: SuiteSpec, basis: Basis = NEWEST) -> list[StudyRecord]:
    """Both tasks with 20 rows whole, the first from its local copy; films with 100 rows half way."""
    films = {
        "fine_tuning": (0.58, 0.60), "adapter": (0.60, 0.62), "lora": (0.70, 0.72), "unipelt_al": (0.64, 0.66),
    }  # fmt: skip
    pairs = {
        "fine_tuning": (0.50, 0.54), "adapter": (0.80, 0.80), "lora": (0.60, 0.60), "unipelt_al": (0.78, 0.74),
    }  # fmt: skip
    begun = {"fine_tuning": (0.7, 0.7), "adapter": (0.8,), "lora": ()}
    return [
        made_study(suite, "films", 20, films, local=True, basis=basis),
        made_study(suite, "pairs", 20, pairs, basis=basis),
        made_study(suite, "films", 100, begun, local=True, basis=basis, state=StudyState.STOPPED),
    ]


def made_errors(metrics: dict[str, str]) -> SuiteScores:
    """Two tasks with these metrics; on each lora scores 0.2 and adapter 0.3, on select and test alike."""
    tasks = [{**task, "metric": metrics[task["name"]]} for task in SUITE["tasks"]]
    suite = made_suite(tasks=tasks, space={"methods": ("adapter", "lora")})
    studies = {}
    for task, metric in metrics.items():
        studies[task, 20] = StudyScores(
            name=task,
            state=StudyState.COMPLETE,
            backbone="minilm",
            metric=metric,
            copy_note=None,
            test={"adapter": Scores({1: 0.3}), "lora": Scores({1: 0.2})},
            select={"adapter": 0.3, "lora": 0.2},
            majority=0.7,
            verdict=Recommendation(best=None),
        )
    return SuiteScores(suite, studies)

from __future__ import annotations

from pathlib import Path

import pytest
from editions import EDITION_1

from unipelt_search.execution.assignment import make_assignment
from unipelt_search.records.history import EarlierAttempts, StudyRecord
from unipelt_search.search.space import published
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import SpaceSpec

FIRST = EarlierAttempts(failed=0, checkpoint=None)


@pytest.fixture
def study(fake) -> StudyRecord:
    """One trial with a search run and two confirm runs, in steps of 7 rows."""
    made = fake()
    made.add_trial(published("lora", SpaceSpec(batch_size=7), 100, EDITION_1)[0], "screen")
    made.end(0)
    made.add_run(0, 1)
    made.add_run(0, 2)
    return made.record


def test_a_first_attempt_takes_whole_batches_and_keeps_its_state_below_the_studys_folder(
    study: StudyRecord, tmp_path: Path
) -> None:
    runs = study.trials[0].runs
    search, first, second = (make_assignment(study, run, 1, FIRST, tmp_path) for run in runs)
    assert (search.label, first.label) == ("trial 0 lora (screen)", "trial 0 lora (confirm, seed 1)")
    assert [a.run.confirm for a in (search, first, second)] == [False, True, True]
    assert [a.checkpoint for a in (search, first, second)] == [None, tmp_path / "trial-0", None]
    assert [a.progress for a in (search, first, second)] == [tmp_path / "running" / run.id for run in runs]
    assert second.run.seeds == run_seeds(study.spec.seed, 2)
    assert search.micro_batch is None


def test_without_a_folder_nothing_is_kept(study: StudyRecord) -> None:
    assignment = make_assignment(study, study.trials[0].runs[1], 2, FIRST, None)
    assert (assignment.progress, assignment.checkpoint, assignment.attempt) == (None, None, 2)


@pytest.mark.parametrize(("failed", "rows"), [(1, 4), (2, 2), (9, 1)])
def test_a_run_that_wanted_memory_takes_half_of_the_rows_at_a_time(study: StudyRecord, failed: int, rows: int) -> None:
    earlier = EarlierAttempts(failed=failed, checkpoint=None)
    assert make_assignment(study, study.trials[0].runs[0], 2, earlier, None).micro_batch == rows


def test_with_folds_every_run_has_rows_and_seeds_of_its_own_and_the_first_is_kept(fake, tmp_path: Path) -> None:
    made = fake()
    made.use_folds()
    made.add_trial(published("lora", SpaceSpec(), 100, EDITION_1)[0], "screen")
    made.end(0)
    for run in ((1, 1), (1, 2), (2, 1)):
        made.add_run(0, *run)
    runs = made.record.trials[0].runs
    search, *confirm = (make_assignment(made.record, run, 1, FIRST, tmp_path) for run in runs)
    assert [a.run.draw for a in (search, *confirm)] == [0, 1, 2, 6]
    assert [a.run.seeds for a in confirm] == [
        run_seeds(made.record.spec.seed, *run) for run in ((1, 1), (1, 2), (2, 1))
    ]
    assert [a.checkpoint is not None for a in confirm] == [True, False, False]
    assert confirm[1].label == "trial 0 lora (confirm, seed 1, fold 2)"


@pytest.mark.parametrize(
    ("edition", "method", "layers", "asked"),
    [
        (1, "lora", False, (True, True)),
        (1, "unipelt_ap", False, (True, True)),
        (2, "lora", True, (False, True)),
        (2, "unipelt_ap", False, (True, False)),
        (2, "unipelt_ap", True, (True, True)),
    ],
)
def test_only_gated_methods_are_ablated_and_single_layers_on_request(
    fake, edition: int, method: str, layers: bool, asked: tuple[bool, bool]
) -> None:
    made = fake()
    made.add_trial(published(method, SpaceSpec(), 100, EDITION_1)[0], "screen")
    made.end(0)
    for seed in (1, 2):
        made.add_run(0, seed)
    space = made.record.spec.space.model_copy(update={"ablate_layers": layers})
    spec = made.record.spec.model_copy(update={"space": space})
    study = made.record.model_copy(update={"edition": edition, "spec": spec})
    search, first, second = (make_assignment(study, run, 1, FIRST, None).run for run in study.trials[0].runs)
    assert (first.ablation, first.ablation_layers) == asked
    assert (search.ablation, second.ablation) == (False, False)

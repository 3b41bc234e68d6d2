from __future__ import annotations

from made_record import made_record

from unipelt_search.records.study_plan import StudyPlan
from unipelt_search.records.study_stage import StudyStage, unheard


def test_a_stage_is_the_same_after_json_with_its_plan() -> None:
    plan = StudyPlan(
        study="q", task=made_record().task, backbone="m", device="cpu", workers=1, steps=1, batch_size=1, methods=(),
        tune_trials=0, confirm_runs=0, runs=0, seconds=0, left_out=(), notices=(),
    )  # fmt: skip
    stage = StudyStage(name="plan", subject="q", plan=plan)
    assert StudyStage.model_validate_json(stage.model_dump_json()) == stage
    unheard(stage)

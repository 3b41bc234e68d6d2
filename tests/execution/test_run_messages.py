from __future__ import annotations

from pathlib import Path

import pytest
from editions import EDITION_1
from upath import UPath

from unipelt_search.execution.run_messages import (
    Evaluated,
    Failed,
    Finished,
    RunAssignment,
    RunEvent,
    decode_assignment,
    decode_event,
    encode_assignment,
    encode_event,
)
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import EvaluationRow
from unipelt_search.search.space import published
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.specs.trial import RunSpec

RUN = RunSpec(trial=published("lora", SpaceSpec(), 100, EDITION_1)[0], seeds=run_seeds(0, 0))


@pytest.mark.parametrize("progress", [None, Path("/kept/running/r1"), UPath("memory://kept/running/r1")])
def test_an_assignment_arrives_as_it_was_sent(progress: Path | None) -> None:
    sent = RunAssignment(
        run_id="r1", attempt=2, run=RUN, label="trial 0 lora (screen)", checkpoint=Path("/kept/trial-0"),
        progress=progress, micro_batch=8,
    )  # fmt: skip
    config = {**encode_assignment(sent), "trial_id": "something of the transport's"}
    got = decode_assignment(config)
    assert got.run == RUN
    assert (got.key, got.label, got.micro_batch) == (("r1", 2), "trial 0 lora (screen)", 8)
    assert (str(got.checkpoint), str(got.progress)) == ("/kept/trial-0", str(progress))


def test_events_arrive_as_they_were_sent(result) -> None:
    row = EvaluationRow(step=1, epoch=0.1, train_loss=None, value=1 / 3, seconds=1.0)
    events: list[RunEvent] = [
        Evaluated(run_id="r1", attempt=2, row=row, checkpoint="/kept/1"),
        Evaluated(run_id="r1", attempt=2, row=row, problem=Notice(code="no_room", values={"megabytes": 12.5})),
        Finished(run_id="r1", attempt=2, result=result(2 / 3, confirm=True)),
        Failed(run_id="r1", attempt=2, message="no memory", out_of_memory=True),
    ]
    for event in events:
        assert decode_event({**encode_event(event), "done": True}) == event

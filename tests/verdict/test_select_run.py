from __future__ import annotations

from pathlib import Path

import pytest
from made_record import made_record, made_trial, whole_record

from unipelt_search.errors import SavedModelError
from unipelt_search.records.history import StudyRecord
from unipelt_search.verdict.select_run import select_run


def keep(record: StudyRecord, *, seeds: tuple[int, ...] = (1, 2)) -> StudyRecord:
    """Say that every confirmed trial's weights of these seeds were kept."""
    values = record.model_dump(mode="json")
    for trial in values["trials"]:
        for run in trial["runs"]:
            if run["phase"] == "confirm" and run["seed_index"] in seeds:
                run["result"]["checkpoint"] = f"/kept/trial-{trial['number']}-{run['seed_index']}"
    return StudyRecord.model_validate(values)


def position(record: StudyRecord, **asked: int | bool) -> str:
    result = select_run(record, **asked).result  # type: ignore[arg-type]
    assert result is not None
    return Path(result.checkpoint or "").name


def test_the_best_the_cheapest_tie_or_one_trial() -> None:
    record = keep(whole_record())
    assert position(record) == "trial-2-1"  # lora, which ties with adapter and unipelt_apl, is the cheapest of them too
    assert position(record, cheapest=True) == "trial-2-1"
    assert position(record, trial=6) == "trial-6-1"
    dear = keep(made_record(
        made_trial(0, "unipelt_apl", 0.9, {1: 0.9, 2: 0.92}), made_trial(1, "lora", 0.9, {1: 0.91, 2: 0.9}),
    ))  # fmt: skip
    assert position(dear) == "trial-0-1"
    assert position(dear, cheapest=True) == "trial-1-1"


def test_the_first_seed_whose_weights_are_kept() -> None:
    assert position(keep(whole_record(), seeds=(3, 2))) == "trial-2-2"


def test_what_cannot_be_exported() -> None:
    record = keep(whole_record())
    with pytest.raises(SavedModelError, match="--trial and --cheapest name two trials"):
        select_run(record, trial=1, cheapest=True)
    with pytest.raises(SavedModelError, match=r"trial 4 has none, there are: 0 \(head\), 1 \(bitfit\), 2 \(lora\)"):
        select_run(record, trial=4)
    with pytest.raises(SavedModelError, match="trial 99 has none"):
        select_run(record, trial=99)
    with pytest.raises(SavedModelError, match="there are: none. Only confirmed trials keep theirs"):
        select_run(whole_record())
    with pytest.raises(SavedModelError, match="'questions' has none yet. Go on .* resume questions"):
        select_run(made_record(made_trial(0, "head", 0.6)))


def test_a_variant_is_found_by_its_own_name() -> None:
    record = keep(made_record(
        made_trial(0, "adapter", 0.9, {1: 0.9, 2: 0.92}),
        made_trial(1, "lora", 0.9, {1: 0.91, 2: 0.9}, variant="mine"),
        made_trial(2, "lora", 0.9, {1: 0.5, 2: 0.52}),
    ))  # fmt: skip
    assert position(record) == "trial-0-1"
    assert position(record, cheapest=True) == "trial-1-1"

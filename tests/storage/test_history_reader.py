from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from unipelt_search.errors import StorageError, StudyNotFoundError
from unipelt_search.records.history import StudyState
from unipelt_search.records.results import RunResult
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.storage import history_reader
from unipelt_search.storage.store import StudyStore


def test_an_unknown_name_lists_the_studies_there_are(store: StudyStore, create: Callable[..., str]) -> None:
    with pytest.raises(StudyNotFoundError, match="holds no studies"):
        store.studies.load("first")
    create("colours")
    create("shapes")
    with pytest.raises(StudyNotFoundError, match=r"found: shapes, colours\. Did you mean 'colours'\?"):
        store.studies.load("colors")
    with pytest.raises(StudyNotFoundError, match="got 'colors'"):
        store.studies.delete("colors")


def test_studies_are_listed_newest_first(
    store: StudyStore, create: Callable[..., str], trial_spec: Callable[..., TrialSpec]
) -> None:
    store.runs.add_trial(create("first"), trial_spec(), "screen", "published")
    store.studies.set_state(create("second"), StudyState.COMPLETE, "confirm")
    lines = store.studies.lines()
    assert [(line.name, line.state, line.phase, line.trials) for line in lines] == [
        ("second", "complete", "confirm", 0),
        ("first", "running", "screen", 1),
    ]
    assert {(line.backbone, line.task) for line in lines} == {("minilm", "colours")}


def test_the_list_of_studies_in_a_message_ends_after_twenty(store: StudyStore, create: Callable[..., str]) -> None:
    for number in range(21):
        create(f"s{number}")
    with (
        store._database.session() as session,
        pytest.raises(StudyNotFoundError, match=r"found: s20, .*, s1, …\.") as caught,
    ):
        history_reader.find_study_or_raise(session, "unlike", "here")
    assert "s0" not in str(caught.value)


def test_a_result_with_a_hole_is_refused(
    store: StudyStore,
    create: Callable[..., str],
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    run = store.runs.add_trial(create(), trial_spec(), "screen", "published")
    store.runs.finish(run.id, store.attempts.start(run.id, "me"), run_result())
    with store._database.session(write=True) as session:
        session.execute(text("UPDATE ups_run SET tune = NULL"))
    with pytest.raises(StorageError, match=r"is damaged: a row holds what was never written .*tune"):
        store.studies.load("first")

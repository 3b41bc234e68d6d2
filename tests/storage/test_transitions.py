from __future__ import annotations

import pytest

from unipelt_search.errors import StorageError
from unipelt_search.records.history import RunState, StudyState
from unipelt_search.storage.transitions import RUN_TRANSITIONS, STUDY_TRANSITIONS, next_state


def test_every_state_has_its_line() -> None:
    assert set(RUN_TRANSITIONS) == set(RunState)
    assert set(STUDY_TRANSITIONS) == set(StudyState)


def test_nothing_follows_a_finished_run() -> None:
    assert {state for state, then in RUN_TRANSITIONS.items() if not then} == {
        state for state in RunState if state.is_finished()
    }


def test_an_ended_study_can_only_go_on() -> None:
    for state in set(StudyState) - {StudyState.RUNNING}:
        assert STUDY_TRANSITIONS[state] == {state, StudyState.RUNNING}


def test_a_change_is_returned_or_refused_with_what_would_be_allowed() -> None:
    assert next_state("Run x", RUN_TRANSITIONS, RunState.RUNNING, RunState.FAILED) == RunState.FAILED
    with pytest.raises(StorageError, match=r"^Run x is waiting, which may become running; got complete\.$"):
        next_state("Run x", RUN_TRANSITIONS, RunState.WAITING, RunState.COMPLETE)
    with pytest.raises(StorageError, match=r"^Run x is failed, which is final; got running\.$"):
        next_state("Run x", RUN_TRANSITIONS, RunState.FAILED, RunState.RUNNING)

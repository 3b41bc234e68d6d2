"""Which state may follow which; nothing else in the package changes a state."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from unipelt_search.errors import StorageError
from unipelt_search.records.history import RunState, StudyState

RUN_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.WAITING: frozenset({RunState.RUNNING}),
    # Back to waiting: its owner was interrupted, or its attempt failed and is worth another one.
    RunState.RUNNING: frozenset({RunState.COMPLETE, RunState.FAILED, RunState.WAITING}),
    RunState.COMPLETE: frozenset(),
    RunState.FAILED: frozenset(),
}
# A study may stay as it is, because its phase changes without its state; every ended one may go on.
STUDY_TRANSITIONS: dict[StudyState, frozenset[StudyState]] = {
    StudyState.RUNNING: frozenset(StudyState),
    StudyState.COMPLETE: frozenset({StudyState.COMPLETE, StudyState.RUNNING}),
    StudyState.STOPPED: frozenset({StudyState.STOPPED, StudyState.RUNNING}),
    StudyState.FAILED: frozenset({StudyState.FAILED, StudyState.RUNNING}),
}

_State = TypeVar("_State", bound=StrEnum)


def next_state(what: str, table: dict[_State, frozenset[_State]], now: _State, then: _State) -> _State:
    """Check a change of state.

    Args:
        what: Whose state it is, for the message.
        table: The states that may follow each state.
        now: The state in the database.
        then: The state that is asked for.

    Returns:
        The state that was asked for.

    Raises:
        StorageError: It may not follow.
    """
    if then not in table[now]:
        allowed = f"may become {' or '.join(sorted(table[now]))}" if table[now] else "is final"
        raise StorageError(f"{what} is {now}, which {allowed}; got {then}.")
    return then

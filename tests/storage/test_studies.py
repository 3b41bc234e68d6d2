from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from unipelt_search.errors import StorageError, StudyExistsError
from unipelt_search.records.history import EDITION, DroppedMethod, StudyState, TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import BudgetSpec, StudySpec
from unipelt_search.storage.store import StudyStore


def test_budget_state_seconds_notices_and_dropped_methods_are_kept(
    store: StudyStore, create: Callable[..., str]
) -> None:
    study = create()
    store.studies.set_budget(study, BudgetSpec(trials=40, seeds=5, time_seconds=1800))
    store.studies.set_state(study, StudyState.RUNNING, "confirm")
    store.studies.set_state(study, StudyState.STOPPED)
    store.studies.add_seconds(study, 1.5)
    store.studies.add_seconds(study, 2.0)
    cut, rare = Notice(code="cut"), Notice(code="rare_labels", values={"labels": ("x",)})
    for notice in (cut, rare, cut):
        store.studies.add_notice(study, notice)
    store.studies.add_dropped(
        study, DroppedMethod(method="head", phase="tune", reason=Notice(code="behind", values={"points": 0.1}))
    )
    store.studies.add_dropped(study, DroppedMethod(method="lora", phase="tune", reason=Notice(code="no_rows")))
    store.studies.add_dropped(
        study, DroppedMethod(method="head", phase="tune", reason=Notice(code="behind", values={"points": 0.2}))
    )
    record = store.studies.load("first")
    assert record.spec.budget == BudgetSpec(trials=40, seeds=5, time_seconds=1800)
    assert (record.state, record.phase, record.wall_seconds) == (StudyState.STOPPED, "confirm", 3.5)
    assert record.notices == (cut, rare)
    assert [(row.method, row.reason.code, row.reason.values) for row in record.dropped] == [
        ("head", "behind", {"points": 0.2}), ("lora", "no_rows", {}),
    ]  # fmt: skip
    with pytest.raises(StorageError, match="finite"):
        store.studies.add_seconds(study, float("nan"))
    with pytest.raises(StorageError, match="is stopped, which may become running or stopped; got complete"):
        store.studies.set_state(study, StudyState.COMPLETE)
    with pytest.raises(StorageError, match="none with the id gone"):
        store.studies.add_notice("gone", cut)


def test_of_two_threads_that_create_a_name_one_wins(
    url: str, study_spec: Callable[..., StudySpec], task: TaskSummary
) -> None:
    def create(_: int) -> str:
        store = StudyStore.open(url)
        try:
            return store.studies.create(study_spec("same"), task, {}, "")
        except StudyExistsError as error:
            return str(error)
        finally:
            store.close()

    with ThreadPoolExecutor(2) as pool:
        predictions = list(pool.map(create, range(2)))
    store = StudyStore.open(url)
    assert store.studies.load("same").id in predictions
    assert (
        sum("in sqlite:///" in answer and "delete it: unipelt-search delete same" in answer for answer in predictions)
        == 1
    )
    store.close()


def test_a_study_keeps_the_edition_that_it_began_with(
    store: StudyStore, create: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create("first")
    monkeypatch.setattr("unipelt_search.storage.studies.EDITION", EDITION + 1)
    create("second")
    first, second = store.studies.load("first"), store.studies.load("second")
    assert (first.edition, second.edition) == (EDITION, EDITION + 1)
    assert "edition" not in first.spec.model_dump()
    assert first.spec.question_hash() == second.spec.model_copy(update={"name": "first"}).question_hash()


def test_notices_that_differ_in_a_value_are_two(store: StudyStore, create: Callable[..., str]) -> None:
    study = create()
    few, more = (Notice(code="rare", values={"rows": rows}) for rows in (1, 2))
    for notice in (few, more, few, Notice(code="rare", severity="warning", values={"rows": 1})):
        store.studies.add_notice(study, notice)
    assert [(notice.severity, notice.values) for notice in store.studies.load("first").notices] == [
        ("info", {"rows": 1}), ("info", {"rows": 2}), ("warning", {"rows": 1}),
    ]  # fmt: skip

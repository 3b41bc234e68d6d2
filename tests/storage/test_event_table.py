from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from unipelt_search import failpoints
from unipelt_search.records.history import TaskSummary
from unipelt_search.records.progress import StudyProgress
from unipelt_search.records.study_event import EventKind, Happening
from unipelt_search.specs.study import StudySpec
from unipelt_search.storage.owners import new_owner
from unipelt_search.storage.store import StudyReader, StudyStore


def progress(event: str, seconds_left: float | None = None) -> StudyProgress:
    return StudyProgress(
        study="first", metric="accuracy", phase="tune", trials_done=1, trials_asked=4, runs_done=2, runs_asked=9,
        running=(), standings=(), seconds_elapsed=1.5, seconds_left=seconds_left, event=event,
    )  # fmt: skip


@pytest.fixture
def any_store(database_url: str) -> Iterator[StudyStore]:
    opened = StudyStore.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def study(any_store: StudyStore, study_spec: Callable[..., StudySpec], task: TaskSummary) -> str:
    return any_store.studies.create(study_spec("first"), task, {}, "")


def test_events_are_read_by_another_while_the_study_runs(any_store: StudyStore, study: str) -> None:
    evaluation = Happening(kind=EventKind.EVALUATION, trial=3, run_id="ab" * 16, step=80, value=2 / 3, train_loss=0.1)
    any_store.events.append(study, new_owner(), progress("trial 3 lora: 0.667 at step 80", 12.5), evaluation)
    with StudyReader.open(any_store.url) as reader:
        (first,) = reader.events.after(study)
        any_store.events.append(study, "|".join("abcde"), progress("größer \x00"), Happening())
        (second,) = reader.events.after(study, first.id)
        assert reader.events.after(study, second.id) == []
        assert reader.events.after(study, limit=1) == [first]
        assert reader.events.after("another") == []
    assert Happening.model_validate(first.model_dump(include=set(Happening.model_fields))) == evaluation
    assert (first.text, first.seconds_left, first.phase) == ("trial 3 lora: 0.667 at step 80", 12.5, "tune")
    assert (first.trials_done, first.trials_asked, first.runs_done, first.runs_asked) == (1, 4, 2, 9)
    assert first.process.startswith("process ")
    assert first.time.tzinfo is not None
    assert second.id > first.id
    assert (second.kind, second.text, second.value) == (EventKind.MESSAGE, "größer \\x00", None)


def test_of_drivers_that_write_at_once_no_event_is_overtaken(
    any_store: StudyStore, study: str, database_url: str
) -> None:
    drivers, each = 3, 5
    barrier = Barrier(drivers + 1)

    def write(driver: int) -> None:
        store = StudyStore.open(database_url)
        barrier.wait()
        for number in range(each):
            store.events.append(study, new_owner(), progress(f"{driver} {number}"), Happening())
        store.close()

    seen = []
    with ThreadPoolExecutor(drivers) as pool:
        writers = [pool.submit(write, driver) for driver in range(drivers)]
        barrier.wait()
        while not all(writer.done() for writer in writers) or len(seen) < drivers * each:
            seen += any_store.events.after(study, seen[-1].id if seen else 0)
    assert [event.id for event in seen] == sorted({event.id for event in seen})
    assert {event.text for event in seen} == {
        f"{driver} {number}" for driver in range(drivers) for number in range(each)
    }


@pytest.mark.parametrize("fault", ["raise", "away", "full"])
def test_an_event_that_cannot_be_written_is_left_out(store: StudyStore, create: Callable[..., str], fault: str) -> None:
    study = create()
    failpoints.arm(f"event.append.before={fault}@1")
    try:
        store.events.append(study, new_owner(), progress("lost"), Happening())
    finally:
        failpoints.arm("")
    store.events.append(study, new_owner(), progress("kept"), Happening())
    assert [event.text for event in store.events.after(study)] == ["kept"]
    store.events.append("no such study", new_owner(), progress("lost"), Happening())


def test_numbers_of_deleted_events_are_not_given_again(store: StudyStore, create: Callable[..., str]) -> None:
    study = create()
    store.events.append(study, new_owner(), progress("one"), Happening())
    (last,) = store.events.after(study)
    store.studies.delete("first")
    again = create()
    store.events.append(again, new_owner(), progress("two"), Happening())
    assert [event.id for event in store.events.after(again, last.id)] == [last.id + 1]

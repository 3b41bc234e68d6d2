from __future__ import annotations

from pathlib import Path

from editions import EDITION_1

from unipelt_search.execution.checkpoint_folders import (
    disk_space_message,
    remove_finished,
    remove_run_folder,
    run_folder,
)
from unipelt_search.remote_paths import to_storage_path
from unipelt_search.search.space import published
from unipelt_search.specs.study import SpaceSpec

ONE, TWO = "1" * 32, "2" * 32


def fill(folder: Path) -> Path:
    (folder / "0001-000000005").mkdir(parents=True)
    (folder / "0001-000000005" / "manifest.json").write_text("{}")
    return folder


def test_a_run_stays_in_the_folder_of_its_newest_checkpoint_as_long_as_it_is_there(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", fill(tmp_path / "elsewhere" / "running" / ONE)
    assert run_folder(here, ONE, None) == here / "running" / ONE
    newest = elsewhere / "0001-000000005"
    assert run_folder(here, ONE, str(newest)) == elsewhere
    newest.rename(newest.with_name("gone"))
    assert run_folder(here, ONE, str(newest)) == here / "running" / ONE


def test_a_relative_place_becomes_absolute_because_workers_stand_elsewhere() -> None:
    assert run_folder(Path("out"), ONE, None) == Path.cwd() / "out" / "running" / ONE


def test_the_last_run_takes_the_folder_of_all_with_it(tmp_path: Path) -> None:
    one, two = (fill(tmp_path / "running" / name) for name in (ONE, TWO))
    remove_run_folder(one)
    assert [path.name for path in (tmp_path / "running").iterdir()] == [TWO]
    remove_run_folder(two)
    remove_run_folder(two)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_runs_folder_is_left_alone(tmp_path: Path) -> None:
    for folder in (fill(tmp_path / "running" / "mine"), fill(tmp_path / "other" / ONE)):
        remove_run_folder(folder)
        assert folder.is_dir()


def test_only_finished_runs_of_the_study_are_removed(fake, tmp_path: Path) -> None:
    made = fake()
    for run_id in (ONE, TWO):
        number = made.add_trial(published("lora", SpaceSpec(), 100, EDITION_1)[0], "screen")
        trial = made.record.trials[number]
        trial = trial.model_copy(update={"runs": (trial.runs[0].model_copy(update={"id": run_id}),)})
        made.change(trials=(*made.record.trials[:number], trial))
    made.end(0)
    for place in (None, tmp_path):
        remove_finished(place, made.record)
    foreign = "f" * 32
    for name in (ONE, TWO, foreign):
        fill(tmp_path / "running" / name)
    remove_finished(tmp_path, made.record)
    assert sorted(path.name for path in (tmp_path / "running").iterdir()) == [TWO, foreign]


def test_the_room_is_compared_with_what_is_free(tmp_path: Path) -> None:
    place = tmp_path / "not" / "yet" / "there"
    assert (
        disk_space_message(place, 12_400_000)
        == f"While they train, runs keep up to 12 MB of checkpoints below {place}."
    )
    scarce = disk_space_message(place, 10**18)
    assert "up to 1,000,000 TB" in scarce
    assert scarce.endswith("B are free. Make room, or what does not fit is not kept.")


def test_an_empty_folder_of_all_goes_too(fake, tmp_path: Path) -> None:
    (tmp_path / "running").mkdir()
    remove_finished(tmp_path, fake().record)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_at_a_url_is_treated_alike(fake, tmp_path: Path) -> None:
    far, near = to_storage_path(f"file://{tmp_path}"), tmp_path / "running"
    folder = run_folder(far, ONE, None)
    assert str(folder) == f"file://{near / ONE}"
    newest = fill(near / ONE) / "0001-000000005"
    assert run_folder(to_storage_path("memory://elsewhere"), ONE, f"file://{newest}") == folder
    assert run_folder(tmp_path, ONE, f"file://{newest}") == folder
    assert disk_space_message(far, 12_400_000) == f"While they train, runs keep up to 12 MB of checkpoints below {far}."
    remove_finished(far, fake().record)  # of another study
    assert newest.is_dir()
    remove_run_folder(folder)
    remove_run_folder(folder)
    assert list(near.iterdir()) == []
    mine = fill(near / "mine")
    remove_run_folder(far / "running" / "mine")
    assert mine.is_dir()

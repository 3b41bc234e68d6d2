from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiny import tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search import failpoints
from unipelt_search.errors import StorageError
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.remote_paths import StoragePath, remove_folder, to_storage_path
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.tasks.encode import EncodedTask
from unipelt_search.training import checkpoint
from unipelt_search.training.checkpoint import KEPT, MANIFEST, TENSORS, RunCheckpoints, load_run, save_run
from unipelt_search.training.train import train_events

TRAINING: dict[str, Any] = {"steps": 9, "evaluations": 4, "patience": 9, "dropout": 0.2}
METHODS = ("head", "lora", "adapter", "prefix", "bitfit", "unipelt_apl", "fine_tuning")
TRIALS = {
    **{method: tiny_trial(method, **TRAINING) for method in METHODS},
    "prefix": tiny_trial("prefix", **TRAINING).model_copy(update={"prefix": PrefixSpec(length=4, mlp=12)}),
}
POINTS = ("tensors.before", "manifest.before", "rename.before", "rename.after")


def test_round_trip_and_replacement(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    save_run(folder, {"x": torch.arange(6.0).view(2, 3).T}, {"method": "lora"})
    save_run(folder, {"y": torch.ones(2)}, {"method": "adapter"})
    tensors, description = load_run(folder)
    assert list(tensors) == ["y"]
    assert description == {"method": "adapter"}
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_failed_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    save_run(folder, {"x": torch.ones(1)}, {})

    def full(*args: object, **kwargs: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        save_run(folder, {"x": torch.zeros(1)}, {})
    assert load_run(folder)[0]["x"].tolist() == [1.0]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def confirmed(trial: TrialSpec) -> RunSpec:
    return tiny_run(trial, confirm=True, ablation=True)


def undisturbed(run: RunSpec, task: EncodedTask, weights: StoragePath, classes: int = 3) -> RunResult:
    *_, result = train_events(run, tiny_backbone(classes=classes), task, checkpoint=weights)
    assert isinstance(result, RunResult)
    return result


def interrupted(
    run: RunSpec, task: EncodedTask, folder: StoragePath, weights: StoragePath, classes: int = 3
) -> RunResult:
    """Train a run that is interrupted behind every evaluation, the last one too."""
    rows = []
    for attempt in count(1):
        kept = RunCheckpoints(folder, "r", attempt)
        events = train_events(run, tiny_backbone(classes=classes), task, checkpoint=weights, progress=kept)
        event = next(events)
        events.close()  # type: ignore[attr-defined]
        if isinstance(event, RunResult):
            assert tuple(rows) == event.evaluations
            return event
        rows.append(event)
    raise AssertionError("unreachable")


def predictions(result: RunResult) -> dict[str, Any]:
    """Everything that does not measure time or memory."""
    found = result.model_dump(exclude={"checkpoint"})
    for name in ("train_seconds", "predict_ms_per_example", "peak_memory_mb"):
        del found["costs"][name]
    for row in found["evaluations"]:
        del row["seconds"]
    return found


def same_weights(one: StoragePath, other: StoragePath) -> bool:
    first, second = load_run(one)[0], load_run(other)[0]
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", TRIALS)
def test_a_run_interrupted_behind_every_evaluation_ends_bit_for_bit_as_one_that_was_not(
    method: str, tmp_path: Path
) -> None:
    run, task = confirmed(TRIALS[method]), tiny_task()
    calm = undisturbed(run, task, tmp_path / "calm")
    broken = interrupted(run, task, tmp_path / "kept", tmp_path / "broken")
    assert len(calm.evaluations) == 4
    assert predictions(broken) == predictions(calm)
    assert same_weights(tmp_path / "calm", tmp_path / "broken")
    assert broken.evaluations[-1].seconds > broken.evaluations[0].seconds
    assert broken.costs.train_seconds > 0


def test_a_run_goes_on_from_behind_a_url_alike(tmp_path: Path) -> None:
    run, far = confirmed(TRIALS["unipelt_apl"]), to_storage_path(f"file://{tmp_path}/far")
    calm = undisturbed(run, tiny_task(), tmp_path / "calm")
    broken = interrupted(run, tiny_task(), far / "kept", far / "broken")
    assert predictions(broken) == predictions(calm)
    assert same_weights(tmp_path / "calm", far / "broken")
    assert broken.checkpoint == str(far / "broken")
    assert len(names(tmp_path / "far" / "kept")) == KEPT


@pytest.mark.parametrize("kind", ["multi_label", "regression"])
def test_other_kinds_of_label_go_on_alike(kind: Any, tmp_path: Path) -> None:
    task = tiny_task(kind=kind)
    classes, run = task.target.outputs, confirmed(tiny_trial("unipelt_al", **TRAINING))
    calm = undisturbed(run, task, tmp_path / "calm", classes)
    assert predictions(interrupted(run, task, tmp_path / "kept", tmp_path / "broken", classes)) == predictions(calm)
    assert same_weights(tmp_path / "calm", tmp_path / "broken")


def test_patience_goes_on_where_it_was(tmp_path: Path) -> None:
    run = confirmed(tiny_trial("lora", steps=30, evaluations=15, patience=2, learning_rate=1e-6))
    calm = undisturbed(run, tiny_task(), tmp_path / "calm")
    assert calm.steps < 30
    assert predictions(interrupted(run, tiny_task(), tmp_path / "kept", tmp_path / "broken")) == predictions(calm)


# A run without gates, and one whose best evaluation is not its last.
RUN = tiny_run(tiny_trial("lora", **TRAINING))


def go_on(
    folder: StoragePath, run: RunSpec = RUN, *, run_id: str = "r", attempt: int = 1
) -> Iterator[EvaluationRow | RunResult]:
    return train_events(run, tiny_backbone(), tiny_task(), progress=RunCheckpoints(folder, run_id, attempt))


def steps_to_come(folder: StoragePath, **who: Any) -> list[int]:
    """Go on with a run to its end; the steps of the evaluations that had to be done."""
    return [event.step for event in go_on(folder, **who) if isinstance(event, EvaluationRow)]


def break_off(folder: StoragePath, evaluations: int, **who: Any) -> None:
    events = go_on(folder, **who)
    for _ in range(evaluations):
        next(events)
    events.close()  # type: ignore[attr-defined]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_two_checkpoints_are_kept_and_the_newest_is_named(tmp_path: Path) -> None:
    kept = RunCheckpoints(tmp_path, "r", 3)
    events = train_events(RUN, tiny_backbone(), tiny_task(), progress=kept)
    assert kept.newest is None
    seen = [(event.step, kept.newest, len(names(tmp_path))) for event in events if isinstance(event, EvaluationRow)]
    places = [tmp_path / name for name in ("0003-000000002", "0003-000000004", "0003-000000007", "0003-000000009")]
    assert seen == list(zip((2, 4, 7, 9), places, (1, 2, 2, 2), strict=True))
    assert names(tmp_path) == [place.name for place in places[-KEPT:]]
    assert kept.problem is None


def test_behind_a_url_a_checkpoint_without_its_manifest_or_with_a_damaged_bit_is_none(tmp_path: Path) -> None:
    far = to_storage_path(f"file://{tmp_path}/far")
    for spoil in (lambda folder: (folder / MANIFEST).unlink(), lambda folder: damaged(folder / TENSORS, 500, 4)):
        remove_folder(far)
        break_off(far, 2)
        spoil(tmp_path / "far" / "0001-000000004")
        assert steps_to_come(far, attempt=2) == [4, 7, 9]


def test_behind_a_url_what_cannot_be_written_is_a_problem_and_no_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = RunCheckpoints(to_storage_path(f"file://{tmp_path}/file/far"), "r", 1)
    *_, result = train_events(RUN, tiny_backbone(), tiny_task(), progress=kept)
    assert isinstance(result, RunResult)
    assert kept.problem is not None
    assert str(kept.problem.values["folder"]).startswith("file://")


def test_a_checkpoint_behind_a_url_that_is_away_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = to_storage_path(f"file://{tmp_path}/far")
    break_off(far, 2)

    def away(*given: object, **named: object) -> bytes:
        raise RuntimeError("The bucket does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(type(far), "read_bytes", away)
        events = go_on(far, attempt=2)
        first = next(events)
        events.close()  # type: ignore[attr-defined]
    assert isinstance(first, EvaluationRow)
    assert first.step == 2, "it begins again"
    assert names(tmp_path / "far") == ["0001-000000004", "0002-000000002"], "of which two are kept"


def damaged(path: Path, place: int, mask: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= mask
    path.write_bytes(content)


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was interrupted behind its second evaluation of four."""
    folder = tmp_path_factory.mktemp("broken") / "r"
    break_off(folder, 2)
    assert names(folder) == ["0001-000000002", "0001-000000004"]
    return folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "count", [pytest.param(300, id="few"), pytest.param(10_000, id="many", marks=pytest.mark.slow)]
)
def test_every_damaged_byte_is_found(
    count: int, broken_off: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, chance, task = tmp_path / "0001-000000004", random.Random(0), tiny_task()
    shutil.copytree(broken_off / newest.name, newest)
    monkeypatch.setattr(checkpoint.shutil, "rmtree", lambda *given, **named: None)  # it is damaged again and again
    sizes = {name: (newest / name).stat().st_size for name in (TENSORS, MANIFEST)}
    places = [(name, place) for name, size in sizes.items() for place in (0, 1, 7, 8, size - 1)]
    places += [(name, chance.randrange(size)) for _ in range(count // 2) for name, size in sizes.items()]
    with checkpoint.Pack(tiny_backbone(), [RUN]) as pack:
        optimizer = checkpoint.SlotAdamW(pack.trained(), [RUN.trial.training])
        slot = checkpoint.Slot(RUN, iter([np.empty(0)] * 9), frozenset(), task.target, task.target.metrics()[0])
        for name, place in places:
            flip = 1 << chance.randrange(8)
            damaged(newest / name, place, flip)
            assert RunCheckpoints(tmp_path, "r", 2).load(slot, pack, optimizer) is None, f"byte {place} of {name}"
            damaged(newest / name, place, flip)
        assert RunCheckpoints(tmp_path, "r", 2).load(slot, pack, optimizer) is not None
    assert slot.step == 4


def swap(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    break_off(other, 2, run_id="other")
    shutil.rmtree(folder / "0001-000000004")
    shutil.copytree(other / "0001-000000004", folder / "0001-000000004")


DAMAGE = {
    "tensors missing": lambda newest, tmp: (newest / TENSORS).unlink(),
    "manifest missing": lambda newest, tmp: (newest / MANIFEST).unlink(),
    "tensors cut": lambda newest, tmp: (newest / TENSORS).write_bytes((newest / TENSORS).read_bytes()[:-1]),
    "manifest empty": lambda newest, tmp: (newest / MANIFEST).write_bytes(b""),
    "manifest no object": lambda newest, tmp: (newest / MANIFEST).write_text("[1]"),
    "manifest foreign": lambda newest, tmp: (newest / MANIFEST).write_text('{"manifest": {"format": 2}}'),
    "another run's": lambda newest, tmp: swap(newest.parent, tmp),
    "renamed": lambda newest, tmp: newest.rename(newest.parent / "0001-000000099"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(how: str, broken_off: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(broken_off, folder)
    DAMAGE[how](folder / "0001-000000004", tmp_path)
    assert steps_to_come(folder, attempt=2) == [4, 7, 9]


def test_a_version_with_its_keys_in_another_order_wrote_the_same_checkpoint(broken_off: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(broken_off, folder)
    path = folder / "0001-000000004" / MANIFEST
    manifest = json.loads(path.read_text())["manifest"]
    body = json.dumps({**dict(reversed(manifest.items())), "state": dict(reversed(manifest["state"].items()))})
    path.write_text(f'{{"sha256":"{hashlib.sha256(body.encode()).hexdigest()}","manifest":{body}}}\n')
    assert steps_to_come(folder, attempt=2) == [7, 9]


def test_without_a_good_checkpoint_a_run_begins_again(broken_off: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(broken_off, folder)
    for name in names(folder):
        damaged(folder / name / TENSORS, 100, 1)
    assert steps_to_come(folder, attempt=2) == [2, 4, 7, 9]


def test_a_checkpoint_whose_fields_another_version_wrote_in_another_order_is_used(
    broken_off: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "r"
    shutil.copytree(broken_off, folder)
    for name in names(folder):
        manifest = json.loads((folder / name / MANIFEST).read_text())["manifest"]
        body = json.dumps(dict(reversed(manifest.items())))
        digest = hashlib.sha256(body.encode()).hexdigest()
        (folder / name / MANIFEST).write_text(f'{{"sha256":"{digest}","manifest":{body}}}\n')
    assert steps_to_come(folder, attempt=2) == [7, 9]


def test_the_checkpoint_of_another_configuration_or_seed_is_not_used(broken_off: Path, tmp_path: Path) -> None:
    for other in (tiny_run(tiny_trial("lora", **TRAINING, learning_rate=2e-2)), tiny_run(RUN.trial, 1)):
        shutil.copytree(broken_off, tmp_path / "r")
        assert steps_to_come(tmp_path / "r", run=other, attempt=2) == [2, 4, 7, 9]
        shutil.rmtree(tmp_path / "r")


def test_tensors_that_do_not_fit_the_pack_are_not_used(
    broken_off: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(broken_off, tmp_path / "r")
    read = RunCheckpoints._read

    def of_another_version(*given: Any) -> Any:
        state, tensors = read(*given)
        return state, {name.replace("lora/", "lora."): tensor for name, tensor in tensors.items()}

    monkeypatch.setattr(RunCheckpoints, "_read", of_another_version)
    assert steps_to_come(tmp_path / "r", attempt=2) == [2, 4, 7, 9]


def test_an_attempt_that_was_overtaken_takes_nothing_from_the_newer_one(tmp_path: Path) -> None:
    break_off(tmp_path, 1, attempt=1)
    shutil.copytree(tmp_path / "0001-000000002", tmp_path / "spare")
    late = go_on(tmp_path, attempt=1)
    next(late)
    break_off(tmp_path, 1, attempt=2)
    assert names(tmp_path) == ["0001-000000004", "0002-000000007", "spare"]
    next(late)
    next(late)
    late.close()  # type: ignore[attr-defined]
    assert "0002-000000007" in names(tmp_path)
    assert steps_to_come(tmp_path, attempt=3) == [9]


@pytest.fixture
def faults() -> Iterator[Any]:
    yield failpoints.arm
    failpoints.arm("")


@pytest.mark.parametrize("point", POINTS)
def test_a_full_disk_costs_a_checkpoint_and_no_run(point: str, tmp_path: Path, faults: Any) -> None:
    folder, fired = tmp_path / "r", tmp_path / "fired"
    kept = RunCheckpoints(folder, "r", 1)
    faults(f"checkpoint.{point}=full@2;log={fired}")
    problems, there = [], []
    for event in train_events(RUN, tiny_backbone(), tiny_task(), progress=kept):
        if isinstance(event, EvaluationRow):
            problems.append(kept.problem)
            there.append(len(names(folder)))
    assert fired.exists()
    assert [bool(problem) for problem in problems] == [False, True, False, False]
    assert problems[1] is not None
    assert problems[1].values["folder"] == str(tmp_path)
    assert str(problems[1].values["cause"]).startswith("[Errno 28] No space left on device")
    assert there == [1, 1 if point != "rename.after" else 2, 2, 2], "nothing half written stays"


@pytest.mark.parametrize("point", POINTS)
def test_an_end_in_the_middle_of_a_checkpoint_leaves_a_whole_one(point: str, tmp_path: Path, faults: Any) -> None:
    final = tmp_path / "whole"
    break_off(final, 1)
    faults(f"checkpoint.{point}=raise@2")
    # What SIGKILL leaves: nobody cleans up.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checkpoint.shutil, "rmtree", lambda *given, **named: None)
        with pytest.raises(StorageError, match="A test asked"):
            list(go_on(tmp_path / "r"))
    faults("")
    left = names(tmp_path / "r")
    assert [name for name in left if not name.startswith(".half-")][0] == "0001-000000002"
    assert any(name.startswith(".half-") for name in left) == (point != "rename.after")
    to_come = steps_to_come(tmp_path / "r", attempt=2)
    assert to_come == ([7, 9] if point == "rename.after" else [4, 7, 9])
    assert not any(name.startswith(".half-") for name in names(tmp_path / "r"))


def test_a_place_that_cannot_be_used_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = RunCheckpoints(tmp_path / "file" / "r", "r", 1)
    *_, result = train_events(RUN, tiny_backbone(), tiny_task(), progress=kept)
    assert isinstance(result, RunResult)
    assert kept.newest is None
    assert kept.problem is not None


def test_a_checkpoint_holds_four_times_what_is_trained_and_little_else(tmp_path: Path) -> None:
    run = confirmed(TRIALS["fine_tuning"])
    *_, result = train_events(run, tiny_backbone(), tiny_task(), progress=RunCheckpoints(tmp_path, "r", 1))
    assert isinstance(result, RunResult)
    trained = 4 * result.costs.trained_parameters
    sizes = [sum(file.stat().st_size for file in (tmp_path / name).iterdir()) for name in names(tmp_path)]
    assert all(3 * trained < size < checkpoint.COPIES * trained + 2**16 for size in sizes)

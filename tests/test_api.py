"""The Python interface over real layers: a tiny random BERT, a generated CSV, a database on disk.

All but one test train in this process, one run after another; one runs the same study on Ray.
"""

from __future__ import annotations

import csv
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from thread_executor import train_in_process

import tiny
from unipelt_search import api
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.cli.demo_study import DEMO
from unipelt_search.errors import (
    BackboneError,
    NoUsableTrialError,
    OldSchemaError,
    RequestError,
    StudyExistsError,
    StudyNotFoundError,
)
from unipelt_search.execution import executor
from unipelt_search.execution.driver import FINISHED
from unipelt_search.methods.catalogue import DEFAULT_METHODS
from unipelt_search.records.history import EDITION, RunState, StudyState
from unipelt_search.records.progress import StudyProgress
from unipelt_search.records.results import RunResult
from unipelt_search.records.study_stage import StudyStage
from unipelt_search.reporting.markdown import render_markdown
from unipelt_search.specs.seeds import run_number, run_seeds
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.specs.trial import RunSpec
from unipelt_search.specs.variants import Variant
from unipelt_search.storage.store import StudyStore
from unipelt_search.tasks.encode import encode_task
from unipelt_search.tasks.load import load_task
from unipelt_search.training import evaluate, final_scoring, pack_training
from unipelt_search.training.evaluate import predict
from unipelt_search.training.pack_training import PackTraining
from unipelt_search.training.train import train

METHODS = ("head", "lora", "unipelt_al")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save two tiny models, a tokenizer and a table of rows whose label can be read off the words."""
    made = tmp_path_factory.mktemp("toy")
    for name, width in (("model", 64), ("narrow", 4)):
        tiny.tiny_model("bert", hidden_size=width).save_pretrained(made / name)
        tiny.tiny_tokenizer().save_pretrained(made / name)
    draw = random.Random(0)
    with (made / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["sentence", "kind"])
        for number in range(430):
            kind = number % 3
            words = [f"w{20 * kind + draw.randrange(20)}" for _ in range(draw.randrange(4, 10))]
            table.writerow([" ".join([*words, f"n{number}"]), f"kind {kind}"])
    return made


@pytest.fixture
def ask(folder: Path) -> Callable[..., StudySpec]:
    """Ask for a small study; keywords change its parts."""

    def make(
        model: str = "model", methods: tuple[str, ...] = METHODS, seed: int = 0, trials: int = 4, seeds: int = 1,
        name: str = "toy",
    ) -> StudySpec:  # fmt: skip
        return StudySpec(
            name=name,
            task=TaskSpec(data=str(folder / "rows.csv"), text=("sentence",), label="kind", carve=200),
            backbone=BackboneSpec(model=str(folder / model)),
            space=SpaceSpec(methods=methods, steps=6, evaluations=2),
            budget=BudgetSpec(trials=trials, seeds=seeds),
            seed=seed,
            machine=MachineSpec(concurrency=2),
        )

    return make


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/studies.db"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Train in this process instead of on Ray; returns the labels of the runs, as they begin."""
    return train_in_process(monkeypatch)


def test_test_labels_choose_nothing(ask, tmp_path: Path, folder: Path, here: list[str]) -> None:
    with (folder / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    parts = {"train": rows[:120], "validation": rows[120:320], "test": rows[320:380]}
    studies = []
    for poisoned in (False, True):
        data = tmp_path / f"poisoned-{poisoned}"
        data.mkdir()
        for name, part in parts.items():
            with (data / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                wrong = {f"kind {k}": f"kind {(k + 1) % 3}" for k in range(3)} if poisoned and name == "test" else {}
                table = csv.writer(file)
                table.writerows([["sentence", "kind"], *([text, wrong.get(kind, kind)] for text, kind in part)])
        spec = ask(trials=4, seeds=2)
        spec = spec.model_copy(update={"task": spec.task.model_copy(update={"data": str(data), "carve": None})})
        studies.append(api.run_study(spec, storage=f"sqlite:///{data}/studies.db"))
    clean, poisoned = studies
    of_test = [[run.result.test for trial in study.record.trials for run in trial.runs] for study in studies]
    assert of_test[0] != of_test[1]
    for chosen in ("method", "trial", "ties", "cheapest_tie", "power"):
        assert getattr(clean.report.verdict, chosen) == getattr(poisoned.report.verdict, chosen)
    for one, other in zip(clean.record.trials, poisoned.record.trials, strict=True):
        assert (one.spec, one.value, one.phase) == (other.spec, other.value, other.phase)
        for run, twin in zip(one.runs, other.runs, strict=True):
            assert (run.result.best_step, run.result.select) == (twin.result.best_step, twin.result.select)
            assert [row.value for row in run.result.evaluations] == [row.value for row in twin.result.evaluations]


def row_at(folder: Path, file: str, line: int) -> list[str]:
    """Return the text and the label that stand in a line of a file, counted from 1."""
    lines = (folder / file).read_text(encoding="utf-8").splitlines()
    (row,) = csv.reader([lines[line - 1]])
    return row


@pytest.mark.parametrize("folds", [False, True])
def test_predictions_lead_back_to_the_users_rows(ask, url: str, here: list[str], folder: Path, folds: bool) -> None:
    spec = ask(methods=("head", "bitfit"), trials=2, seeds=2)
    if folds:
        spec = spec.model_copy(update={"task": spec.task.model_copy(update={"carve": 40, "train_size": 60})})
    study = api.run_study(spec, storage=url)
    assert bool(study.record.task.folds) == folds
    frame = study.predictions
    assert set(frame["file"]) == {"rows.csv"}
    once = frame.drop_duplicates(["split", "row"])
    assert len(once) == study.record.task.rows["select"] + study.record.task.rows["test"]
    assert once["line"].is_unique, "no row serves two splits"
    for row in once.itertuples():
        text, label = row_at(folder, row.file, row.line)
        assert label == row.label, text
    shares = frame[[f"probability.kind {number}" for number in range(3)]]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1.0, abs=1e-6)
    assert (shares.idxmax(axis=1) == "probability." + frame["predicted"]).all()
    # What was scored can be computed again from what is kept.
    for trial in study.record.trials:
        for run in trial.runs:
            if run.result is not None and run.result.test is not None:
                number = run_number(run.seed_index, run.fold, study.record.task.folds)
                own = frame[(frame["trial"] == trial.number) & (frame["run"] == number) & (frame["split"] == "test")]
                assert run.result.test["accuracy"] == pytest.approx((own["label"] == own["predicted"]).mean())
    report = study.report
    assert {entry.split for entry in report.calibration} == {"select", "test"}
    assert report.missed is not None
    for missed in report.missed.rows:
        assert missed.file is not None
        assert missed.line is not None
        assert row_at(folder, missed.file, missed.line)[1] == missed.label != missed.predicted


def test_what_is_planned_is_what_runs(ask, url: str, here: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()
    stages: list[StudyStage] = []
    step = PackTraining.step

    def counted_step(training: PackTraining) -> None:
        before = [slot.examples for slot in training.slots]
        step(training)
        counts["steps"] += 1
        counts["trained"] += sum(slot.examples for slot in training.slots) - sum(before)

    def counted_predict(pack: Any, split: Any, pad: int, rows: Any, **asked: Any) -> Any:
        counts["scored"] += len(rows)
        return predict(pack, split, pad, rows, **asked)

    def hear(stage: StudyStage) -> None:
        stages.append(stage)
        if stage.name == "workers":
            counts.clear()  # what was timed is no part of the study

    monkeypatch.setattr(PackTraining, "step", counted_step)
    for module in (pack_training, final_scoring, evaluate):
        monkeypatch.setattr(module, "predict", counted_predict)
    spec = ask(methods=("head", "unipelt_al"), trials=5, seeds=2)
    space = spec.space.model_copy(update={"gate_null": True, "ablate_layers": True})
    study = api.run_study(spec.model_copy(update={"space": space}), storage=url, on_stage=hear)
    assert study.record.state is StudyState.COMPLETE
    names = [stage.name for stage in stages]
    assert names == ["read", "check", "load", "attach", "encode", "time", "time", "plan", "workers"]
    plan = next(stage.plan for stage in stages if stage.plan is not None)
    assert [(phase.phase, phase.runs) for phase in plan.phases] == [("screen", 4), ("tune", 1), ("confirm", 4)]
    assert plan.runs == len(here) == 9
    assert counts["steps"] == sum(phase.steps for phase in plan.phases)
    assert counts["trained"] == sum(phase.trained_rows for phase in plan.phases)
    # Whichever method the fifth trial was of: the plan takes the mean of both.
    assert counts["scored"] == pytest.approx(sum(phase.scored_rows for phase in plan.phases), abs=100)


def test_gates_get_a_null_and_what_they_can_do_without_goes(
    ask, url: str, here: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = (("adapter", 0), ("lora", 1))
    monkeypatch.setattr(final_scoring, "prunable_parts", lambda *given: gone)
    spec = ask(methods=("head", "unipelt_al"), trials=2, seeds=2)
    space = spec.space.model_copy(update={"gate_null": True, "prune_gates": True})
    study = api.run_study(spec.model_copy(update={"space": space}), storage=url, out=tmp_path / "out")
    nulls = [row.null_mean for row in study.report.gates if row.name == "unipelt_al" and row.split == "select"]
    assert nulls
    assert all(null is not None for null in nulls)
    rows = {row.name: row for row in study.report.leaderboard}
    smaller = rows["unipelt_al-pruned"]
    assert (smaller.runs, smaller.method, smaller.phase) == (2, "unipelt_al", "confirm")
    assert smaller.stored_parameters < rows["unipelt_al"].stored_parameters
    assert smaller.config["without"] == "adapter 0, lora 1"
    assert {row.gate for row in study.report.gates if row.name == smaller.name and row.layer == 0} == {
        "lora_query", "lora_value",
    }  # fmt: skip
    assert [label for label in here if "pruned (tune)" in label] == ["trial 2 unipelt_al-pruned (tune)"]
    api.export_model("toy", tmp_path / "small", trial=smaller.trial, storage=url)
    assert api.load_model(tmp_path / "small").predict(["w1 w2 w3"])[0].label in {"kind 0", "kind 1", "kind 2"}


def test_a_study_runs_and_reports(ask, url: str, here: list[str], tmp_path: Path) -> None:
    shown = []
    study = api.run_study(ask(), storage=url, out=tmp_path / "out", command="the command", watch=shown.append)

    assert study.name == "toy"
    assert study.record.state is StudyState.COMPLETE
    assert not study.interrupted
    assert len(study.record.trials) == 4
    assert study.record.wall_seconds > 0
    assert set(study.record.software) == {"unipelt-search", "torch", "transformers", "ray", "optuna", "python"}
    assert study.report.verdict.method in METHODS
    assert set(METHODS) <= set(study.leaderboard["method"])
    assert set(study.gates["method"]) == {"unipelt_al"}
    assert json.loads((tmp_path / "out" / "report.json").read_text())["study"]["command"] == "the command"
    assert "<html" in (tmp_path / "out" / "report.html").read_text()
    confirmed = {trial.number for trial in study.record.trials if trial.phase == "confirm"}
    assert {path.name for path in (tmp_path / "out" / "checkpoints").iterdir()} == {f"trial-{n}" for n in confirmed}
    assert shown[-1].event == "The study is complete"

    again = api.open_study("toy", storage=url)
    assert again.report == study.report
    assert [line.name for line in api.list_studies(storage=url)] == ["toy"]
    api.delete_study("toy", storage=url)
    assert api.list_studies(storage=url) == []


def predictions(study: api.Study) -> list[object]:
    """Everything that a study found, without names, times and memory."""
    found: list[object] = []
    for trial in study.record.trials:
        for run in trial.runs:
            assert run.result is not None
            values = run.result.model_dump(exclude={"costs", "checkpoint"})
            for row in values["evaluations"]:
                del row["seconds"]
            found.append((trial.number, trial.spec, trial.phase, trial.value, run.phase, run.seed_index, values))
    return found


def test_a_configuration_is_stored_whole_and_asked_for_again_in_the_same_words(ask, url: str, here: list[str]) -> None:
    def asking(**adapter: object) -> StudySpec:
        own = {"name": "mine", "method": "adapter", "adapter": {"bottleneck": 3, **adapter}}
        spec = ask(methods=("head",), trials=2)
        space = SpaceSpec.model_validate({**spec.space.model_dump(), "configurations": [own]})
        return spec.model_copy(update={"space": space})

    study = api.run_study(asking(), storage=url)
    assert (study.record.edition, study.record.task.hidden_size) == (EDITION, 64)
    newest = {"bottleneck": 3, "activation": "relu", "input": "normalised", "up": "normal"}
    (stored,) = study.record.spec.space.configurations
    assert stored.model_dump()["adapter"] == newest
    assert {row.name: row.adapter_input for row in study.report.leaderboard}["mine"] == "normalised"
    assert "feed_forward_adapter" not in study.report.notice_codes
    done = len(here)
    # In the same words, written out, and as `resume` asks, from the database through plain values.
    again = api.stored_spec("toy", storage=url)
    for spec in (asking(), asking(**newest), StudySpec.model_validate(again.model_dump())):
        assert api.run_study(spec, storage=url).record.id == study.record.id
    assert len(here) == done
    with pytest.raises(StudyExistsError, match=r"space\.configurations"):
        api.run_study(asking(input="feed_forward"), storage=url)


def test_the_same_seed_gives_the_same_study_under_another_name(ask, url: str, here: list[str]) -> None:
    spec = ask(trials=4, seeds=2)
    first = api.run_study(spec, storage=url)
    second = api.run_study(spec.model_copy(update={"name": "again"}), storage=url)
    other = api.run_study(spec.model_copy(update={"name": "other", "seed": 1}), storage=url)
    assert predictions(first) == predictions(second)
    assert first.report.leaderboard[0].validation == second.report.leaderboard[0].validation
    assert predictions(first) != predictions(other)


def test_a_complete_study_returns_at_once_and_a_larger_budget_goes_on(ask, url: str, here: list[str]) -> None:
    first = api.run_study(ask(), storage=url)
    done = len(here)
    assert api.run_study(ask(), storage=url).record == first.record
    assert len(here) == done
    more = api.run_study(ask(trials=5, seeds=2), storage=url)
    assert len(more.record.trials) == 5
    before, after = ({run.id for trial in study.record.trials for run in trial.runs} for study in (first, more))
    assert before < after
    assert len(here) == len(after)  # no run was repeated
    assert more.record.spec.budget == BudgetSpec(trials=5, seeds=2)
    assert more.record.state is StudyState.COMPLETE


def test_an_interrupted_study_goes_on(ask, url: str, here: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:

        def drive(driver, *given) -> bool:
            driver.next_run()
            raise KeyboardInterrupt

        patch.setattr(executor, "drive", drive)
        study = api.run_study(ask(), storage=url)
    assert study.interrupted
    assert study.record.state is StudyState.STOPPED
    assert study.record.trials[0].runs[0].state is RunState.WAITING
    study = api.run_study(ask(), storage=url)
    assert study.record.state is StudyState.COMPLETE
    assert study.record.trials[0].runs[0].attempt == 2
    assert len(study.record.trials) == 4


def evaluated(progress: StudyProgress, label: str) -> bool:
    return progress.event.startswith(f"{label}: ")


def test_a_run_broken_off_goes_on_from_its_last_evaluation(ask, url: str, here: list[str], tmp_path: Path) -> None:
    undisturbed = api.run_study(ask(), storage=f"sqlite:///{tmp_path}/calm.db", out=tmp_path / "calm")
    seen: list[StudyProgress] = []

    def break_off(progress: StudyProgress) -> None:
        seen.append(progress)
        if evaluated(progress, "trial 1 lora (screen)"):
            raise KeyboardInterrupt

    study = api.run_study(ask(), storage=url, out=tmp_path / "out", watch=break_off)
    assert study.interrupted
    (kept,) = (tmp_path / "out" / "checkpoints" / "running").iterdir()
    assert kept.name == study.record.trials[1].runs[0].id
    shown: list[StudyProgress] = []
    study = api.run_study(ask(), storage=url, out=tmp_path / "elsewhere", watch=shown.append)
    assert sum(evaluated(progress, "trial 1 lora (screen)") for progress in shown) == 1, "of two evaluations"
    assert predictions(study) == predictions(undisturbed)
    assert not kept.parent.exists()


def test_deleting_a_study_takes_the_checkpoints_of_its_runs_with_it(
    ask, url: str, here: list[str], tmp_path: Path
) -> None:
    def break_off(progress: StudyProgress) -> None:
        if evaluated(progress, "trial 0 head (screen)"):
            raise KeyboardInterrupt

    api.run_study(ask(), storage=url, out=tmp_path / "out", watch=break_off)
    assert (tmp_path / "out" / "checkpoints" / "running").is_dir()
    api.delete_study("toy", storage=url)
    assert not (tmp_path / "out" / "checkpoints" / "running").exists()


def test_the_room_for_checkpoints_is_told_before_the_first_run(ask, url: str, here: list[str], tmp_path: Path) -> None:
    shown: list[StudyProgress] = []
    api.run_study(ask(methods=("head",), trials=1), storage=url, out=tmp_path / "out", watch=shown.append)
    events = [progress.event for progress in shown]
    room = re.compile(rf"While they train, runs keep up to \d\.\d MB of checkpoints below {tmp_path}/out/checkpoints\.")
    told = next(number for number, event in enumerate(events) if room.fullmatch(event))
    assert told < events.index("trial 0 head (screen) began")
    assert api.plan_study(ask(name="other"), storage=url).checkpoint_bytes > 2 * 3_000_000


def test_another_question_is_refused_with_its_differences(ask, url: str, here: list[str]) -> None:
    api.run_study(ask(), storage=url)
    done = len(here)
    with pytest.raises(StudyExistsError) as caught:
        api.run_study(ask(seed=1, methods=("head",)), storage=url)
    message = str(caught.value)
    assert "seed: 0 → 1" in message
    assert "space.methods: ['head', 'lora', 'unipelt_al'] → ['head']" in message
    assert "unipelt-search delete toy" in message
    with pytest.raises(StudyExistsError, match="budget.trials: 4 → 3"):
        api.run_study(ask(trials=3), storage=url)
    limited = ask().model_copy(update={"budget": BudgetSpec(trials=4, seeds=1, time_seconds=60)})
    with pytest.raises(StudyExistsError, match="budget.time_seconds: no limit → 60"):
        api.run_study(limited, storage=url)
    assert len(here) == done


def test_changed_rows_are_refused(ask, url: str, here: list[str], tmp_path: Path) -> None:
    rows = Path(ask().task.data).read_text(encoding="utf-8")
    data = tmp_path / "rows.csv"
    data.write_text(rows, encoding="utf-8")
    spec = ask().model_copy(update={"task": ask().task.model_copy(update={"data": str(data)})})
    api.run_study(spec, storage=url)
    data.write_text(rows.replace("w1 ", "w2 "), encoding="utf-8")
    with pytest.raises(StudyExistsError, match=r"task.fingerprint: \w+ → \w+ \(the rows have changed\)"):
        api.run_study(spec, storage=url)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": {"trials": 2}}, "--trials must be at least the number of methods"),
        ({"task": {"label": "knid"}}, "knid"),
        ({"backbone": {"model": "no/such/model"}}, "no/such/model"),
        ({"machine": {"device": "cpu", "cpus_per_trial": 1000}}, "--cpus-per-trial must fit on this machine"),
    ],
)
def test_a_wrong_request_creates_nothing(ask, tmp_path: Path, change: dict, message: str) -> None:
    values = ask().model_dump()
    for section, fields in change.items():
        values[section] |= fields
    with pytest.raises(RequestError, match=message):
        api.run_study(StudySpec.model_validate(values), storage=f"sqlite:///{tmp_path}/new/s.db", out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_checked_like_a_study_and_leaves_nothing_behind(ask, url: str, tmp_path: Path) -> None:
    plan = api.plan_study(ask(trials=7, seeds=2), storage=url)
    assert [method.method for method in plan.methods] == list(METHODS)
    assert (plan.tune_trials, plan.confirm_runs, plan.runs, plan.workers, plan.steps) == (1, 6, 13, 2, 6)
    assert plan.seconds > 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RequestError, match="--trials must be at least"):
        api.plan_study(ask(trials=2), storage=url)
    narrow = api.plan_study(ask(model="narrow", methods=DEFAULT_METHODS, trials=7), storage=url)
    assert {drop.method for drop in narrow.left_out} == {"lora", "unipelt_apl"}
    assert len(narrow.methods) == 5


def test_out_must_be_a_folder(ask, tmp_path: Path, url: str) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(RequestError, match="--out must be a folder"):
        api.run_study(ask(), storage=url, out=tmp_path / "out")


def test_a_method_asked_for_by_name_must_attach(ask, url: str, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"lora\.rank"):
        api.run_study(ask(model="narrow", methods=("head", "lora")), storage=url)
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_of_the_users_must_attach(ask, url: str, tmp_path: Path) -> None:
    own = Variant.model_validate({"name": "mine", "method": "lora", "lora": {"rank": 500}})
    study = ask(methods=DEFAULT_METHODS, trials=9)
    study = study.model_copy(update={"space": study.space.model_copy(update={"configurations": (own,)})})
    with pytest.raises(BackboneError, match="'mine' cannot be attached. lora.rank must be at most"):
        api.run_study(study, storage=url)
    assert list(tmp_path.iterdir()) == []


def test_a_default_method_that_cannot_attach_is_left_out(ask, url: str, here: list[str]) -> None:
    study = api.run_study(ask(model="narrow", methods=DEFAULT_METHODS, trials=7), storage=url)
    assert {drop.method for drop in study.record.dropped if drop.phase == "screen"} == {"lora", "unipelt_apl"}
    assert any(notice.values.get("method") == "lora" for notice in study.record.notices)
    assert {trial.method for trial in study.record.trials}.isdisjoint({"lora", "unipelt_apl"})


def test_a_study_of_failures_is_no_answer(ask, url: str, here: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def drive(driver, *given) -> bool:
        while (assignment := driver.next_run()) is not FINISHED:
            driver.on_error(assignment.run_id, assignment.attempt, "no memory")
        return True

    monkeypatch.setattr(executor, "drive", drive)
    with pytest.raises(NoUsableTrialError, match="The first cause: no memory"):
        api.run_study(ask(), storage=url)
    assert api.open_study("toy", storage=url).record.state is StudyState.FAILED


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    assert api.list_studies(storage=url) == []
    with pytest.raises(StudyNotFoundError):
        api.open_study("toy", storage=url)
    assert list(tmp_path.iterdir()) == []


def test_opening_a_study_loads_no_library_that_trains(ask, url: str, here: list[str]) -> None:
    api.run_study(ask(), storage=url)
    code = (
        "import sys, unipelt_search as u\n"
        f"study = u.open_study('toy', storage={url!r})\n"
        "study.report, study.leaderboard, study.gates\n"
        "print([name for name in ('torch', 'transformers', 'ray', 'datasets') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("kind", "labels", "metrics"),
    [
        ("regression", ("0.5", "2.5", "3"), {"spearman", "pearson", "r2"}),
        ("multi_label", ("a|b", "b", ""), {"micro_f1", "macro_f1", "subset_accuracy"}),
    ],
)
def test_tables_with_other_kinds_of_labels_run_and_report(
    ask, url: str, here: list[str], tmp_path: Path, kind: str, labels: tuple[str, ...], metrics: set[str]
) -> None:
    count = 120
    table = pd.DataFrame({
        "sentence": [f"w{20 * (n % 3) + n % 7} w{n % 60} w{n // 2 % 60} w{n}" for n in range(count)],
        "kind": [labels[n % 3] for n in range(count)],
    })  # fmt: skip
    spec = ask(methods=("lora", "unipelt_al"), trials=2, seeds=1)
    spec = spec.model_copy(update={"task": spec.task.model_copy(update={"data": "mine", "carve": None})})
    shown = []
    study = api.run_study(spec, storage=url, out=tmp_path / "out", watch=shown.append, frames=table)
    assert [progress.event for progress in shown if progress.event.startswith("Note: ")]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["task"]["name"], report["task"]["kind"], report["task"]["truncated_share"]) == ("mine", kind, 0.0)
    assert report["task"]["labels"] == ([] if kind == "regression" else ["a", "b"])
    assert {row["label"] for row in report["gates"]} == ({None} if kind == "regression" else {None, "a", "b"})
    confirmed = [run.result for trial in study.record.trials for run in trial.runs if run.phase == "confirm"]
    assert confirmed
    assert all(
        result is not None and result.select is not None and set(result.select) >= metrics for result in confirmed
    )
    assert set(study.record.task.majority["test"]) >= metrics
    assert report["verdict"]["decided_on"] == "folds"
    assert all(row["validation"]["low"] is not None for row in report["leaderboard"] if row["phase"] == "confirm")
    assert render_markdown(study.report)
    assert api.run_study(spec, storage=url, frames=table).report == study.report
    with pytest.raises(StudyExistsError, match="the rows have changed"):
        api.run_study(spec, storage=url, frames=table.iloc[::-1])


def little_data(ask, folder: Path, tmp_path: Path, **asked: int) -> StudySpec:
    """Ask for a study of the first 100 rows: 60 to train, 20 to validate, 20 to test."""
    with (folder / "rows.csv").open(encoding="utf-8") as file:
        (tmp_path / "little.csv").write_text("".join(file.readlines()[:101]), encoding="utf-8")
    spec: StudySpec = ask(methods=("head", "unipelt_al"), trials=2, **asked)
    task = spec.task.model_copy(update={"data": str(tmp_path / "little.csv"), "carve": None})
    return spec.model_copy(update={"task": task})


def test_little_data_is_decided_by_folds(ask, url: str, here: list[str], folder: Path, tmp_path: Path) -> None:
    spec = little_data(ask, folder, tmp_path)
    plan = api.plan_study(spec, storage=url)
    study = api.run_study(spec, storage=url, out=tmp_path / "out")
    assert (plan.confirm_runs, plan.runs) == (10, 12) == (len(here) - 2, len(here))
    task = load_task(spec.task, spec.seed, repeats=1)
    assert study.record.task.rows == {"train": 60, "validation": 20, "test": 20, "tune": 20, "select": 80}
    for trial in study.record.trials:
        confirmed = [run for run in trial.runs if run.phase == "confirm"]
        assert [(run.seed_index, run.fold) for run in confirmed] == [(1, fold) for fold in range(1, 6)]
        held_out = []
        for run, fold in zip(confirmed, task.folds, strict=True):
            assert run.result is not None
            select, test = run.result.predictions
            assert select.rows == fold.rows.select
            assert select.labels == tuple(task.select.labels[row] for row in fold.rows.select)
            assert (test.labels, test.rows) == (task.test.labels, None)
            held_out += fold.rows.select
        assert sorted(held_out) == list(range(80))
    report = study.report
    assert (report.verdict.decided_on, report.task.folds) == ("folds", 5)
    assert "on 5 folds of train and validation" in report.verdict.sentence
    assert "few_validation_rows_folds" in report.notice_codes
    answered = study.predictions.query("trial == 0 and split == 'select'")
    shown = next(row.validation for row in report.leaderboard if row.trial == 0)
    assert shown.mean == pytest.approx((answered["label"] == answered["predicted"]).mean())
    assert {row.runs for row in report.gates if row.split == "select" and row.label is None} == {5}
    assert {row.trial for row in report.ablation} == {1}
    assert {path.name for path in (tmp_path / "out" / "checkpoints").iterdir()} == {"trial-0", "trial-1"}
    api.export_model("toy", tmp_path / "model", storage=url)
    assert api.load_model(tmp_path / "model").predict(["w1 w2 w3"])

    first = {run.id for trial in study.record.trials for run in trial.runs}
    more = api.run_study(little_data(ask, folder, tmp_path, seeds=2), storage=url)
    assert len(here) == 12 + 10
    assert first < {run.id for trial in more.record.trials for run in trial.runs}
    assert "repeated 2 times" in more.report.verdict.sentence


def test_states_and_weights_lie_behind_a_url(ask, url: str, here: list[str], tmp_path: Path) -> None:
    spec = ask(methods=("lora",), trials=1)
    spec = spec.model_copy(update={"machine": MachineSpec(checkpoints=f"file://{tmp_path}/far")})
    events: list[StudyProgress] = []
    study = api.run_study(spec, storage=url, out=tmp_path / "out", watch=events.append)
    assert not (tmp_path / "out" / "checkpoints").exists()
    assert {path.name for path in (tmp_path / "far" / "toy").iterdir()} <= {"trial-0", "running"}
    assert not list((tmp_path / "far").rglob("manifest.json")), "finished runs have left their states"
    assert any(f"of checkpoints below file://{tmp_path}/far/toy." in progress.event for progress in events)
    run = study.record.trials[0].runs[1]
    assert run.result is not None
    assert run.result.checkpoint == f"file://{tmp_path}/far/toy/trial-0"
    api.export_model("toy", tmp_path / "model", storage=url)
    assert api.load_model(tmp_path / "model").predict(["w1 w2 w3"])


def test_a_state_that_a_killed_driver_left_goes_when_the_complete_study_is_asked_for_again(
    ask, url: str, here: list[str], tmp_path: Path
) -> None:
    spec = ask(methods=("lora",), trials=1)
    study = api.run_study(spec, storage=url, out=tmp_path)
    left = tmp_path / "checkpoints" / "running" / study.record.trials[0].runs[0].id / "0001-000000003"
    left.mkdir(parents=True)
    api.run_study(spec, storage=url, out=tmp_path)
    assert not left.parent.parent.exists()


def test_a_place_for_states_that_cannot_be_used_starts_nothing(ask, url: str, here: list[str], tmp_path: Path) -> None:
    spec = ask().model_copy(update={"machine": MachineSpec(checkpoints="nosuch://bucket/runs")})
    with pytest.raises(RequestError, match="A URL must be one .* got 'nosuch://bucket/runs'"):
        api.run_study(spec, storage=url, out=tmp_path / "out")
    assert here == []
    assert api.list_studies(storage=url) == []


def test_little_data_of_an_older_study_stays_halved(
    ask, url: str, here: list[str], folder: Path, tmp_path: Path
) -> None:
    spec = little_data(ask, folder, tmp_path)
    summary = load_task(spec.task, spec.seed).summary().model_copy(update={"hidden_size": 64})
    StudyStore.open(url).studies.create(spec, summary, {}, "")
    study = api.run_study(spec, storage=url)
    assert len(here) == 2 + 2
    assert (study.report.verdict.decided_on, study.record.task.rows["select"]) == ("select", 10)


def test_a_table_is_planned_without_being_written(ask, url: str) -> None:
    table = pd.DataFrame({"sentence": [f"w{n} w{n // 60}" for n in range(90)], "kind": ["a", "b", "c"] * 30})
    spec = ask()
    spec = spec.model_copy(update={"task": spec.task.model_copy(update={"data": "mine", "carve": None})})
    plan = api.plan_study(spec, storage=url, frames=table)
    assert (plan.task.name, plan.task.rows["train"]) == ("mine", 54)


@pytest.mark.ray
@pytest.mark.timeout(240)
def test_a_study_runs_on_ray(ask, url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shown = []
    spec = ask(trials=4, seeds=2)
    study = api.run_study(spec, storage=url, out=tmp_path / "out", watch=shown.append)
    printed = capfd.readouterr()

    assert study.record.state is StudyState.COMPLETE
    runs = [run for trial in study.record.trials for run in trial.runs]
    assert len(runs) == 4 + 3 * 2
    assert {(run.state, run.attempt) for run in runs} == {(RunState.COMPLETE, 1)}
    assert {run.phase for run in runs} == {"screen", "tune", "confirm"}
    assert max(len(progress.running) for progress in shown) == 2
    assert study.report.verdict.method in METHODS
    assert (tmp_path / "out" / "report.html").exists()
    logged = [json.loads(line)["event"] for line in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    assert logged[-1] == "The study is complete"
    assert len(list((tmp_path / "out" / "checkpoints").iterdir())) == 3
    assert printed.out == ""
    assert "ray" not in printed.err.lower()

    # Two workers in other processes, in an order of their own: each run is what it is alone in this process.
    task = load_task(spec.task, spec.seed)
    backbone = load_backbone(spec.backbone, len(task.labels), "cpu")
    encoded = encode_task(task, backbone.tokenizer, backbone.max_length)
    for trial in study.record.trials:
        for run in trial.runs:
            confirm = run.phase == "confirm"
            asked = RunSpec(trial=trial.spec, seeds=run_seeds(spec.seed, run.seed_index), confirm=confirm)
            (alone,) = train([asked], backbone, encoded)
            assert isinstance(alone, RunResult)
            assert run.result is not None
            ours, theirs = (r.model_dump(include={"tune", "select", "test", "gates"}) for r in (run.result, alone))
            assert ours == theirs


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(240)
def test_runs_whose_workers_are_killed_go_on_in_new_ones(
    ask, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIPELT_FAILPOINTS", f"checkpoint.rename.after=kill@3;log={tmp_path}/fired")
    spec = ask(methods=("head", "unipelt_al"), trials=2)
    spec = spec.model_copy(update={"machine": MachineSpec(concurrency=1)})
    study = api.run_study(spec, storage=url, out=tmp_path / "out")
    assert (tmp_path / "fired").read_text().count("kill") == 2
    runs = [(run, trial) for trial in study.record.trials for run in trial.runs]
    assert sorted(run.attempt for run, _ in runs) == [1, 1, 2, 2]
    assert [notice.code for notice in study.record.notices].count("run_again_halved") == 2
    assert not (tmp_path / "out" / "checkpoints" / "running").exists()

    task = load_task(spec.task, spec.seed)
    backbone = load_backbone(spec.backbone, len(task.labels), "cpu")
    encoded = encode_task(task, backbone.tokenizer, backbone.max_length)
    for run, trial in runs:
        confirm = run.phase == "confirm"
        asked = RunSpec(trial=trial.spec, seeds=run_seeds(spec.seed, run.seed_index), confirm=confirm)
        (alone,) = train([asked], backbone, encoded)
        assert isinstance(alone, RunResult)
        assert run.result is not None
        assert (run.result.tune, run.result.test) == (alone.tune, alone.test)
        for ours, theirs in zip(run.result.evaluations, alone.evaluations, strict=True):
            assert ours.train_loss == pytest.approx(theirs.train_loss, abs=1e-4)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(240)
def test_a_run_that_hangs_is_ended_and_the_study_goes_on(
    ask, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIPELT_FAILPOINTS", f"checkpoint.rename.after=delay:9999@4;log={tmp_path}/fired")
    spec = ask(methods=("head", "unipelt_al"), trials=2)
    spec = spec.model_copy(update={"machine": MachineSpec(concurrency=1, silence_seconds=10)})
    study = api.run_study(spec, storage=url, out=tmp_path / "out")
    assert (tmp_path / "fired").read_text() == "checkpoint.rename.after delay\n"
    assert study.record.state is StudyState.COMPLETE
    errors = [run.error for trial in study.record.trials for run in trial.runs]
    assert errors[0] is None
    assert len(errors) == 3
    assert [error for error in errors if error] == [
        "timeout: a run must give a sign every 10 s (machine.silence_seconds); this one hangs, or needs longer."
    ]
    assert study.record.trials[1].runs[0].attempt == 1


@pytest.mark.parametrize("wrong", [False, True])
def test_a_servers_older_tables_are_upgraded_only_for_a_request_that_is_right(
    wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgraded: list[str] = []

    def existing_study(url: str, name: str) -> None:
        if not upgraded:
            raise OldSchemaError("The study database must have a newer schema.")

    def prepare(spec: StudySpec, task: object, found: object, on_stage: object) -> None:
        if wrong:
            raise RequestError("The request is wrong.")

    monkeypatch.setattr(api, "existing_study", existing_study)
    monkeypatch.setattr(api, "upgrade_database", upgraded.append)
    monkeypatch.setattr(api, "check_new_name", lambda url, name: None)
    monkeypatch.setattr(api, "_prepare", prepare)
    monkeypatch.setattr(api, "_read", lambda *given: None)
    with pytest.raises(RequestError) if wrong else nullcontext():
        assert api._find_or_upgrade("postgresql://host/x", DEMO, None) is None
    assert upgraded == ([] if wrong else ["postgresql://host/x"])

"""The real command, its real workers and signals: runs go on behind their last evaluation, to the same scores."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from exported_study import save_toy
from faults.killed_command import kill_the_command

from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.records.results import RunResult
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.trial import RunSpec
from unipelt_search.storage.store import StudyStore
from unipelt_search.tasks.encode import encode_task
from unipelt_search.tasks.load import load_task
from unipelt_search.training.train import train

ROOT = Path(__file__).parents[2]
QUESTION = """
name: toy
task: {data: rows.csv, text: [sentence], label: kind}
backbone: {model: model}
space: {methods: [unipelt_al], steps: 400, evaluations: 16, patience: 16}
budget: {trials: 1, seeds: 1}
machine: {concurrency: 1}
"""


def go_on(folder: Path, words: list[str], end: Callable[[int], None] | None) -> tuple[int, list[int], str]:
    """Run the command and end it behind its second evaluation; returns exit code, evaluated steps and the last line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "UNIPELT_STORAGE": f"sqlite:///{folder}/s.db"}
    process = subprocess.Popen(
        [sys.executable, "-m", "unipelt_search", *words], cwd=folder, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    steps, line = [], ""
    with process.stderr as lines:
        for line in lines:
            found = re.search(r"trial 0 unipelt_al \(screen\): [\d.]+ at step (\d+)", line)
            steps += [int(found[1])] if found else []
            if found and len(steps) == 2 and end:
                end(process.pid)
    return process.wait(), steps, line


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_run_goes_on_after_ctrl_c_sigterm_and_kill_9_to_the_same_scores(tmp_path: Path) -> None:
    save_toy(tmp_path, rows=1_100, hidden_size=64)  # enough for validation rows of their own
    (tmp_path / "study.yaml").write_text(QUESTION, encoding="utf-8")
    done: list[int] = []
    for words, end, code in (
        (["run", "study.yaml"], lambda pid: os.kill(pid, signal.SIGINT), 130),
        (["resume", "toy"], lambda pid: os.killpg(pid, signal.SIGTERM), 130),
        (["resume", "toy"], lambda pid: os.killpg(pid, signal.SIGKILL), -9),
    ):
        ended, steps, line = go_on(tmp_path, words, end)
        assert ended == code
        if code == 130:
            assert line == "Interrupted. Go on with: unipelt-search resume toy\n"
        done += steps
    ended, steps, _ = go_on(tmp_path, ["resume", "toy"], None)
    assert ended == 0
    assert done + steps == sorted(set(done + steps)), "no evaluation that was told was done again"
    assert not (tmp_path / "studies" / "toy" / "checkpoints" / "running").exists()

    store = StudyStore.open(f"sqlite:///{tmp_path}/s.db")
    record = store.studies.load("toy")
    store.close()
    (trial,) = record.trials
    search, confirm = trial.runs
    assert (search.attempt, confirm.attempt) == (4, 1)
    task = load_task(record.spec.task.model_copy(update={"data": str(tmp_path / "rows.csv")}), record.spec.seed)
    backbone = load_backbone(
        record.spec.backbone.model_copy(update={"model": str(tmp_path / "model")}), len(task.labels), "cpu"
    )
    encoded = encode_task(task, backbone.tokenizer, backbone.max_length)
    (alone,) = train([RunSpec(trial=trial.spec, seeds=run_seeds(record.spec.seed, 0))], backbone, encoded)
    assert isinstance(alone, RunResult)
    assert search.result is not None
    assert (search.result.tune, search.result.gates) == (alone.tune, alone.gates)
    for ours, theirs in zip(search.result.evaluations, alone.evaluations, strict=True):
        assert (ours.step, ours.value, ours.train_loss) == (theirs.step, theirs.value, theirs.train_loss)


@pytest.mark.ray
# Two whole studies on Ray: the test above ends one in three ways, and `make acceptance` kills one twenty times.
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_command_killed_at_random_moments_comes_to_the_same_leaderboard(tmp_path: Path) -> None:
    crashed = kill_the_command(tmp_path, 2, seed=0)
    assert crashed.kills == 2

"""Make the fixture of a study of adapters of edition 1: killed while it tuned, what became of it, and its exports.

    PYTHONPATH=.:tests python -m golden.make_edition_1

It was run once, with the code of release 0.1.0 at commit d313fb8, whose adapters read the feed-forward output, had 48
units on every backbone and were searched from 8 to 96. It is not run again, for the reason that `make_golden` names.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from golden import make_golden
from golden.observed import KILLED, go_on, outcome_of, predictions_of, report_of

import tiny
from unipelt_search import export_model

NAME = "adapters"
FAULT = "run.evaluation.after=kill@33"
EXPORTED = ("adapter", "unipelt_al", "narrow")
SPEC = {
    "name": NAME,
    "task": {"data": "rows.csv", "text": ["sentence"], "label": "label"},
    "backbone": {"model": "model"},
    "space": {"methods": ["adapter", "unipelt_al"], "steps": 10, "batch_size": 8, "evaluations": 5, "patience": 5,
              "configurations": [{"name": "narrow", "method": "unipelt_al", "adapter": {"bottleneck": 6}}]},
    "budget": {"trials": 9, "seeds": 1},
    "seed": 5,
}  # fmt: skip
_SIZE = {
    "vocab_size": 80, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 16, "num_hidden_layers": 1,
}  # fmt: skip


def make_adapters() -> None:
    """Keep the study as the kill left it, and its end with what its exported models predict."""
    with tempfile.TemporaryDirectory(prefix="golden-") as made:
        folder = Path(made)
        tiny.tiny_model("bert", initializer_range=0.3, **_SIZE).save_pretrained(folder / "model")
        tiny.tiny_tokenizer().save_pretrained(folder / "model")
        make_golden._write_rows(folder / "rows.csv", "classification", 72)
        make_golden._write(folder / "study.json", SPEC)
        for words in (["killed", str(folder), FAULT], ["expired", str(folder)]):
            ended = subprocess.run([sys.executable, "-m", "golden.make_golden", *words], check=False)
            if ended.returncode != -signal.SIGKILL:
                raise RuntimeError(f"{words[0]} must end by SIGKILL; it ended with {ended.returncode}")
        (folder / "studies.db-shm").unlink(missing_ok=True)
        (folder / "out" / "events.jsonl").unlink(missing_ok=True)
        make_golden._pack(folder, KILLED / f"{NAME}.tar.gz")
        begun = go_on(folder)
        found = {"begun": begun, **outcome_of(folder / "studies.db")}
        report = report_of(folder / "out" / "report.json")
        kept = {"outcome": found, "report": report, "models": exported(folder)}
        make_golden._write(KILLED / f"{NAME}.json.gz", kept)


def exported(folder: Path) -> dict[str, object]:
    """Export the study's models and return what they predict, by method or configuration."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        predicted = {}
        for name in EXPORTED:
            trial = confirmed_trial(folder, name)
            export_model(NAME, folder / f"of-{name}", trial=trial, storage=f"sqlite:///{folder}/studies.db")
            predicted[name] = predictions_of(folder / f"of-{name}", folder / "model", make_golden.TEXTS)
    finally:
        os.chdir(before)
    return predicted


def confirmed_trial(folder: Path, name: str) -> int:
    """Return the number of the trial whose weights are kept of a method or configuration."""
    trials = outcome_of(folder / "studies.db")["trials"]
    confirmed = [trial for trial in trials if trial["phase"] == "confirm"]
    return int(next(trial for trial in confirmed if (trial["variant"] or trial["method"]) == name)["number"])


if __name__ == "__main__":
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    make_adapters()

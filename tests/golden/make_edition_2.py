"""Make the fixtures of edition 2: studies with a validation file, killed and complete, and one of a suite.

    PYTHONPATH=.:tests python -m golden.make_edition_2

It was run once, with the code at commit e55c8b9, which halved a validation file or dealt it into folds together with
training. It is not run again, for the reason that `make_golden` names.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from golden import make_golden
from golden.observed import HERE, go_on, outcome_of, report_of

import tiny
from unipelt_search import StudySpec
from unipelt_search.specs.suite import SuiteSpec

EDITION_2 = HERE / "edition-2"
FAULTS = {"killed": "run.evaluation.after=kill@9", "suite": "run.evaluation.after=kill@9", "halved": ""}
STUDY: dict[str, Any] = {
    "name": "given",
    "task": {"data": "data", "text": ["sentence"], "label": "label"},
    "backbone": {"model": "model"},
    "space": {"methods": ["head"], "steps": 4, "batch_size": 8, "evaluations": 2, "patience": 5},
    "budget": {"trials": 2, "seeds": 1},
    "seed": 5,
}
SUITE: dict[str, Any] = {
    **{key: STUDY[key] for key in ("backbone", "space", "budget", "seed")},
    "name": "small",
    "sizes": [32],
    "tasks": [{"name": "toy", "label": "label", "hub": {"data": "data", "text": ["sentence"]}}],
}
_SIZE = {
    "vocab_size": 80, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 16, "num_hidden_layers": 1,
}  # fmt: skip
FEW, MANY = {"train": 60, "validation": 40, "test": 20}, {"train": 60, "validation": 204, "test": 20}


def asked(kind: str) -> StudySpec:
    """Return what a study of the fixtures asks: a plain one, or that of a suite."""
    if kind == "suite":
        (study,) = SuiteSpec.model_validate(SUITE).studies()
        return study
    return StudySpec.model_validate(STUDY)


def make_edition_2() -> None:
    """Keep the studies as a kill or their end left them, and what became of them with the code of then."""
    EDITION_2.mkdir(exist_ok=True)
    for kind, fault in FAULTS.items():
        with tempfile.TemporaryDirectory(prefix="golden-") as made:
            folder = Path(made)
            _begin(folder, kind)
            if fault:
                _kill(folder, fault)
                make_golden._pack(folder, EDITION_2 / f"{kind}.tar.gz")
                begun = go_on(folder)
                make_golden._write(EDITION_2 / f"{kind}.json.gz", _found(folder, begun))
            else:
                go_on(folder)
            if kind != "suite":
                _grow(folder, kind)


def _grow(folder: Path, kind: str) -> None:
    """Keep the complete study, and what became of it with one more seed."""
    name = "complete" if kind == "killed" else kind
    (folder / "studies.db-shm").unlink(missing_ok=True)
    (folder / "out" / "events.jsonl").unlink(missing_ok=True)
    make_golden._pack(folder, EDITION_2 / f"{name}.tar.gz")
    before = report_of(folder / "out" / "report.json")
    make_golden._write(folder / "study.json", {**STUDY, "budget": {"trials": 2, "seeds": 2}})
    begun = go_on(folder)
    make_golden._write(EDITION_2 / f"{name}.json.gz", {"before": before, **_found(folder, begun)})


def _begin(folder: Path, kind: str) -> None:
    tiny.tiny_model("bert", initializer_range=0.3, **_SIZE).save_pretrained(folder / "model")
    tiny.tiny_tokenizer().save_pretrained(folder / "model")
    _write_rows(folder / "data", MANY if kind == "halved" else FEW)
    make_golden._write(folder / "study.json", asked(kind).model_dump(mode="json"))


def _write_rows(folder: Path, counts: dict[str, int]) -> None:
    folder.mkdir()
    chance = random.Random(0)
    for split, count in counts.items():
        with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["sentence", "label"])
            for number in range(count):
                third = number % 3 if number % 9 else chance.randrange(3)
                words = [f"w{20 * (number % 3) + chance.randrange(20)}" for _ in range(chance.randrange(4, 10))]
                table.writerow([" ".join([*words, f"w{number % 60}"]), f"kind {third}"])


def _kill(folder: Path, fault: str) -> None:
    for words in (["killed", str(folder), fault], ["expired", str(folder)]):
        ended = subprocess.run([sys.executable, "-m", "golden.make_golden", *words], check=False)
        if ended.returncode != -signal.SIGKILL:
            raise RuntimeError(f"{words[0]} must end by SIGKILL; it ended with {ended.returncode}")
    (folder / "studies.db-shm").unlink(missing_ok=True)
    (folder / "out" / "events.jsonl").unlink(missing_ok=True)


def _found(folder: Path, begun: list[str]) -> dict[str, Any]:
    outcome = {"begun": begun, **outcome_of(folder / "studies.db")}
    return {"outcome": outcome, "report": report_of(folder / "out" / "report.json")}


if __name__ == "__main__":
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    make_edition_2()

"""Make the golden fixtures: what release 0.1.0 computes, so that tests can tell whether later code computes the same.

    PYTHONPATH=.:tests python -m golden.make_golden

It was run once, with the code of release 0.1.0 at commit d313fb8, before the package was laid out anew. It is not run
again: fixtures that the code under test has made would prove nothing. What a later release adds gets fixtures of its
own, and what is here stays. Names in this script follow the package, so that it can be read beside it.

Trained fixtures need a machine whose single precision rounds alike; `constraints.txt` says with which versions.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import made_studies
from golden import identities
from golden.observed import (
    HASHES,
    HERE,
    KILLED,
    MADE_STUDIES,
    MODELS,
    PACKS,
    REPORTS,
    go_on,
    outcome_of,
    predictions_of,
    report_of,
    reports_of,
)
from made_record import made_record, made_trial

import tiny
from unipelt_search import export_model, failpoints
from unipelt_search.methods.catalogue import TRAINED_METHODS
from unipelt_search.records.history import RunRecord, RunState, StudyRecord, StudyState, TrialRecord
from unipelt_search.storage.store import StudyStore

OLD = tuple(sorted((HERE.parent / "databases").glob("schema-*.db")))
MADE = ("two-labels", "regression", "multi-label", "folds", "one-method", "one-run", "no-gates", "not-confirmed",
        "running", "nothing-yet", "failed")  # fmt: skip
_ADAPTER, _PREFIX = {"bottleneck": 6}, {"length": 5, "mlp": 12}
_FAST = {"learning_rate": 0.03, "dropout": 0.0}
GIVEN: tuple[dict[str, Any], ...] = (
    {"name": "of-bitfit", "method": "bitfit", "training": _FAST},
    {"name": "of-ia3", "method": "ia3", "training": _FAST},
    {"name": "of-lora", "method": "lora", "lora": {"rank": 4}, "training": _FAST},
    {"name": "of-adapter", "method": "adapter", "adapter": _ADAPTER, "training": _FAST},
    {"name": "of-parallel_adapter", "method": "parallel_adapter", "parallel_adapter": _ADAPTER, "training": _FAST},
    {"name": "of-prefix", "method": "prefix", "prefix": _PREFIX, "training": _FAST},
    {"name": "of-unipelt_apl", "method": "unipelt_apl", "adapter": _ADAPTER, "prefix": _PREFIX, "lora": {"rank": 4},
     "training": _FAST},
    {"name": "of-fine_tuning", "method": "fine_tuning", "training": {"learning_rate": 0.003, "dropout": 0.0}},
    {"name": "shifted", "method": "prefix", "prefix": {"length": 5, "mlp": None, "position_shift": True},
     "training": _FAST},
    {"name": "logit", "method": "unipelt_pl", "prefix": _PREFIX, "lora": {"rank": 4}, "training": _FAST,
     "gate": {"lora": "multiply", "prefix": "logit", "sharing": "shared", "pooling": "all_positions"}},
)  # fmt: skip
_SMALL = {"vocab_size": 80, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 32}
KINDS: dict[str, dict[str, Any]] = {
    "classification": {"family": "bert", "pooling": "native", "text": ["sentence"], "size": _SMALL},
    "regression": {
        "family": "gpt2", "pooling": "auto", "text": ["sentence", "second"],
        "size": {"vocab_size": 80, "n_embd": 32, "n_head": 4, "n_inner": 32},
    },
    "multi_label": {"family": "electra", "pooling": "mean", "text": ["sentence"], "size": _SMALL},
}  # fmt: skip
TEXTS = ["w1 w2 w3", "w50", "w22 w23 w24 w25 w26 w27 w28", "w7 w8 w9 w33", "w41 w2 w25 w59", "w0"]
PAIRS = [["w1 w2", "w3"], ["w50", "w51 w52"], ["w22 w23 w24", "w25 w26 w27"], ["w7", "w8 w33"], ["w41 w2", "w25"]]
KILLS = {
    "search": ("run.evaluation.after=kill@14",),
    "confirm": ("run.evaluation.after=kill@31", "run.evaluation.before=kill@53"),
}
_LONG_AGO = "2026-01-01 00:00:00.000000"


# ----------------------------------------------------------------------------------------------------------- reports


def make_reports() -> None:
    """Keep what the reading commands print for the old databases, and for one with a made study of every kind."""
    REPORTS.mkdir(exist_ok=True)
    _make_studies(MADE_STUDIES)
    for database, names in [(old, ("complete", "killed")) for old in OLD] + [(MADE_STUDIES, MADE)]:
        with tempfile.TemporaryDirectory() as folder:
            _write(REPORTS / f"{database.name.split('.')[0]}.json.gz", reports_of(database, names, Path(folder)))


def _make_studies(target: Path) -> None:
    records = {name: made_studies.studies()[name] for name in MADE}
    trials = []
    for number, method in enumerate(TRAINED_METHODS):
        trials += [made_trial(2 * number, method, 0.5 + 0.02 * number), made_trial(2 * number + 1, method, 0.6)]
    records["proposals"] = made_record(*trials, state=StudyState.STOPPED, phase="tune")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.db"
        store = StudyStore.open(f"sqlite:///{made}")
        for name, record in records.items():
            _store(store, record.model_copy(update={"spec": record.spec.model_copy(update={"name": name})}))
        store.close()
        with sqlite3.connect(made) as source:
            source.execute("update ups_study set created = '2026-01-02 03:04:05.000000'")
            source.commit()
            source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            source.execute("PRAGMA journal_mode=DELETE")
            source.execute("VACUUM")
        target.write_bytes(gzip.compress(made.read_bytes(), mtime=0))


def _store(store: StudyStore, record: StudyRecord) -> None:
    study = store.studies.create(record.spec, record.task, record.software, record.command)
    for trial in record.trials:
        search, *others = trial.runs or (None,)
        phase = "screen" if search is None or search.phase == "confirm" else search.phase
        run = store.runs.add_trial(study, trial.spec, phase, trial.origin, variant=trial.variant)
        _end(store, trial, run, search)
        for kept in others:
            _end(store, trial, store.runs.add(study, run.trial, kept.phase, kept.seed_index, kept.fold), kept)
    for drop in record.dropped:
        store.studies.add_dropped(study, drop)
    for sentence in record.notices:
        store.studies.add_notice(study, sentence)
    store.studies.add_seconds(study, record.wall_seconds)
    store.studies.set_state(study, record.state, record.phase)


def _end(store: StudyStore, trial: TrialRecord, run: RunRecord, kept: RunRecord | None) -> None:
    attempt = store.attempts.start(run.id, "golden")
    if kept is None:
        store.runs.fail(run.id, attempt, "The training loss must be a finite number.")
    elif kept.state is RunState.COMPLETE and kept.result is not None:
        store.runs.finish(run.id, attempt, kept.result)
    else:
        raise ValueError(f"trial {trial.number} has a run that is neither complete nor failed")


# ------------------------------------------------------------------------------------------------------------ models


def make_models() -> None:
    """Keep a small study's models: every family of methods, every kind of label, three families of backbones."""
    shutil.rmtree(MODELS, ignore_errors=True)
    for kind, asked in KINDS.items():
        with tempfile.TemporaryDirectory(prefix="golden-") as made:
            folder = Path(made)
            _save_backbone(folder / "model", asked["family"], asked["size"])
            _write_rows(folder / "rows.csv", kind, 72)
            spec = {
                "name": kind,
                "task": {"data": "rows.csv", "text": asked["text"], "label": "label", "kind": kind, "max_length": 24},
                "backbone": {"model": "model", "pooling": asked["pooling"]},
                "space": {"methods": ["head"], "steps": 60, "batch_size": 8, "evaluations": 3, "patience": 3,
                          "configurations": GIVEN},
                "budget": {"trials": 1 + len(GIVEN), "seeds": 1},
            }  # fmt: skip
            _write(folder / "study.json", spec)
            go_on(folder)
            _keep_models(folder, kind, PAIRS if len(asked["text"]) == 2 else TEXTS)


def _keep_models(folder: Path, kind: str, texts: Sequence[Any]) -> None:
    kept = MODELS / kind
    shutil.copytree(folder / "model", kept / "backbone")
    predicted = {}
    os.chdir(folder)
    for name in ["head", *(given["name"] for given in GIVEN)]:
        export_model(kind, kept / name, trial=_trial(folder, name), storage=f"sqlite:///{folder}/studies.db")
        (kept / name / "README.md").unlink()  # in words, which may change
        predicted[name] = predictions_of(kept / name, kept / "backbone", texts)
    os.chdir(HERE)
    _write(kept / "predictions.json", {"texts": texts, "models": predicted})


def _trial(folder: Path, name: str) -> int:
    found = next(t for t in outcome_of(folder / "studies.db")["trials"] if (t["variant"] or t["method"]) == name)
    return int(found["number"])


def _save_backbone(folder: Path, family: str, size: dict[str, Any]) -> None:
    # Wider than usual, so that a random model tells words apart.
    tiny.tiny_model(family, initializer_range=0.3, **size).save_pretrained(folder)
    tiny.tiny_tokenizer().save_pretrained(folder)


def _write_rows(path: Path, kind: str, count: int) -> None:
    """Write rows whose label can be read off the words, but for every seventh row."""
    chance = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["sentence", "second", "label"])
        for number in range(count):
            third = number % 3 if number % 9 else chance.randrange(3)
            words = [f"w{20 * (number % 3) + chance.randrange(20)}" for _ in range(chance.randrange(4, 10))]
            label = {
                "classification": f"kind {third}",
                "regression": str(10.0 * third + 0.5),
                "multi_label": ("blue", "red", "red|green")[third],
            }[kind]
            table.writerow([" ".join([*words, f"w{number % 60}"]), words[0], label])


# ------------------------------------------------------------------------------------------------------ killed study


def make_killed() -> None:
    """Keep a study that was killed while a run trained, twice, and what became of it."""
    shutil.rmtree(KILLED, ignore_errors=True)
    spec = {
        "name": "killed",
        "task": {"data": "rows.csv", "text": ["sentence"], "label": "label"},
        "backbone": {"model": "model"},
        "space": {"methods": ["head", "lora"], "steps": 10, "batch_size": 8, "evaluations": 5, "patience": 5,
                  "prune_gates": True, "gate_null": True,
                  "configurations": [next(given for given in GIVEN if given["name"] == "of-unipelt_apl")]},
        "budget": {"trials": 6, "seeds": 1},
        "seed": 5,
    }  # fmt: skip
    for name, faults in KILLS.items():
        with tempfile.TemporaryDirectory(prefix="golden-") as made:
            folder = Path(made)
            _save_backbone(folder / "model", "bert", _SMALL)
            _write_rows(folder / "rows.csv", "classification", 72)
            _write(folder / "study.json", spec)
            for number, fault in enumerate(faults):
                if number:
                    _empty_the_log(folder)
                for words in (["killed", str(folder), fault], ["expired", str(folder)]):
                    ended = subprocess.run([sys.executable, "-m", "golden.make_golden", *words], check=False)
                    if ended.returncode != -signal.SIGKILL:
                        raise RuntimeError(f"{words[0]} must end by SIGKILL; it ended with {ended.returncode}")
            (folder / "studies.db-shm").unlink(missing_ok=True)
            (folder / "out" / "events.jsonl").unlink(missing_ok=True)
            _pack(folder, KILLED / f"{name}.tar.gz")
            begun = go_on(folder)
            found = {"begun": begun, **outcome_of(folder / "studies.db")}
            _write(KILLED / f"{name}.json.gz", {"outcome": found, "report": report_of(folder / "out" / "report.json")})


def _pack(folder: Path, target: Path) -> None:
    """Put a folder into an archive, without owners and times."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(target, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            member = archive.gettarinfo(path, path.relative_to(folder).as_posix())
            member.uid = member.gid = member.mtime = 0
            member.uname = member.gname = ""
            with path.open("rb") if path.is_file() else nullcontext() as content:
                archive.addfile(member, content)


def _empty_the_log(folder: Path) -> None:
    """Write the whole database to its file, so that the write-ahead log of the next kill is short."""
    with closing(sqlite3.connect(folder / "studies.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def be_killed(folder: Path, faults: str) -> None:
    """Drive a study until a failpoint kills this process."""
    socket.gethostname = lambda: "host"
    failpoints.arm(faults)
    go_on(folder)


def expire(folder: Path) -> None:
    """Let the lease of the killed driver expire, whatever time a test has, and die with the write-ahead log open."""
    connection = sqlite3.connect(folder / "studies.db")
    connection.execute("update ups_attempt set lease_expires = ? where lease_expires is not null", [_LONG_AGO])
    connection.commit()
    os.kill(os.getpid(), signal.SIGKILL)


# --------------------------------------------------------------------------------------------------------------- all


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1 if path.suffix == ".json" else None, sort_keys=True, ensure_ascii=False) + "\n"
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def make_all(parts: Sequence[str]) -> None:
    """Make the parts that are asked for, or all of them."""
    if not parts or "reports" in parts:
        make_reports()
    if not parts or "models" in parts:
        make_models()
    if not parts or "killed" in parts:
        make_killed()
    if not parts or "hashes" in parts:
        _write(HASHES, identities.hashes())
    if not parts or "packs" in parts:
        _write(PACKS, {family: identities.packs_in_short(family) for family in tiny.FAMILIES})


if __name__ == "__main__":
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    match sys.argv[1:]:
        case ["killed", folder, faults]:
            be_killed(Path(folder), faults)
        case ["expired", folder]:
            expire(Path(folder))
        case parts:
            make_all(parts)

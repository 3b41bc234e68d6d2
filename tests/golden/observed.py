"""What the golden fixtures keep of the program: observed in one way when they are made and when they are compared."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import math
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from thread_executor import train_in_process

from unipelt_search import StudySpec, load_model, run_study
from unipelt_search.cli.app import main

HERE = Path(__file__).parent
REPORTS, MODELS, KILLED = (HERE / name for name in ("reports", "models", "killed"))
DIGESTS = REPORTS / "digests.json.gz"
"""Of tables and pages, made once more when they were given fewer parts to keep, by commit 1a991ea, which printed all
that release 0.1.0 had."""
MADE_STUDIES = REPORTS / "made-studies.db.gz"
HASHES, PACKS = HERE / "hashes.json", HERE / "packs.json.gz"
EXACT = 1e-9
"""Tolerance for what is computed from the same numbers in double precision."""
TRAINED = 1e-6
"""Tolerance for what is computed in single precision."""

SENTENCES = frozenset({"sentence", "notices", "reason"})
"""Keys of report.json whose values are English; they may be reworded, the numbers in them may not change."""
_QUANTILES = ("q05", "q25", "q50", "q75", "q95")
_GATE_COLUMNS = ("method", "variant", "epoch", "layer", "gate", "label", "n", "mean", "sd", "share_active",
                 "contribution", "initial_mean", "null_mean", "trial", "runs")  # fmt: skip
_NO_GATES = re.compile(r"Note: |Dropped in |\d+ trials complete|## (?!Gates of |Without a submodule)")
"""How a line begins that ends what a report says of gates and submodules."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")
_PATH = re.compile(r"sqlite:\S+")
_WIDTH = "100"


def read(path: Path) -> Any:
    """Read a JSON file, compressed or not."""
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


def unpack(database: Path, folder: Path) -> str:
    """Copy a kept database, compressed or not, into a folder; returns the copy's URL."""
    data = database.read_bytes()
    copy = folder / "studies.db"
    copy.write_bytes(gzip.decompress(data) if database.suffix == ".gz" else data)
    return f"sqlite:///{copy}"


def numbers_of(text: str) -> list[str]:
    """Return the numbers in a text, in order."""
    return _NUMBER.findall(text)


def figures_of(text: str) -> list[str]:
    """Return the measured numbers of a text, those with a fraction, each once: wording and order may change."""
    return sorted({number for number in numbers_of(text) if "." in number.strip(".")})


def digest(value: object) -> str:
    """Return 16 hexadecimal digits of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def differences(kept: Any, found: Any, tolerance: float, where: str = "") -> list[str]:
    """List where two JSON values differ.

    Args:
        kept: What the old code gave.
        found: What the present code gives. Keys of mappings that were not there yet are no difference.
        tolerance: Of numbers with a fraction, absolute for small and relative for large ones.
        where: The path to the values.

    Returns:
        One line per difference.
    """
    if isinstance(kept, float) and isinstance(found, int | float):
        near = math.isclose(kept, found, rel_tol=tolerance, abs_tol=tolerance)
        return [] if near else [f"{where}: {kept!r} → {found!r}"]
    if isinstance(kept, dict) and isinstance(found, dict):
        lines = [f"{where}.{key}: is gone" for key in kept if key not in found]
        for key in kept.keys() & found.keys():
            lines += differences(kept[key], found[key], tolerance, f"{where}.{key}")
        return sorted(lines)
    if isinstance(kept, list) and isinstance(found, list):
        lines = [] if len(kept) == len(found) else [f"{where}: {len(kept)} → {len(found)} entries"]
        for index, (old, new) in enumerate(zip(kept, found, strict=False)):
            lines += differences(old, new, tolerance, f"{where}[{index}]")
        return lines
    same = type(kept) is type(found) and kept == found
    return [] if same else [f"{where}: {kept!r} → {found!r}"]


def without_words(value: Any) -> Any:
    """Replace the English sentences of a report by the figures in them."""
    if isinstance(value, dict):
        return {
            key: figures_of(json.dumps(inner)) if key in SENTENCES else without_words(inner)
            for key, inner in value.items()
        }
    return [without_words(inner) for inner in value] if isinstance(value, list) else value


def without_pooled_quantiles(value: Any) -> Any:
    """Leave out the quantiles of gates of several runs: they were averages of the runs' and are none now."""
    if isinstance(value, dict):
        pooled = "q50" in value and value.get("runs", 1) > 1
        left = {key: inner for key, inner in value.items() if not (pooled and key in _QUANTILES)}
        return {key: without_pooled_quantiles(inner) for key, inner in left.items()}
    return [without_pooled_quantiles(inner) for inner in value] if isinstance(value, list) else value


def without_gates(text: str) -> str:
    """Leave out what a report on a terminal or in Markdown says of gates and removed submodules.

    Gates on which runs disagree, and the removal of a method's only submodule, are not shown as they were.
    """
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if re.match(r"(## )?Gates of |## Without a submodule|\w+ without a submodule", line):
            inside = True
        elif _NO_GATES.match(line):
            inside = False
        if not inside:
            kept.append(line)
    return "\n".join(kept)


# ---------------------------------------------------------------------------------------------------- the commands


@contextmanager
def _plain_terminal() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(NO_COLOR="1", COLUMNS=_WIDTH, TERM="dumb")
    for name in ("FORCE_COLOR", "UNIPELT_STORAGE"):
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def command(*words: str) -> dict[str, Any]:
    """Run one command of the program; returns its exit code and what it printed, storage URLs left out."""
    out, err = io.StringIO(), io.StringIO()
    with _plain_terminal(), redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    return {"code": code, "out": _PATH.sub("URL", out.getvalue()), "err": _PATH.sub("URL", err.getvalue())}


def reports_of(database: Path, names: Sequence[str], folder: Path) -> dict[str, Any]:
    """Observe every command that reads, on a copy of a database.

    Args:
        database: It stays as it is.
        names: The studies to look at.
        folder: An empty folder.

    Returns:
        What the commands printed, by study and by command.
    """
    url = unpack(database, folder)
    found: dict[str, Any] = {"studies": _of_text(command("studies", "--storage", url))}
    for name in names:
        study: dict[str, Any] = {"report json": _of_json(command("report", name, "--format", "json", "--storage", url))}
        for form in ("terminal", "markdown"):
            study[f"report {form}"] = _of_text(command("report", name, "--format", form, "--storage", url))
        study["report html"] = _of_page(command("report", name, "--format", "html", "--storage", url))
        for by in ("layer", "label", "epoch"):
            study[f"gates {by} json"] = _of_json(
                command("gates", name, "--by", by, "--format", "json", "--storage", url)
            )
            study[f"gates {by} csv"] = _of_csv(command("gates", name, "--by", by, "--format", "csv", "--storage", url))
        words = ("export", name, "--to", str(folder / "model"), "--storage", url)
        study["export"] = _of_text(command(*words))
        found[name] = study
    found["report of no study"] = _of_text(command("report", "absent", "--storage", url))
    return found


def _of_text(printed: dict[str, Any]) -> dict[str, Any]:
    return {"code": printed["code"], "text": printed["out"] + printed["err"]}


def _of_json(printed: dict[str, Any]) -> dict[str, Any]:
    return {"code": printed["code"], "json": json.loads(printed["out"]) if printed["out"] else None}


def _of_csv(printed: dict[str, Any]) -> dict[str, Any]:
    """Keep of a table of gates a digest, without quantiles: the JSON beside it has the numbers."""
    rows = csv.DictReader(io.StringIO(printed["out"]))
    lines = [",".join(row[column] for column in _GATE_COLUMNS) for row in rows]
    rounded = [re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.6g}", line) for line in lines]
    return {"code": printed["code"], "rows": len(rounded), "digest": digest(rounded)}


def _of_page(printed: dict[str, Any]) -> dict[str, Any]:
    """Keep of a page how many figures there are, and a digest of the numbers that its tables show; gates left out."""
    page = re.sub(r'<section aria-labelledby="(gates|ablation)">.*?</section>', "", printed["out"], flags=re.DOTALL)
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", page, re.DOTALL)
    shown = [numbers_of(re.sub(r"<[^>]*>", " ", cell)) for cell in cells]
    return {"code": printed["code"], "figures": page.count("<svg"), "digest": digest(shown)}


# -------------------------------------------------------------------------------------------------- exported models


def predictions_of(folder: Path, backbone: Path, texts: Sequence[Any]) -> dict[str, Any]:
    """Let an exported model predict.

    Args:
        folder: The model.
        backbone: Its backbone's folder.
        texts: What it predicts for.

    Returns:
        Labels, probabilities, and gates where it has some.
    """
    model = load_model(folder, backbone=str(backbone))
    texts = [tuple(text) if isinstance(text, list) else text for text in texts]
    predictions = model.predict(texts)
    found: dict[str, Any] = {
        "method": model.method,
        "labels": list(model.labels),
        "predicted": [list(p.label) if isinstance(p.label, tuple) else p.label for p in predictions],
        "probabilities": [p.probabilities for p in predictions],
        "gates": None,
    }
    if model.method.startswith("unipelt"):
        found["gates"] = json.loads(model.gates(texts).to_json(orient="records", double_precision=15))
    return found


# ----------------------------------------------------------------------------------------------------- killed study

_TIMES = frozenset({
    "created", "started", "ended", "seconds", "wall_seconds", "train_seconds", "predict_ms_per_example",
    "peak_memory_mb",
})  # fmt: skip
_LEFT_OUT = _TIMES | {"id", "study_id", "trial_id", "run_id", "optuna_trial_id", "checkpoint", "checkpoint_path",
                      "owner", "lease_expires", "sha256", "sentence", "sentence_hash", "reason", "error", "software",
                      "command"}  # fmt: skip
_OF_RUN = {
    "evaluations": "select * from ups_evaluation where run_id = ? order by step",
    "gates": "select * from ups_gate where run_id = ? order by position",
    "ablation": "select * from ups_ablation where run_id = ? order by position",
    "outcomes": "select * from ups_outcome where run_id = ? order by position",
    "predictions": "select * from ups_prediction where run_id = ? order by split",
    "attempts": "select * from ups_attempt where run_id = ? order by number",
}


def outcome_of(database: Path) -> dict[str, Any]:
    """Read all that a study's report rests on straight from the tables, times, paths and sentences left out."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        (study,) = connection.execute("select * from ups_study")
        trials = []
        for trial in connection.execute("select * from ups_trial order by number"):
            query = "select * from ups_run where trial_id = ? order by seed_index, fold"
            runs = [_run(connection, run) for run in connection.execute(query, [trial["id"]])]
            trials.append({**_plain(trial), "runs": runs})
        dropped = [_plain(row) for row in connection.execute("select * from ups_dropped order by method, phase")]
        return {"study": _plain(study), "trials": trials, "dropped": dropped}


def report_of(study_report: Path) -> Any:
    """Read a study's report.json, without sentences and whatever is measured with a clock."""
    return _without_times(without_words(read(study_report)))


def _without_times(value: Any) -> Any:
    timed = _TIMES | {"software", "command", "fastest_tie"}
    if isinstance(value, dict):
        return {key: _without_times(inner) for key, inner in value.items() if key not in timed}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


def _run(connection: sqlite3.Connection, run: sqlite3.Row) -> dict[str, Any]:
    parts = {name: [_plain(row) for row in connection.execute(query, [run["id"]])] for name, query in _OF_RUN.items()}
    return {**_plain(run), **parts}


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    return {key: _value(key, row[key]) for key in row.keys() if key not in _LEFT_OUT}


def _value(key: str, value: Any) -> Any:
    if isinstance(value, bytes):
        frame = pd.read_parquet(io.BytesIO(value))
        return {column: json.loads(frame[column].to_json(orient="values")) for column in frame}
    if isinstance(value, str) and value[:1] in {"{", "["}:
        return {k: v for k, v in json.loads(value).items() if k != "notices"} if key == "task" else json.loads(value)
    return value


def go_on(folder: Path, watch: Callable[[Any], None] | None = None) -> list[str]:
    """Run the study of a folder, or go on with it, in this process; returns the labels of the runs, as they begin.

    Args:
        folder: With `study.json`, the data and the backbone that it names; the database and all else goes there too.
        watch: Is shown how far the study is.
    """
    spec = StudySpec.model_validate(read(folder / "study.json"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        begun = train_in_process(patch)
        run_study(spec, storage=f"sqlite:///{folder}/studies.db", out=folder / "out", watch=watch)
    return begun

"""Every wrong request that was thought of: exit code 2, a few lines that say what to do, and nothing created."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import tiny
from model_folders import break_folder
from unipelt_search.cli.app import main
from unipelt_search.execution import ray_session
from unipelt_search.search.capacity import Capacity

ROWS = "text,label,stars\n" + "".join(
    f"w{i % 60} w{(7 * i) % 60} n{i},{'yes' if i % 2 else 'no'},{i}\n" for i in range(60)
)
STUDY = "task: {data: good.csv, text: [text], label: label}\nbackbone: {model: model}\n"
SUITE = """name: s
backbone: {model: model}
space: {methods: [head]}
budget: {trials: 1}
sizes: [10]
tasks: [{name: t, label: label, hub: {data: o/n, text: [text]}, local: {data: leak, text: [text], test: validation}}]
"""
DATA = ["--text", "text", "--label", "label", "--model", "model"]
NO_DATABASE = "--storage"
NO_MODEL = "config.json"
GOOD = ["run", "--data", "good.csv", *DATA]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny model with its tokenizer."""
    made = tmp_path_factory.mktemp("model")
    tiny.tiny_model("bert", hidden_size=64).save_pretrained(made)
    tiny.tiny_tokenizer().save_pretrained(made)
    return made


@pytest.fixture
def here(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with a model and with good and bad files; tables are as wide as they need."""
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / "model").symlink_to(model, target_is_directory=True)
    made: dict[str, str | bytes] = {
        "good.csv": ROWS,
        "empty.csv": "",
        "header.csv": "text,label\n",
        "one-class.csv": ROWS.replace(",no,", ",yes,"),
        "one-row.csv": "text,label\na b,yes\n",
        "few.csv": "text,label\na b,yes\nc d,no\n",
        "ragged.csv": ROWS + "too,many,fields,here\n",
        "unclosed.csv": 'text,label\n"never closed,yes\n' + ROWS.split("\n", 1)[1],
        "holes.csv": ROWS + ",yes,3\n",
        "twice.csv": ROWS.replace("text,label,stars", "text,label,label"),
        "latin.csv": "text,label\ncafé,yes\n".encode("latin-1"),
        "table.txt": ROWS,
        "zipped.csv": gzip.compress(ROWS.encode()),
        "page.csv": "<!DOCTYPE html><html><body>Sign in</body></html>",
        "lines.jsonl": json.dumps({"text": "a", "label": "yes"}) + "\n{broken\n",
        "nested.jsonl": "\n".join(json.dumps({"text": ["a"], "label": "yes"}) for _ in range(9)),
        "numbers.jsonl": "[1, 2, 3]",
        "broken.parquet": b"PAR1 not really",
        "study.yaml": STUDY,
        "typo.yaml": STUDY + "budgte: {trials: 3}\n",
        "list.yaml": "- one\n- two\n",
        "broken.yaml": "task: [unclosed\n",
        "zero.yaml": STUDY + "budget: {trials: 0, seeds: 0}\nseed: -1\n",
        "kind.yaml": STUDY + "space: {methods: lora}\n",
        "scores.csv": "text,label\n" + "".join(f"w{i} w{i % 7},{i / 7:.2f}\n" for i in range(60)),
        "sets.csv": "text,label\n" + "".join(f"w{i} w{i % 7},{'a|b' if i % 2 else 'a'}\n" for i in range(60)),
        "three.csv": "text,label\n" + "".join(f"w{i} w{i % 7},{'abc'[i % 3]}\n" for i in range(60)),
        "leak/train.csv": ROWS,
        "leak/test.csv": ROWS,
        "variant.yaml": STUDY + "space: {configurations: [{name: mine, method: lora, lora: {rnak: 4}}]}\n",
        "variant-method.yaml": STUDY + "space: {configurations: [{name: mine, method: lroa}]}\n",
        "weights.yaml": STUDY.replace("good.csv", "scores.csv").replace(
            "label: label", "label: label, class_weights: balanced"
        ),
        "strange/config.json": '{"model_type": "resnet"}',
        "coded/config.json": '{"model_type": "mine", "auto_map": {"AutoConfig": "code.Config"}}',
        "foreign/config.json": '{"format": 1}',
        "foreign/model.safetensors": b"\x10\x00",
        "hollow/readme.txt": "no model here",
        "damaged/config.json": "{",
        "halves/train.csv": ROWS,
        "halves/validaton.csv": ROWS,
        "no-train/test.csv": ROWS,
        "strangers/train.csv": ROWS,
        "strangers/test.csv": ROWS.replace(",no,", ",never seen,"),
        "suite.yaml": SUITE,
        "suite-typo.yaml": SUITE.replace("sizes:", "size:"),
        "notes.db": "this is no database\n" * 100,
        "a-file": "",
    }
    for name, content in made.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_session, "_start_local", accepted)
    return tmp_path


def accepted(capacity: Capacity) -> None:
    pytest.fail("The request was taken, and Ray was about to start.")


def run(data: str, *more: str) -> list[str]:
    return ["run", "--data", data, *DATA, *more]


# Each request with what its message must name: an option, a key, a file, a value, or what to do.
REQUESTS: dict[str, tuple[Sequence[str], str]] = {
    # words that the command line does not know
    "unknown command": (["tarin"], "'tarin'"),
    "unknown option": ([*GOOD, "--trails", "3"], "--train-size, --trials"),
    "option without a value": ([*GOOD, "--trials"], "'--trials'"),
    "no number": ([*GOOD, "--trials", "many"], "'--trials'"),
    "unknown device": ([*GOOD, "--device", "tpu"], "'tpu'"),
    "unknown metric": ([*GOOD, "--metric", "acuracy"], "'acuracy'"),
    "nothing asked": (["run"], "--data, --text, --label, --model"),
    "data alone": (["run", "--data", "good.csv"], "--text, --label, --model"),
    "three texts": ([*GOOD, "--text", "stars", "--text", "label"], "--text: "),
    # methods and budget
    "unknown method": ([*GOOD, "--methods", "head,lroa"], "Did you mean 'lora'?"),
    "no method": ([*GOOD, "--methods", ","], "--methods"),
    "method twice": ([*GOOD, "--methods", "head,head"], "--methods"),
    "majority asked": ([*GOOD, "--methods", "majority"], "'majority'"),
    "fewer trials than methods": ([*GOOD, "--methods", "head,lora", "--trials", "1"], "(head, lora)"),
    "no trials": ([*GOOD, "--trials", "0"], "--trials: "),
    "no seeds": ([*GOOD, "--seeds", "0"], "--seeds: "),
    "too many seeds": ([*GOOD, "--seeds", "1000"], "got 1000"),
    "negative seed": ([*GOOD, "--seed", "-1"], "--seed: "),
    "huge seed": ([*GOOD, "--seed", str(2**70)], "--seed: "),
    "time without a unit": ([*GOOD, "--time", "30"], "30m"),
    "no time": ([*GOOD, "--time", "0s"], "'0s'"),
    "train size of nothing": ([*GOOD, "--train-size", "0"], "--train-size: "),
    "train size beyond the rows": ([*GOOD, "--train-size", "5000"], "5000"),
    "nothing to redraw": ([*GOOD, "--redraw"], "task.redraw"),
    "unknown allocation": ([*GOOD, "--allocation", "fair"], "'fair'"),
    "no parameters": ([*GOOD, "--max-parameters", "0"], "--max-parameters: "),
    "room for no method": ([*GOOD, "--max-parameters", "9"], "130"),
    "no latency": ([*GOOD, "--max-latency-ms", "0"], "--max-latency-ms: "),
    # names
    "name with a path": ([*GOOD, "--name", "../up"], "--name: "),
    "name with a space": ([*GOOD, "--name", "my study"], "--name: "),
    "empty name": ([*GOOD, "--name", ""], "--name: "),
    "long name": ([*GOOD, "--name", "x" * 300], "--name: "),
    "name with markup": ([*GOOD, "--name", "<img src=x>"], "--name: "),
    # columns
    "label typo": (["run", "--data", "good.csv", "--text", "text", "--label", "lable", "--model", "model"],
                   "Did you mean 'label'?"),
    "text typo": (["run", "--data", "good.csv", "--text", "txet", "--label", "label", "--model", "model"],
                  "Did you mean 'text'?"),
    "text is label": (["run", "--data", "good.csv", "--text", "label", "--label", "label", "--model", "model"],
                      "--text and --label"),
    "text twice": ([*GOOD, "--text", "text"], "--text and --label"),
    "column twice": (run("twice.csv"), "twice.csv"),
    # data
    "file that is not there": (run("god.csv"), "Did you mean 'good.csv'?"),
    "folder that is not there": (run("nowhere/at/all.csv"), "'nowhere/at/all.csv'"),
    "no such hub dataset": (run("someone/nothing"), "HF_HUB_OFFLINE"),
    "empty file": (run("empty.csv"), "empty.csv"),
    "header alone": (run("header.csv"), "header.csv"),
    "one class": (run("one-class.csv"), "'yes'"),
    "one row": (run("one-row.csv"), "'yes'"),
    "too few rows": (run("few.csv"), "Splitting rows off must leave training rows"),
    "ragged": (run("ragged.csv"), "line 62"),
    "unclosed quote": (run("unclosed.csv"), "line 2"),
    "empty cell": (run("holes.csv"), "line 62"),
    "latin-1": (run("latin.csv"), "UTF-8"),
    "unknown ending": (run("table.txt"), ".csv, .tsv"),
    "gzip": (run("zipped.csv"), "train.csv.gz"),
    "a web page": (run("page.csv"), "page.csv"),
    "broken line": (run("lines.jsonl"), "line 2"),
    "nested cells": (run("nested.jsonl"), "line 1"),
    "no objects": (run("numbers.jsonl"), "row 1"),
    "broken parquet": (run("broken.parquet"), "broken.parquet"),
    "a pipe": (run("pipe.csv"), "pipe.csv"),
    "a link to itself": (run("loop.csv"), "loop.csv"),
    "split name typo": (run("halves"), "Did you mean 'validation'?"),
    "folder without train": (run("no-train"), "test.csv"),
    "folder without data": (run("hollow"), "readme.txt"),
    "label only in test": (run("strangers"), "'never seen'"),
    # models
    "no such model": (["run", "--data", "good.csv", "--text", "text", "--label", "label", "--model", "bert-bsae"],
                      "HF_HUB_OFFLINE"),
    "folder without a model": ([*GOOD, "--model", "hollow"], "'hollow'"),
    "damaged model": ([*GOOD, "--model", "damaged"], "config.json of 'damaged'"),
    "model is a file": ([*GOOD, "--model", "good.csv"], "'good.csv'"),
    "a model for pictures": ([*GOOD, "--model", "strange"], "'resnet'"),
    "a model with code": ([*GOOD, "--model", "coded"], "'coded'"),
    # what a label is
    "a metric of classes for numbers": (run("scores.csv", "--metric", "accuracy"), "spearman"),
    "a metric of numbers for classes": (run("good.csv", "--metric", "r2"), "accuracy"),
    "a metric of classes for sets": (run("sets.csv", "--metric", "accuracy"), "micro_f1"),
    "f1 of three labels": (run("three.csv", "--metric", "f1"), "accuracy, macro_f1, matthews"),
    "class weights for numbers": (["run", "weights.yaml"], "task.class_weights"),
    "test rows that are training rows": (run("leak"), "--allow-overlap"),
    # study files
    "no study file": (["run", "nothing.yaml"], "'nothing.yaml'"),
    "study file is a folder": (["run", "model"], "'model'"),
    "unknown key": (["run", "typo.yaml"], "Did you mean 'budget'?"),
    "study file is a list": (["run", "list.yaml"], "list.yaml"),
    "broken YAML": (["run", "broken.yaml"], "broken.yaml"),
    "three faults": (["run", "zero.yaml"], "--seeds"),
    "unknown key of a configuration": (["run", "variant.yaml"], "Did you mean 'rank'?"),
    "unknown method of a configuration": (["run", "variant-method.yaml"], "Did you mean 'lora'?"),
    "methods no list": (["run", "kind.yaml"], "--methods: "),
    # suites
    "no suite file": (["suite"], "'SUITE.yaml'"),
    "suite file that is not there": (["suite", "nothing.yaml"], "'nothing.yaml'"),
    "unknown key of a suite": (["suite", "suite-typo.yaml"], "Did you mean 'sizes'?"),
    "unknown task of a suite": (["suite", "suite.yaml", "--tasks", "x"], "'x'"),
    "unknown size of a suite": (["suite", "suite.yaml", "--sizes", "11"], "11"),
    "suite without local copies": (["suite", "suite.yaml", "--data-root", "model"], "t (leak)"),
    "suite of a hub that is off": (["suite", "suite.yaml", "--quiet"], "HF_HUB_OFFLINE"),
    "suite without a validation split": (["suite", "suite.yaml", "--quiet", "--data-root", "."],
                                         "train, test"),
    "report of no page": (["suite", "suite.yaml", "--report", "nothing.md"], "'nothing.md'"),
    "report of a suite without a database": (["suite", "suite.yaml", "--report", "a-file", "--storage", "sqlite:///no.db"],
                                         NO_DATABASE),
    # machine and places
    "too many cores": ([*GOOD, "--cpus-per-trial", "1000"], "1000"),
    "negative cores": ([*GOOD, "--cpus-per-trial", "-1"], "--cpus-per-trial: "),
    "no workers": ([*GOOD, "--concurrency", "0"], "--concurrency: "),
    "out is a file": ([*GOOD, "--out", "a-file"], "'a-file'"),
    "storage is no URL": ([*GOOD, "--storage", "studies"], "sqlite:///studies/studies.db"),
    "storage in memory": ([*GOOD, "--storage", "sqlite://"], "sqlite://."),
    "unknown database": ([*GOOD, "--storage", "oracle://host/db"], "'oracle'"),
    "storage is another file": ([*GOOD, "--storage", "sqlite:///notes.db"], "notes.db"),
    "storage below a file": ([*GOOD, "--storage", "sqlite:///a-file/x.db"], "a-file"),
    # studies
    "report of nothing": (["report", "absent", "--storage", "sqlite:///absent.db"], NO_DATABASE),
    "gates of nothing": (["gates", "absent", "--storage", "sqlite:///absent.db"], NO_DATABASE),
    "resume of nothing": (["resume", "absent", "--storage", "sqlite:///absent.db"], NO_DATABASE),
    "delete of nothing": (["delete", "absent", "--yes", "--storage", "sqlite:///absent.db"], NO_DATABASE),
    "export of nothing": (["export", "absent", "--to", "out", "--storage", "sqlite:///absent.db"], NO_DATABASE),
    "export nowhere": (["export", "absent"], "'--to'"),
    "predict with nothing": (["predict", "nowhere", "--data", "good.csv"], "'nowhere'"),
    "predict with a stranger's folder": (["predict", "foreign", "--data", "good.csv"], NO_MODEL),
    "predict with a Hugging Face folder": (["predict", "model", "--data", "good.csv"], NO_MODEL),
    "unknown report format": (["report", "absent", "--format", "pdf"], "'pdf'"),
    "unknown grouping": (["gates", "absent", "--by", "head"], "'head'"),
}  # fmt: skip
ON_A_CPU = {
    "no GPU": ([*GOOD, "--device", "cuda"], "--device cpu"),
    "fraction of no GPU": ([*GOOD, "--gpus-per-trial", "0.5"], "--gpus-per-trial"),
}


def assert_refused(words: Sequence[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(here.rglob("*"))
    capsys.readouterr()
    code = main(words)
    out, err = capsys.readouterr()
    assert code == 2, err
    assert message in err
    # The stages before it, and what they read, have lines of their own.
    said = err[err.index("unipelt-search: ") :].splitlines()
    is_table = "────" in err  # of columns, or of what was found in rows
    assert len(said) <= (20 if is_table else 4), err
    assert "Traceback" not in err
    assert out == ""
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_wrong_request_is_refused(request_: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(*REQUESTS[request_], here, capsys)


@pytest.mark.parametrize("request_", ON_A_CPU)
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU, so the request is right")
def test_a_request_beyond_the_machine_is_refused(request_: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(*ON_A_CPU[request_], here, capsys)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no tokenizer", "tokenizer.save_pretrained"),
        ("half a download", "Download it again"),
        ("hostile .bin", "nothing of it was run"),
        ("GPTQ", "(gptq)"),
    ],
)
def test_a_broken_model_is_refused(kind: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_folder(here / "model", here / "broken", kind)
    assert_refused([*GOOD, "--model", "broken"], message, here, capsys)

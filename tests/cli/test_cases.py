"""Awkward tables that people reported for other tools: `run --dry-run` reads each rightly or refuses it.

The tables are beside the repository, in ``../shared/cases/data``; their README says what is right for each. Here are
their names and what is right, and none of their rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

import tiny
from unipelt_search.cli.app import main
from unipelt_search.exporting.table_source import file_pieces, survey_tables, texts_of

CASES = Path(__file__).parents[2].parent / "shared" / "cases" / "data"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"the awkward tables are not in {CASES}")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
Plan = Mapping[str, Any]


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny model that reads any English text, a token for each character."""
    folder = tmp_path_factory.mktemp("characters")
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *map(chr, range(33, 127))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    tiny.tiny_model("bert", vocab_size=len(vocabulary)).save_pretrained(folder)
    return folder


def dry_run(model: Path, folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Plan | None, str]:
    """Plan a study of one method; return the plan, or None where it is refused, and what stderr says."""
    capsys.readouterr()
    storage = f"sqlite:///{folder / 'studies.db'}"
    limits = ["--methods", "lora", "--trials", "1", "--seeds", "2"]
    code = main(["run", "--dry-run", "--json", "--model", str(model), "--storage", storage, *limits, *words])
    out, err = capsys.readouterr()
    assert list(folder.iterdir()) == []
    assert code == (0 if out else 2), err
    return (json.loads(out) if out else None), err


def told(plan: Plan, code: str) -> list[Mapping[str, Any]]:
    """Return the values of the plan's notices of a code."""
    return [notice["values"] for notice in (*plan["data"], *plan["notices"]) if notice["code"] == code]


def rows_read(plan: Plan) -> dict[str, int]:
    return {values["source"]: values["rows"] for values in told(plan, "rows_read")}


READ = [
    ("01_stray_quotes.tsv", ["label"], "classification", ["neg", "pos"], 120),
    ("03_one_hot_columns.csv", ["price", "service", "taste"], "multi_label", ["price", "service", "taste"], 80),
    ("04_decimal_comma.csv", ["score"], "regression", [], 100),
    ("08_hate_normal.csv", ["label"], "classification", ["hate", "normal"], 120),
    ("09_decimal.parquet", ["score"], "regression", [], 60),
    ("09_lists.parquet", ["labels"], "multi_label", ["a", "b"], 60),
    ("09_other_columns.parquet", ["label"], "classification", ["no", "yes"], 60),
    ("11_rows.jsonl.gz", ["label"], "classification", ["0", "1"], 60),
    ("12_sep_line.csv", ["label"], "classification", ["a", "b"], 60),
    ("16_columns.json", ["label"], "classification", ["0", "1"], 40),
    ("16_wrapped.json", ["label"], "classification", ["0", "1"], 40),
    ("17_parts", ["label"], "classification", ["0", "1"], 60),
    ("19_comma_sets.csv", ["labels"], "multi_label", ["anger", "fear", "joy", "love"], 100),
    ("20_weights.csv", ["label"], "classification", ["0", "1"], 80),
    ("25_list_strings.csv", ["label"], "multi_label", ["a", "b"], 60),
]


@pytest.mark.parametrize(("name", "label", "kind", "labels", "rows"), READ, ids=[case[0] for case in READ])
def test_a_table_is_read_as_it_was_meant(
    characters: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    label: list[str],
    kind: str,
    labels: list[str],
    rows: int,
) -> None:
    options = [word for column in label for word in ("--label", column)]
    plan, err = dry_run(characters, tmp_path, capsys, "--data", str(CASES / name), "--text", "text", *options)
    assert plan is not None, err
    task = plan["task"]
    assert (task["kind"], task["labels"]) == (kind, labels)
    assert sum(rows_read(plan).values()) == rows
    own = [task["rows"][split] for split in ("train", "validation", "test")]
    assert sum(own) == rows


def test_quotes_in_a_text_lose_no_row() -> None:
    pieces = file_pieces([CASES / "01_stray_quotes.tsv"])
    assert survey_tables(pieces(["text"]), ["text"]).rows == 120
    (table,) = pieces(["text"])
    assert [location.number for location in table.locations] == list(range(2, 122))
    texts = [text for (text,) in texts_of(table, ["text"])]
    assert any(text.startswith('"') for text in texts)
    assert not any("\n" in text or "\t" in text for text in texts)


def test_the_plan_says_how_labels_were_read(
    characters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan_of(name: str, *labels: str) -> Plan:
        options = [word for column in labels for word in ("--label", column)]
        plan, err = dry_run(characters, tmp_path, capsys, "--data", str(CASES / name), "--text", "text", *options)
        assert plan is not None, err
        return plan

    (columns,) = told(plan_of("03_one_hot_columns.csv", "price", "service", "taste"), "label_sets")
    assert (columns["form"], columns["empty"] > 0) == ("columns", True)
    (numbers,) = told(plan_of("04_decimal_comma.csv", "score"), "label_numbers")
    assert numbers["decimal"] == ","
    assert dict(zip(numbers["samples"], numbers["numbers"], strict=True))["3,11"] == 3.11
    (separated,) = told(plan_of("19_comma_sets.csv", "labels"), "label_sets")
    assert (separated["form"], separated["separator"]) == ("separator", ",")
    (listed,) = told(plan_of("25_list_strings.csv", "label"), "label_sets")
    assert listed["form"] == "list_text"


def test_a_test_file_without_labels_is_left_out_and_told(
    characters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(CASES / "05_kaggle"), "--text", "text", "--label", "target"]
    plan, err = dry_run(characters, tmp_path, capsys, *words)
    assert plan is not None, err
    assert [values["source"] for values in told(plan, "labels_absent")] == ["test.csv"]
    assert [values["file"] for values in told(plan, "submission_ignored")] == ["sample_submission.csv"]
    assert "sample_submission.csv" not in rows_read(plan)


def test_a_validation_file_decides_alone(characters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(CASES / "07_weak_labels"), "--text", "text", "--label", "label"]
    plan, err = dry_run(characters, tmp_path, capsys, *words)
    assert plan is not None, err
    assert rows_read(plan) == {"train.csv": 300, "validation.csv": 100, "test.csv": 100}
    rows = plan["task"]["rows"]
    assert (rows["validation"], rows["select"], rows["test"]) == (100, 100, 100)
    assert rows["train"] + rows["tune"] == 300
    assert plan["task"]["folds"] == 0


def test_the_positive_class_can_be_named(characters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(CASES / "08_hate_normal.csv"), "--text", "text", "--label", "label", "--metric", "f1"]
    plan, err = dry_run(characters, tmp_path, capsys, *words)
    assert plan is not None, err
    assert [values["label"] for values in told(plan, "positive_label")] == ["normal"]
    plan, err = dry_run(characters, tmp_path, capsys, *words, "--positive", "hate")
    assert plan is not None, err
    assert plan["task"]["metric"] == "f1"
    assert not told(plan, "positive_label") or told(plan, "positive_label")[0]["label"] == "hate"


def test_lists_in_one_split_are_lists_in_all(
    characters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(CASES / "26_lists_test_without_pairs"), "--text", "text", "--label", "label"]
    plan, err = dry_run(characters, tmp_path, capsys, *words)
    assert plan is not None, err
    assert plan["task"]["kind"] == "multi_label"
    assert rows_read(plan) == {"train.jsonl": 60, "test.jsonl": 20}
    assert plan["task"]["rows"]["test"] == 20


def test_rows_can_have_weights(characters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(CASES / "20_weights.csv"), "--text", "text", "--label", "label", "--weight", "weight"]
    for further in ((), ("--weight-metric",)):
        plan, err = dry_run(characters, tmp_path, capsys, *words, *further)
        assert plan is not None, err


@pytest.mark.parametrize(
    ("name", "text", "label", "says"),
    [
        ("14_swapped.csv", "label", "text", ("14_swapped.csv", "'text'", "line 2", "--text and --label swapped?")),
        ("24_whole_prices.csv", "text", "label", ("24_whole_prices.csv", "'label'", "line 2", "--kind regression")),
    ],
)
def test_a_label_that_cannot_be_meant_is_refused_in_a_sentence(
    characters: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    label: str,
    says: tuple[str, ...],
) -> None:
    plan, err = dry_run(characters, tmp_path, capsys, "--data", str(CASES / name), "--text", text, "--label", label)
    assert plan is None
    assert len(err.splitlines()) == 1
    assert [part for part in says if part not in err] == []


def test_every_table_has_its_case() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in CASES.iterdir() if path.name != "README.md" and path.name not in source] == []

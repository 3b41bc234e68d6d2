"""Notices in English: every code that the package gives has a sentence, and the sentences say what they should."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import unipelt_search
from unipelt_search.kinds.label_kind import label_kinds
from unipelt_search.records.notice import Notice, first_values
from unipelt_search.reporting.notice_sentences import SENTENCES, described, notice_sentence

PACKAGE = Path(unipelt_search.__file__).parent
OLDER = {"legacy", "file_labels_withheld", "split_labels_withheld"}
"""Codes that older versions stored."""


def codes_in(tree: ast.AST) -> set[str]:
    """Return the codes of the notices that a module makes; one that is chosen gives all that it may be."""
    made = [
        keyword.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Notice"
        for keyword in call.keywords
        if keyword.arg == "code"
    ]
    parts = [part for value in made for part in ast.walk(value)]
    codes = {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    # A kind of task names the code of the notice that it was recognised.
    of_kinds = any(isinstance(part, ast.Attribute) and part.attr == "notice" for part in parts)
    return codes | ({kind.notice for kind in label_kinds().values() if kind.notice} if of_kinds else set())


def produced() -> dict[str, set[str]]:
    modules = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "reporting"]
    return {path.name: codes_in(ast.parse(path.read_text(encoding="utf-8"))) for path in modules}


def test_every_code_that_the_package_gives_has_a_sentence_and_no_other_one_has() -> None:
    codes = set.union(*produced().values())
    assert len(codes) > 30
    # The module of a kind has the sentence for that it was recognised.
    of_kinds = {kind.notice for kind in label_kinds().values() if kind.notice}
    assert (codes - of_kinds) | OLDER == set(SENTENCES)


def test_no_code_of_a_notice_is_made_from_something_that_cannot_be_found() -> None:
    for path in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Notice":
                assert path.parent.name == "reporting" or codes_in(call), f"{path}:{call.lineno}"


LABELS = first_values("labels", ("a", "b"))
FORM = {"column": "y", "form": "cells", "separator": None, "samples": ("0.5", "1234.5")}
NOTATION = {"numbers": (0.5, 1234.5), "low": 0.5, "high": 1234.5, "decimal": ".", "thousands": "", "percent": False}
SETS = {"separator": ";", "rows": 9, "empty": 1, "one_each": True, **first_values("never", ["z"])}
FOLDS = {"rows": 20, "fewer_than": 200, "folds": 5, "select": 80}
LINES = {"lines": 1205, "header": 1, "comments": 0, "blank": 4, "continued": 0, "broken": 0}
SAID = [
    ("weights_read", {"data": "d", "column": "w", "low": 0.5, "high": 5.0, "mean": 2.0}, "Weight w: 0.5 to 5, 2 in"),
    ("legacy", {"sentence": "As it was."}, "As it was."),
    ("files_without_split", {"data": "mine", **first_values("files", "abcdefg")}, "a, b, c, d, e and 2 more;"),
    ("rows_read", {"source": "a.csv", "rows": 1200, **LINES}, "1,200 rows of 1,205 lines of a.csv (not rows:"),
    ("rows_read", {"source": "a.parquet", "rows": 12, **LINES, "lines": None}, "Read 12 rows of a.parquet."),
    ("quotes_are_text", {"file": "a.tsv", "swallowed": 44}, "as marks around fields they would hide 44 lines"),
    ("quotes_are_text", {"file": "a.tsv", "swallowed": 0}, "Quotes in a.tsv are read as characters of the texts, one"),
    ("quotes_after_backslash", {"file": "a.csv"}, "the quoted fields of a.csv have a backslash"),
    ("submission_ignored", {"data": "mine", "file": "sample_submission.csv"}, "sample_submission.csv; it is a form"),
    ("labels_withheld", {"data": "mine", "source": "test.csv"}, "test.csv; its labels are not public."),
    ("file_labels_withheld", {"data": "mine", "file": "test.csv"}, "test.csv; its labels are not public."),
    ("split_twice", {"data": "o/n", "split": "dev", "kept": "validation"}, "dev; there is another validation"),
    ("empty_texts", {"data": "o/n", "split": "train", **first_values("rows", (2, 4))}, "train, row 2, 4; a text"),
    ("labels_absent", {"data": "m", "source": "test.csv", "column": "y", "empty": False}, "it has no column 'y',"),
    ("labels_absent", {"data": "m", "source": "test.csv", "column": "y", "empty": True}, "column 'y' is empty,"),
    ("label_names", {**FORM, **LABELS, "kept": None}, "Label y: 2 names: a, b."),
    ("label_names", {**FORM, **first_values("labels", ["a, b"]), "kept": ","}, "names: 'a, b'; ',' is part of a name"),
    ("label_numbers", {**FORM, **NOTATION}, "0.5 to 1234.5, for example 0.5, 1234.5."),
    (
        "label_numbers",
        {**FORM, **NOTATION, "samples": ("0,5", "1.234,5"), "decimal": ",", "thousands": ".", "percent": True},
        "with a decimal comma and a point between thousands and a percent sign, in percent, for example 0,5 is 0.5",
    ),
    ("label_sets", {**FORM, **LABELS, **SETS}, "Label y: sets of 2 names with ';' between names: a, b; for example"),
    ("label_sets", {**FORM, **LABELS, **SETS}, "1 of 9 rows have none; no row has z, left out; every row has exactly"),
    ("label_sets", {**FORM, **LABELS, **SETS, "separator": None, "form": "vectors"}, "2 names in 0/1 vectors: a, b;"),
    ("rows_have_sets", {"form": "separator", "separator": ","}, "Rows have sets of labels with ',' between the names;"),
    ("rows_have_sets", {"form": "lists", "separator": None}, "Rows have sets of labels in lists;"),
    ("labels_are_sets", {"separator": "|"}, "Labels hold '|' between names, so a row has a set of labels;"),
    ("labels_are_numbers", {}, "Every label is a number and some have fractions, so numbers are predicted; task"),
    ("glue_metric", {"metric": "f1", "dataset": "mrpc"}, "The metric is f1, which GLUE uses for mrpc;"),
    ("positive_named", {"label": "no", "metric": "F1"}, "F1 is that of the label 'no', as --positive says."),
    ("positive_label", {"label": "yes"}, "F1 is that of the label 'yes'"),
    ("positive_label", {"label": "yes", "metric": "ROC AUC"}, "ROC AUC is that of the label 'yes'"),
    ("validation_is_test", {"data": "x", "test_unused": True}, "is the test split; its own test split is not used."),
    ("validation_is_test", {"data": "x", "test_unused": False}, "The validation split of x is the test split."),
    ("labels_without_rows", {**LABELS, "of": 4, "rows": 3}, "2 of 4 labels have no row among the 3 training rows:"),
    ("labels_without_test_rows", {**LABELS, "of": 4, "rows": 3}, "have no row among the 3 test rows, and no score"),
    ("rare_labels", {**LABELS, "fewer_than": 5}, "Fewer than 5 training rows have the label: a, b."),
    (
        "possible_typos",
        {"labels": ("x",), "label_rows": (1,), "similar": ("X",), "similar_rows": (9,), "labels_count": 3},
        "Labels may be misspelt: 'x' (1 rows) looks like 'X' (9 rows) and 2 more.",
    ),
    ("test_rows_in_validation", {"count": 2, "rows": 4}, "2 of 4 test rows are among the validation rows"),
    ("overlap", {"split": "test", "count": 2, "rows": 4}, "2 of 4 test texts (50.0%) are among the training"),
    ("few_validation_rows", {"rows": 10, "fewer_than": 200}, "Validation has 10 rows, fewer than 200: they"),
    ("few_validation_rows_folds", {**FOLDS, "fewest_trained": 57, "most_trained": 57}, "each trained on 57 rows of"),
    ("few_validation_rows_folds", {**FOLDS, "fewest_trained": 56, "most_trained": 57}, "trained on 56 to 57 rows"),
    ("folds_asked", {**FOLDS, "fewest_trained": 57, "most_trained": 57}, "As --folds always asks, confirm runs are"),
    ("few_deciding_rows", {"rows": 80, "detectable": 0.1234}, "a difference in accuracy of about 0.12"),
    ("few_deciding_rows", {"rows": 80, "detectable": None}, "would show smaller differences"),
    (
        "tune_split_off",
        {"count": 20, "of": 100, "left": 80, "validation": 60},
        "All 60 validation rows decide, and nothing else does: 20 of the 100 training rows choose",
    ),
    ("rows_left_out", {"split": "test", "count": 3, "of": 60}, "3 of 60 rows have no job:"),
    (
        "shared_groups",
        {"split": "test", "count": 2, "rows": 40, "column": "user"},
        "2 of 40 test rows (5.0%) have a group in 'user' that training rows have too.",
    ),
    (
        "times_out_of_order",
        {"split": "validation", "count": 2, "rows": 40, "column": "day"},
        "2 of 40 validation rows (5.0%) are earlier in 'day' than a training row.",
    ),
    ("rows_cut", {"share": 0.25}, "25.0% of the rows are longer"),
    ("tokens_unknown", {"share": 0.25}, "25.0% of the tokens are unknown"),
    ("few_tokens", {"tokens": 30521, "embeddings": 50000}, "has 30,521 tokens for 50,000 embeddings;"),
    ("tokens_without_embedding", {"tokens": ("<a>", "<b>")}, "no embedding for <a>, <b>,"),
    ("pooling_unknown", {"declared": "attention", "used": "native"}, "declares the pooling attention,"),
    ("pooling_unfit", {"declared": "cls", "used": "last"}, "does not fit the model; last is used."),
    ("modules_unused", {"modules": ("Dense", "LayerNorm")}, "not used: Dense, LayerNorm."),
    ("attaches_to_some_layers", {"method": "lora", "reached": 2, "layers": 8}, "lora attaches to 2 of 8 layers"),
    (
        "fewer_positions",
        {"model": "m", "tokens": 64, "asked": 128, "share": 0.25},
        "m takes at most 64 tokens, fewer than task.max_length, 128: 25.0% of the rows",
    ),
    (
        "method_left_out",
        {"method": "lora", "reason": "too_slow", "milliseconds": 4.0, "limit": 2.0},
        "lora was left out: A row took it 4.00 ms, far more than --max-latency-ms, 2.",
    ),
    ("method_left_out", {"method": "lora", "reason": "cannot_attach", "cause": "No."}, "lora was left out: No."),
    ("too_large", {"stored": 12345, "limit": 1500}, "store 12,345 numbers, more than --max-parameters, 1,500."),
    (
        "less_plausible",
        {
            "score": 0.6, "gap": 0.2, "leader": "lora", "top": 0.8, "standard_errors": 2.0, "error": 0.0447,
            "rows": 200,
        },
        "0.600, lies 0.200 below lora's 0.800, more than 2 standard errors (0.045 each, 200 tune rows).",
    ),
    ("time_limit_short", {"limit": 60.0, "estimate": 248.75}, "of 1 min is shorter than the estimate of 4 min 09 s"),
    ("time_limit_unconfirmed", {"limit": 45.0, "methods": ("lora", "head")}, "left no time to confirm lora, head."),
    ("time_limit_seeds", {"limit": 45.0, "done": 1, "of": 9, "folds": 0}, "allowed 1 of 9 seeds of each finalist."),
    ("time_limit_seeds", {"limit": 45.0, "done": 1, "of": 9, "folds": 5}, "allowed 1 of 9 repeats of 5 folds of each"),
    (
        "probabilities_of_best",
        {"megabytes": 84, "limit": 50, "methods": ("lora", "head")},
        "kept of lora, head only: those of all confirmed methods take 84 MB, more than 50 MB.",
    ),
    ("probabilities_needed", {"megabytes": 84, "limit": 50, "metric": "log_loss"}, "take 84 MB, more than 50 MB, and"),
    ("run_again_halved", {"run": "trial 0 head (screen)", "cause": "CUDA"}, "trial 0 head (screen) is done again"),
    ("checkpoint_not_written", {"megabytes": 12.04, "folder": "/x", "cause": "full"}, "12.0 MB could not be written"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "values", "part"), SAID)
def test_a_sentence_has_the_values_of_its_notice(code: str, values: dict, part: str) -> None:
    notice = Notice(code=code, values=values)
    assert part in notice_sentence(notice)
    assert notice_sentence(Notice.model_validate_json(notice.model_dump_json())) == notice_sentence(notice)


def test_a_code_of_a_newer_version_is_named_with_its_values() -> None:
    assert "moon_phase" in notice_sentence(Notice(code="moon_phase"))
    assert '{"day": 3}' in notice_sentence(Notice(code="moon_phase", values={"day": 3}))


def test_a_sentence_that_is_said_twice_is_listed_once_with_its_code() -> None:
    one, two = Notice(code="rows_cut", values={"share": 0.1}), Notice.model_validate("Old.")
    assert list(described((one, two, one)).values()) == ["rows_cut", "legacy"]


def test_every_reason_to_leave_out_a_row_is_said_in_words() -> None:
    reasons = set()
    for name in ("findings.py", "row_times.py"):
        for call in ast.walk(ast.parse((PACKAGE / "tasks" / name).read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Problem":
                reasons.add(ast.literal_eval(call.args[0]))
    assert len(reasons) >= 7
    values = {"split": "train", "count": 9, "of": 99, "reasons": tuple(reasons), "reason_rows": (1,) * len(reasons)}
    sentence = notice_sentence(Notice(code="rows_dropped", values=values))
    assert not [reason for reason in reasons if reason in sentence]


def test_merged_labels_are_listed_with_what_they_are_read_as() -> None:
    values = {"labels": ("Yes", "yess"), "label_rows": (2, 1), "read_as": ("yes", "yes"), "labels_count": 9}
    sentence = notice_sentence(Notice(code="labels_merged", values=values))
    assert all(part in sentence for part in ("'Yes' (2 rows) as 'yes'", "'yess' (1 rows) as 'yes'", "7 more"))

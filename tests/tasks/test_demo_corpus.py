from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks import demo_corpus
from unipelt_search.tasks.demo_corpus import DEMO_SPEC, SOURCES, demo_task, read_sentences, sentences_of
from unipelt_search.tasks.load import load_task

NAMES = re.compile(r"torch|\btransformers\b|pandas|alchemy|optuna|\bray\b|hugging ?face|rllib", re.IGNORECASE)


@pytest.fixture(scope="module")
def sentences() -> dict[str, tuple[str, ...]]:
    return read_sentences()


def cut(docstring: str) -> list[str]:
    return list(sentences_of(docstring))


def test_each_package_has_enough_sentences(sentences: dict[str, tuple[str, ...]]) -> None:
    assert tuple(sentences) == tuple(SOURCES)
    assert min(map(len, sentences.values())) >= 200


def test_sentences_are_prose_without_the_packages_names(sentences: dict[str, tuple[str, ...]]) -> None:
    for sentence in (sentence for found in sentences.values() for sentence in found):
        assert not NAMES.search(sentence)
        assert 8 <= len(sentence.split()) <= 40
        assert sentence.endswith(".")
        assert not re.search(r"[`=<>{}_\\]|>>>|https?:|\[(?!PKG\])", sentence)


def test_no_sentence_has_two_packages(sentences: dict[str, tuple[str, ...]]) -> None:
    times = Counter(sentence.casefold() for found in sentences.values() for sentence in found)
    assert set(times.values()) == {1}


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch, sentences: dict[str, tuple[str, ...]]) -> None:
    monkeypatch.setattr(demo_corpus, "read_sentences", lambda: sentences)


@pytest.mark.usefixtures("read_once")
def test_the_task_is_balanced_and_its_rows_are_all_different() -> None:
    task = demo_task(0)
    assert task.labels == ("optuna", "pandas", "ray", "sqlalchemy", "torch", "transformers")
    parts = (task.train, task.tune, task.select, task.test)
    assert [len(part) for part in parts] == [200, 200, 200, 400]
    for part in parts:
        counts = Counter(part.labels)
        assert max(counts.values()) - min(counts.values()) <= 1
    texts = [text for part in parts for text in part.texts]
    assert len(set(texts)) == len(texts) == 1000
    assert task.notices == ()
    assert task == load_task(DEMO_SPEC, 0)
    assert task.fingerprint != demo_task(1).fingerprint


def test_sentences_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "import unipelt_search.tasks.demo_corpus as demo;"
        "demo.SOURCES = {'optuna': ('samplers',), 'ray': ('tune/schedulers',)};"
        "print(demo.read_sentences())"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "4242")
    ]
    assert len(printed[0]) > 10_000
    assert printed[0] == printed[1]


@pytest.mark.usefixtures("read_once")
def test_size_and_metric_can_be_asked_for() -> None:
    task = load_task(DEMO_SPEC.model_copy(update={"train_size": 12, "metric": "macro_f1"}), 0)
    assert (len(task.train), len(task.test), task.metric) == (12, 400, "macro_f1")
    with pytest.raises(
        DataError, match="--label must name a column of the demo's data; got 'l', found: sentence, package"
    ):
        load_task(TaskSpec(data="demo", text=("sentence",), label="l"), 0)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_corpus, "SOURCES", {"no_such_package": ("x.py",)})
    with pytest.raises(DataError, match="no_such_package is not installed"):
        read_sentences()


def test_too_few_sentences_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_corpus, "SOURCES", {"optuna": ("distributions.py", "gone.py"), "pandas": ("gone.py",)})
    with pytest.raises(DataError, match="needs 500 sentences of each package's documentation; pandas has only 0"):
        demo_task(0)


def test_markup_goes_and_names_are_masked() -> None:
    assert cut("Return a :class:`~pandas.DataFrame` or the `column <x>`_ of it, as ``Series`` if there is one.") == [
        "Return a [PKG] or the column of it, as Series if there is one."
    ]
    assert (
        cut("The Ray Tune library calls PyTorch and [`~Trainer.train`] (see [the guide](https://x.y/z)) often.") == []
    )
    assert cut(
        "The Ray Tune library calls PyTorch, 🤗 Transformers, SQLAlchemy's engine and Optuna more than once."
    ) == ["The [PKG] library calls [PKG], [PKG] [PKG], [PKG]'s engine and [PKG] more than once."]


def test_abbreviations_and_numbers_end_no_sentence() -> None:
    first = "Use a value near one, e.g. A default of 0.9 is good, for most of the models."
    second = "And here is the second of these long sentences."
    assert cut(f"{first} Short one. {second}") == [first, second]


@pytest.mark.parametrize(
    "docstring",
    [
        ">>> This would be a sentence of more than eight words here.",
        "Parameters\n----------\nvalue : int\n    This describes a parameter in more than eight words, does it not.",
        "    This is indented and so it may be code or a list.",
        "* This is an item of a list and no sentence at all.",
        ".. note:: This is a directive and not a sentence of the prose.",
        "Call the function f(x) = x_1 to get a value that is of use here.",
        "See https://example.org/page for more than eight words of it here.",
        "this has no capital at its beginning and so is no sentence.",
        "This ends without a point because it introduces the following thing:",
        "This has seven words, not one more.",
    ],
)
def test_what_is_no_prose_is_left_out(docstring: str) -> None:
    assert cut(docstring) == []


def test_a_title_is_left_out_and_its_text_kept() -> None:
    assert cut("Notes\n-----\nThis method only works if the index is sorted first.") == [
        "This method only works if the index is sorted first."
    ]

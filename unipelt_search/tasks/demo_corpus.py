"""The demo's task: from which package's documentation is a sentence? Six packages, all of them installed anyway.

The sentences are read out of docstrings in the packages' source files; no package is imported. Their names are masked,
so that the words around them have to tell. The same versions and seed give the same task.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from unipelt_search.errors import DataError
from unipelt_search.records.history import EDITION
from unipelt_search.specs.seeds import data_seed, derive_seed
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.rows import RawData, Rows, check_columns
from unipelt_search.tasks.stratified import stratified_take
from unipelt_search.tasks.task import Task

DEMO = "demo"
DEMO_SPEC = TaskSpec(data=DEMO, text=("sentence",), label=("package",))
TRAIN_ROWS, VALIDATION_ROWS, TEST_ROWS = 200, 400, 400
SOURCES: dict[str, tuple[str, ...]] = {
    "optuna": ("samplers", "pruners", "study", "trial", "storages", "integration", "visualization", "importance",
               "terminator", "artifacts", "distributions.py"),
    "pandas": ("core/frame.py", "core/series.py", "core/generic.py", "core/groupby", "core/resample.py",
               "core/indexes/base.py", "io/parsers"),
    "ray": ("tune/schedulers", "tune/search", "tune/tuner.py", "tune/trainable", "train/base_trainer.py",
            "data/dataset.py", "data/read_api.py", "data/preprocessors", "actor.py", "exceptions.py",
            "remote_function.py", "util/placement_group.py", "air/config.py"),
    "sqlalchemy": ("orm/session.py", "orm/query.py", "orm/mapper.py", "orm/relationships.py", "sql/schema.py",
                   "sql/selectable.py", "engine/base.py", "engine/create.py", "engine/result.py", "pool"),
    "torch": ("nn/modules", "nn/utils", "optim", "utils/data", "autograd/function.py", "autograd/graph.py",
              "functional.py"),
    "transformers": ("generation", "pipelines", "data", "trainer.py", "trainer_callback.py", "modeling_utils.py",
                     "configuration_utils.py", "processing_utils.py", "tokenization_utils_base.py"),
}  # fmt: skip
"""Files and folders of each package that have long docstrings; few enough to be read in seconds."""
MASK = "[PKG]"
BRANDS = re.compile(
    r"🤗|\bhugging ?face( hub)?\b|\b\w*torch\w*(\.\w+)*|\btransformers\b(\.\w+)*|\bpandas\b(\.\w+)*"
    r"|\bsql ?alchemy\b(\.\w+)*|\boptuna\w*(\.\w+)*|\brllib\b|\banyscale\b|\b(?-i:Tune)\b"
    r"|\bray\b(\.\w+)*( (?-i:Tune|Train|Data|Serve|Core)\b)?",
    re.IGNORECASE,
)
MARKUP = (
    (re.compile(r":[\w:]+:`([^`<]+?)\s*<[^`>]*>`"), r"\1"),  # :ref:`words <place>`
    (re.compile(r":[\w:]+:`[~!.]*(?:_\w+\.)*([^`]+)`"), r"\1"),  # :class:`~x.Y`
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`_{0,2}"), r"\1"),  # `words <address>`_
    (re.compile(r"\[`*([^\]`]+)`*\]\([^)]*\)"), r"\1"),  # [words](address)
    (re.compile(r"\[`[~.]*([^\]`]+)`\]"), r"\1"),  # [`~x.Y`]
    (re.compile(r"`+([^`]+)`+_{0,2}"), r"\1"),
    (re.compile(r"\*{1,2}(\w[^*]*)\*{1,2}"), r"\1"),
)
NO_END = re.compile(
    r"\b(?:e\.g|i\.e|etc|vs|cf|resp|approx|a\.k\.a|w\.r\.t|al)\.(?=[\s,])|(?<=\d)\.(?=\d)", re.IGNORECASE
)
DOT = "․"
"""Stands for a point that ends no sentence, while sentences are cut."""
RULER = re.compile(r"[-=~^]{3,}")
"""A line under a title."""
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\[\"'])")
PROSE = re.compile(rf"(?:[A-Z]|\[PKG\])(?:[A-Za-z0-9 ,;:'\"()%–—-]|\[PKG\]|{DOT})*\.")
FEWEST_WORDS, MOST_WORDS = 8, 40
LETTER_SHARE = 0.85
SAME_START = 5
"""Of sentences that begin with the same words, as templates do, one is kept: this many words are compared."""


def demo_task(
    seed: int,
    spec: TaskSpec = DEMO_SPEC,
    *,
    repeats: int = 0,
    edition: int = EDITION,
) -> Task:
    """Make the demo's task.

    Args:
        seed: The study's seed; it chooses the rows.
        spec: Columns, metric and number of training rows.
        repeats: How many seeds the confirm phase has; where it draws rows of its own, there are so many draws.
        edition: That of the study that goes on.

    Returns:
        The task: 200 rows to train, 200 to tune, 200 to select and 400 to test, balanced.

    Raises:
        DataError: A column is unknown, or a package is not installed with its source files.
    """
    check_columns(spec, DEMO_SPEC.columns, "the demo's data")
    if len(spec.text) > 1:
        raise DataError("The demo's data has one text column, 'sentence'; got two.")
    seed = data_seed(seed)
    sentences = read_sentences()
    rows = TRAIN_ROWS + VALIDATION_ROWS + TEST_ROWS
    poorest = min(sentences, key=lambda package: len(sentences[package]))
    fewest = len(sentences[poorest])
    if fewest * len(sentences) < rows:
        raise DataError(
            f"The demo needs {-(-rows // len(sentences))} sentences of each package's documentation; {poorest} has "
            f"only {fewest}. Install the versions of constraints.txt."
        )
    pool = _balanced(sentences, fewest, derive_seed(seed, "demo", "pool"))
    splits = {}
    for split, count in (("train", TRAIN_ROWS), ("validation", VALIDATION_ROWS), ("test", TEST_ROWS)):
        taken, rest = stratified_take(pool.labels, count, derive_seed(seed, "demo", split))
        splits[split] = pool.take(taken)
        pool = pool.take(rest)
    # The validation split is made here, so no one's own split is shared out.
    spec = spec.model_copy(update={"validation": "shared"})
    return build_task(RawData(DEMO, splits), spec, seed, repeats=repeats, edition=edition)


def read_sentences() -> dict[str, tuple[str, ...]]:
    """Read sentences of the documentation of installed packages.

    Returns:
        For each package its sentences, names masked, in the order of its files; none occurs in two packages.

    Raises:
        DataError: A package is not installed with its source files.
    """
    found = {package: tuple(dict.fromkeys(_package_sentences(package))) for package in SOURCES}
    packages = Counter(sentence.casefold() for sentences in found.values() for sentence in sentences)
    kept: dict[str, tuple[str, ...]] = {}
    for package, sentences in found.items():
        by_start: dict[tuple[str, ...], str] = {}
        for sentence in sentences:
            if packages[sentence.casefold()] == 1:
                by_start.setdefault(tuple(sentence.casefold().split()[:SAME_START]), sentence)
        kept[package] = tuple(by_start.values())
    return kept


def _balanced(sentences: dict[str, tuple[str, ...]], each: int, seed: int) -> Rows:
    texts: list[tuple[str]] = []
    labels: list[str] = []
    for package, found in sentences.items():
        taken, _ = stratified_take([package] * len(found), each, derive_seed(seed, package))
        texts += [(found[number],) for number in taken]
        labels += [package] * each
    return Rows(tuple(texts), tuple(labels))


def _package_sentences(package: str) -> Iterator[str]:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise DataError(
            f"The demo reads documentation of {', '.join(SOURCES)}; {package} is not installed. Install it."
        )
    folder = Path(found.origin).parent
    for entry in SOURCES[package]:
        path = folder / entry
        files = [path]
        if not path.is_file():
            files = sorted(path.rglob("*.py"), key=lambda file: file.relative_to(folder).parts)
        for file in files:
            for docstring in _docstrings(file):
                yield from sentences_of(docstring)


def _docstrings(file: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # theirs, on escapes in docstrings
        nodes: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and _is_public(node):
            docstring = ast.get_docstring(node)
            if docstring:
                yield docstring
            if not isinstance(node, ast.FunctionDef):
                nodes.extend(reversed(node.body))


def _is_public(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> bool:
    return isinstance(node, ast.Module) or not node.name.startswith("_")


def sentences_of(docstring: str) -> Iterator[str]:
    """Cut the prose out of a docstring: no code, no tables, no lists of parameters.

    Args:
        docstring: Its text, dedented.

    Yields:
        Sentences of 8 to 40 words with package names masked.
    """
    for paragraph in re.split(r"\n\s*\n", docstring):
        lines = paragraph.strip("\n").split("\n")
        if len(lines) > 1 and RULER.fullmatch(lines[1]):
            lines = lines[2:] or [""]
        # Indented lines are code, list items or descriptions of parameters.
        if any(line != line.lstrip() for line in lines) or lines[0].startswith((".. ", ">>>", "- ", "* ", "@")):
            continue
        text = " ".join(line.strip() for line in lines)
        for pattern, plain in MARKUP:
            text = pattern.sub(plain, text)
        text = NO_END.sub(lambda match: match[0].replace(".", DOT), BRANDS.sub(MASK, text))
        for sentence in SENTENCE_END.split(text):
            if _is_prose(sentence):
                yield sentence.replace(DOT, ".")


def _is_prose(sentence: str) -> bool:
    words = sentence.replace(MASK, "name")
    letters = sum(character.isalpha() or character == " " for character in words)
    return (
        FEWEST_WORDS <= len(sentence.split()) <= MOST_WORDS
        and PROSE.fullmatch(sentence) is not None
        and letters >= LETTER_SHARE * len(words)
        and sentence.count("(") == sentence.count(")")
    )

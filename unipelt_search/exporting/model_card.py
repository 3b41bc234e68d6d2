"""The README.md of an exported model: what it is, its scores, how to use it. It contains no text of the dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from transformers.utils import cached_file

from unipelt_search.backbones.load_backbone import resolve_model
from unipelt_search.exporting.export_forms import Library
from unipelt_search.exporting.saved_model import SavedModel
from unipelt_search.records.report import Interval, LeaderboardRow, ReportedGate
from unipelt_search.specs.adapter_input import adapter_input

FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_CUT = {
    None: "what is longer is cut",
    "right": "what is longer loses its end",
    "left": "what is longer loses its beginning",
    "head_tail": "what is longer loses its middle",
}


def find_licence(model: str) -> str | None:
    """Find the licence that a backbone's own card names.

    Args:
        model: A hub name, a folder, or `minilm`.

    Returns:
        The licence as the card writes it; None where there is no card or it names none.
    """
    path = cached_file(
        resolve_model(model), "README.md",
        _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    if path is None:
        return None
    match = FRONT_MATTER.match(Path(path).read_text(encoding="utf-8", errors="replace"))
    try:
        front = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError:  # a card that cannot be read names no licence
        return None
    licence = front.get("license") if isinstance(front, dict) else None
    return licence if isinstance(licence, str) else None


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside the model's description."""

    study: str
    """The study's name."""
    row: LeaderboardRow | None
    """The trial's scores, where the leaderboard has them."""
    gates: Sequence[ReportedGate]
    """The trial's overall gate rows of the final weights; none for a method without gates."""
    licence: str | None
    """The backbone's licence, if it is known."""


def model_card(saved: SavedModel, facts: CardFacts) -> str:
    """Write the card of a model in this package's form.

    Args:
        saved: The model's description.
        facts: What else the card says.

    Returns:
        Markdown with the front matter of the Hugging Face hub.
    """
    return _card(saved, facts, "unipelt-search", "not in this folder", _usage(saved))


def merged_card(saved: SavedModel, facts: CardFacts, library: Library) -> str:
    """Write the card of a merged model.

    Args:
        saved: The model's description.
        facts: What else the card says.
        library: What loads the folder.

    Returns:
        Markdown with the front matter of the Hugging Face hub.
    """
    usage = _transformers_usage(saved) if library == "transformers" else _sentence_transformers_usage(saved)
    target = saved.task.target
    meaning = "1. the number, in the units of the training data"
    if target.label_kind.output_scale(target) is None:
        meaning = target.label_kind.meaning(target)
    return _card(saved, facts, library, "merged with what was trained", f"{usage}\n\n## Its outputs\n\n{meaning}")


def _card(
    saved: SavedModel,
    facts: CardFacts,
    library: str,
    backbone: str,
    usage: str,
) -> str:
    front: dict[str, Any] = {
        "library_name": library,
        "pipeline_tag": "text-classification",
        "tags": ["unipelt-search", saved.trial.method] if library != "unipelt-search" else [saved.trial.method],
    }
    if saved.backbone.source == "hub":
        front["base_model"] = saved.backbone.model
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {saved.trial.method} for {inert(saved.task.name)}",
        _facts(saved, facts, backbone),
        _scores(saved, facts.row),
        _gates(facts.gates),
        usage,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(saved: SavedModel, facts: CardFacts, where: str) -> str:
    task, backbone = saved.task, saved.backbone
    licence = facts.licence
    name = Path(backbone.model).name if backbone.source == "folder" else backbone.model
    revision = f", revision `{backbone.revision}`" if backbone.revision else ""
    known = f"`{inert(licence)}`" if licence else "not stated by its card; find out before you pass this model on"
    labels = ", ".join(inert(label) for label in task.labels[:20])
    more = f" and {len(task.labels) - 20} more" if len(task.labels) > 20 else ""
    predictions = f"{len(task.labels)} labels: {labels}{more}" if task.labels else "a number"
    rule = task.target.label_kind.rule(task.target)
    if rule is not None:
        predictions += f"; {rule}"
    rows = [
        ("Method", f"`{saved.trial.method}`"),
        *_adapter(saved),
        ("Backbone", f"`{inert(name)}`{revision}, pooling `{backbone.pooling}`; {where}"),
        ("Licence of the backbone", known),
        ("Task", f"{task.kind.replace('_', ' ')}: {predictions}"),
        (
            "Training data",
            f"{inert(task.name)}, fingerprint `{inert(task.fingerprint)}`; no text of it is in this folder",
        ),
        ("Text columns", ", ".join(f"`{inert(column)}`" for column in task.text)),
        ("Longest text", f"{task.max_length} tokens; {_CUT[task.truncation]}"),
        ("Study", f"`{inert(facts.study)}`"),
        ("Software", ", ".join(f"{package} {version}" for package, version in saved.software.items())),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])


def _adapter(saved: SavedModel) -> list[tuple[str, str]]:
    """Say which adapter the scores are of; nothing without one."""
    match adapter_input(saved.trial):
        case None:
            return []
        case "normalised":
            reads = "what its block would hand on without it, as published"
        case "feed_forward":
            reads = "the feed-forward network's output; the published adapter reads what its block would hand on"
    return [("Adapter", f"reads {reads} (`adapter.input: {adapter_input(saved.trial)}`)")]


def _scores(saved: SavedModel, row: LeaderboardRow | None) -> str:
    if row is None:
        return ""
    runs = f"{row.runs} {'run' if row.runs == 1 else 'runs with different seeds'}"
    lines = [
        "## Scores",
        f"Mean {saved.task.metric} over {runs}, with its 95 % interval. The weights here are those of the first run.",
        "| rows | score | interval |\n|---|---|---|\n"
        + _score_line("validation (decides the study's verdict)", row.validation),
    ]
    if row.test is not None:
        lines[-1] += "\n" + _score_line("test (used for no choice)", row.test)
    stored = (
        "" if row.stored_parameters is None else f"{row.stored_parameters:,} parameters are stored, the head included."
    )
    return "\n\n".join([*lines, stored])


def _score_line(name: str, score: Interval) -> str:
    interval = "one run" if score.low is None or score.high is None else f"{score.low:.4f} to {score.high:.4f}"
    return f"| {name} | {score.mean:.4f} | {interval} |"


def _gates(rows: Sequence[ReportedGate]) -> str:
    if not rows:
        return ""
    gates = sorted({row.gate for row in rows})
    means = {(row.layer, row.gate): row.mean for row in rows}
    rules = "|---" * (len(gates) + 1)
    lines = [f"| layer | {' | '.join(gates)} |", f"{rules}|"]
    for layer in sorted({row.layer for row in rows}):
        cells = (f"{means[layer, gate]:.2f}" if (layer, gate) in means else "" for gate in gates)
        lines.append(f"| {layer} | {' | '.join(cells)} |")
    return "## Gates\n\nMean gate over examples, between 0 (closed) and 1 (open).\n\n" + "\n".join(lines)


def _usage(saved: SavedModel) -> str:
    row = _example_row(saved)
    backbone = ""
    if saved.backbone.source == "folder":
        backbone = ', backbone="where the backbone is"'
    return f"""## How to use it

```python
from unipelt_search import load_model

model = load_model("this folder"{backbone})
model.predict([{row}])[0].label
```

```
unipelt-search predict "this folder" --data texts.csv
```"""


def _transformers_usage(saved: SavedModel) -> str:
    return f"""## How to use it

```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("this folder")
tokenizer = AutoTokenizer.from_pretrained("this folder")
logits = model(**tokenizer({example_columns(saved)}, truncation=True, padding=True, return_tensors="pt")).logits
```"""


def _sentence_transformers_usage(saved: SavedModel) -> str:
    return f"""## How to use it

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("this folder")
logits = model.encode([{_example_row(saved)}])
```"""


def _example_row(saved: SavedModel) -> str:
    """Write one example as Python."""
    return '("one text", "another text")' if len(saved.task.text) == 2 else '"a text"'


def example_columns(saved: SavedModel) -> str:
    """Write an example as Python, as a tokenizer takes it: column by column.

    Args:
        saved: The model's description.

    Returns:
        One list per text column.
    """
    return '["one text"], ["another text"]' if len(saved.task.text) == 2 else '["a text"]'


def inert(text: str) -> str:
    """Make a user's words harmless in a Markdown table: one line, no markup.

    Args:
        text: Any text.

    Returns:
        The same words.
    """
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", " ".join(text.split()))

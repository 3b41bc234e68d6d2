"""The README.md of an exported model: what it is, its scores, how to use it. It contains no text of the dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from transformers.utils import cached_file

from unipelt_search.backbones.load_backbone import resolve_model
from unipelt_search.exporting.saved_model import SavedModel
from unipelt_search.records.report import Interval, LeaderboardRow, ReportedGate

FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


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


def model_card(
    saved: SavedModel, study: str, row: LeaderboardRow | None, gates: Sequence[ReportedGate], licence: str | None
) -> str:
    """Write a model's card.

    Args:
        saved: The model's description.
        study: The study's name.
        row: The trial's scores, where the leaderboard has them.
        gates: The trial's overall gate rows of the final weights; none for a method without gates.
        licence: The backbone's licence, if it is known.

    Returns:
        Markdown with the front matter of the Hugging Face hub.
    """
    front = {"library_name": "unipelt-search", "pipeline_tag": "text-classification", "tags": [saved.trial.method]}
    if saved.backbone.source == "hub":
        front["base_model"] = saved.backbone.model
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {saved.trial.method} for {_inert(saved.task.name)}",
        _facts(saved, study, licence),
        _scores(saved, row),
        _gates(gates),
        _usage(saved),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(saved: SavedModel, study: str, licence: str | None) -> str:
    task, backbone = saved.task, saved.backbone
    name = Path(backbone.model).name if backbone.source == "folder" else backbone.model
    revision = f", revision `{backbone.revision}`" if backbone.revision else ""
    known = f"`{_inert(licence)}`" if licence else "not stated by its card; find out before you pass this model on"
    labels = ", ".join(_inert(label) for label in task.labels[:20])
    more = f" and {len(task.labels) - 20} more" if len(task.labels) > 20 else ""
    predictions = f"{len(task.labels)} labels: {labels}{more}" if task.labels else "a number"
    rule = task.target.label_kind.rule(task.target)
    if rule is not None:
        predictions += f"; {rule}"
    rows = [
        ("Method", f"`{saved.trial.method}`"),
        *_adapter(saved),
        ("Backbone", f"`{_inert(name)}`{revision}, pooling `{backbone.pooling}`; not in this folder"),
        ("Licence of the backbone", known),
        ("Task", f"{task.kind.replace('_', ' ')}: {predictions}"),
        (
            "Training data",
            f"{_inert(task.name)}, fingerprint `{_inert(task.fingerprint)}`; no text of it is in this folder",
        ),
        ("Text columns", ", ".join(f"`{_inert(column)}`" for column in task.text)),
        ("Longest text", f"{task.max_length} tokens; what is longer is cut"),
        ("Study", f"`{_inert(study)}`"),
        ("Software", ", ".join(f"{package} {version}" for package, version in saved.software.items())),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])


def _adapter(saved: SavedModel) -> list[tuple[str, str]]:
    """Say which adapter the scores are of; nothing without one."""
    match saved.trial.adapter_input:
        case None:
            return []
        case "normalised":
            reads = "what its block would hand on without it, as published"
        case "feed_forward":
            reads = "the feed-forward network's output; the published adapter reads what its block would hand on"
    return [("Adapter", f"reads {reads} (`adapter.input: {saved.trial.adapter_input}`)")]


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
    pair = len(saved.task.text) == 2
    row = '("one text", "another text")' if pair else '"a text"'
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


def _inert(text: str) -> str:
    """Make a user's words harmless in a Markdown table: one line, no markup."""
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", " ".join(text.split()))

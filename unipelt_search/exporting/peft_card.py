"""The README.md of a folder for the library PEFT: every way to load it, as code that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.load_backbone import MINILM_HUB_NAME
from unipelt_search.exporting.model_card import example_columns, inert
from unipelt_search.exporting.saved_model import SavedModel

_MOST_NAMES = 20
"""Labels that the code names; of more it gives the number alone."""


@dataclass(frozen=True)
class Routes:
    """The ways to load a folder of PEFT's beside `PeftModel` and `AutoPeftModelForSequenceClassification`."""

    without_peft_model: bool
    """By `load_adapter`, and so by `from_pretrained` and `pipeline` of transformers; PEFT's prefix has none of them."""
    merges: bool
    """By `merge_and_unload` as it is: PEFT has it for no prefix, and not for IA3 beside a head of several layers."""


def output_settings(saved: SavedModel, backbone: Backbone) -> dict[str, Any]:
    """Return what a base model must be told, because PEFT does not store it: what its outputs are.

    Args:
        saved: The model's description.
        backbone: The backbone.

    Returns:
        Settings for `from_pretrained`.
    """
    kind = saved.task.target.label_kind
    names = dict(enumerate(kind.output_names(saved.task.labels)))
    settings: dict[str, Any] = {"num_labels": len(names)}
    if len(names) <= _MOST_NAMES:
        settings = {"id2label": names, "label2id": {name: number for number, name in names.items()}}
    settings["problem_type"] = kind.problem_type
    if backbone.family.causal:  # its head looks for the last token that is not padding
        settings["pad_token_id"] = backbone.model.config.pad_token_id
    return settings


def peft_card(saved: SavedModel, backbone: Backbone, base: str, routes: Routes) -> str:
    """Write the card.

    Args:
        saved: The model's description.
        backbone: The backbone.
        base: Where PEFT finds the backbone.
        routes: The ways to load it beside PEFT's own.

    Returns:
        Markdown with the front matter of the Hugging Face hub.
    """
    front = {
        "library_name": "peft",
        "pipeline_tag": "text-classification",
        "tags": ["unipelt-search", saved.trial.method],
    }
    if saved.backbone.source != "folder":
        front["base_model"] = MINILM_HUB_NAME if saved.backbone.source == "package" else base
    task = saved.task
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {saved.trial.method} for {inert(task.name)}, in the form of PEFT",
        _usage(saved, output_settings(saved, backbone)),
        _others(base, routes),
        _location(saved, base),
        f"Texts are cut after {task.max_length} tokens (`truncation=True`).",
        f"## Its outputs\n\n{task.target.label_kind.meaning(task.target)}",
    ]
    return "\n\n".join(parts) + "\n"


def _usage(saved: SavedModel, settings: dict[str, Any]) -> str:
    return f"""## How to use it

PEFT stores no labels: `outputs` tells the backbone what its outputs are.

```python
from peft import AutoPeftModelForSequenceClassification
from transformers import AutoTokenizer

outputs = {settings!r}
model = AutoPeftModelForSequenceClassification.from_pretrained("this folder", **outputs).eval()
tokenizer = AutoTokenizer.from_pretrained("this folder")
logits = model(**tokenizer({example_columns(saved)}, truncation=True, padding=True, return_tensors="pt")).logits
```"""


def _location(saved: SavedModel, base: str) -> str:
    """Say where PEFT finds the backbone, and what to do where that is not."""
    if saved.backbone.source == "hub":
        return f"PEFT finds the backbone on the hub, as `{base}`."
    same = f" or `{MINILM_HUB_NAME}`, which is the same model on the hub," if saved.backbone.source == "package" else ""
    return (
        f"PEFT finds the backbone in the folder `{base}`. On a machine without it, write its new folder{same} into "
        "`base_model_name_or_path` of `adapter_config.json`."
    )


def _others(base: str, routes: Routes) -> str:
    """Show the other ways to load it."""
    start = f"""With a backbone that is loaded already:

```python
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

backbone = AutoModelForSequenceClassification.from_pretrained({base!r}, **outputs)
model = PeftModel.from_pretrained(backbone, "this folder").eval()
```"""
    parts = [start]
    if routes.without_peft_model:
        parts.append("""Without a model class of PEFT's:

```python
from transformers import pipeline

backbone = AutoModelForSequenceClassification.from_pretrained("this folder", **outputs)
classify = pipeline("text-classification", model="this folder", tokenizer="this folder", model_kwargs=outputs)
```

`backbone.load_adapter("this folder")` adds it to a backbone that is loaded already.""")
    if routes.merges:
        parts.append("`model.merge_and_unload()` gives a plain model of transformers.")
    elif routes.without_peft_model:
        parts.append("""PEFT 0.21 cannot take its IA3 off beside a head of several layers. Put the head there first:

```python
whole = model.base_model.model
whole.classifier = whole.classifier.modules_to_save["default"]
merged = model.merge_and_unload()
```

`export --merged` writes the same model as a folder.""")
    return "\n\n".join(parts)

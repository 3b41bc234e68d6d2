"""A merged model as a folder of sentence-transformers: Transformer, Pooling, and the classifier as Dense.

    config.json, model.safetensors, tokenizer.json, …   the backbone, merged
    sentence_bert_config.json                           how long texts may be
    1_Pooling/                                          how token vectors become one
    2_Dense/                                            the classifier, without an activation: its outputs are logits
    modules.json                                        the three in this order

What is written is read by every version since 2.0, whose names for the classes and keys all later ones know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.declared_pooling import POOLING_FLAGS, SENTENCE_TRANSFORMERS_MODES
from unipelt_search.backbones.loader_errors import quiet_transformers
from unipelt_search.exporting.merge import merged_base, use_label_units
from unipelt_search.exporting.plain_files import describe_outputs
from unipelt_search.exporting.saved_model import SavedModel
from unipelt_search.pelt.head import pool
from unipelt_search.pelt.merged_weights import set_values, tensors_of
from unipelt_search.specs.pooling import JOIN, modes_of

_POOLING = "1_Pooling"
_DENSE = "2_Dense"
_CLASSES = {"": "Transformer", _POOLING: "Pooling", _DENSE: "Dense"}
_WEIGHTS = "model.safetensors"


def write_pooled(folder: Path, backbone: Backbone, saved: SavedModel, tensors: Mapping[str, Tensor]) -> None:
    """Write a merged model for sentence-transformers, all but its tokenizer and card.

    Args:
        folder: An empty folder.
        backbone: The backbone; no pack is attached to it.
        saved: The model's description; `merged_form` has named sentence-transformers.
        tensors: The run's stored tensors.
    """
    base = merged_base(backbone, saved.trial, tensors)
    describe_outputs(base.config, saved.task)
    with quiet_transformers():
        base.save_pretrained(folder, state_dict={**base.state_dict(), **_unread_tensors(base)})
    modules = []
    for number, (path, name) in enumerate(_CLASSES.items()):
        modules.append(
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
        )
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": saved.task.max_length, "do_lower_case": False})
    dense = _dense(backbone, saved, tensors)
    modes = modes_of(backbone.pooling)
    flags = {flag: SENTENCE_TRANSFORMERS_MODES[mode] in modes for flag, mode in POOLING_FLAGS.items()}
    width = dense.in_features // len(modes)
    _write_json(folder / _POOLING / "config.json", {"word_embedding_dimension": width, **flags})
    _write_json(
        folder / _DENSE / "config.json",
        {
            "in_features": dense.in_features,
            "out_features": dense.out_features,
            "bias": dense.bias is not None,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )
    parameters = {f"linear.{name}": values.detach() for name, values in dense.named_parameters()}
    save_file(parameters, folder / _DENSE / _WEIGHTS)


@torch.no_grad()
def pooled_logits(folder: Path, model_class: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """Compute the logits of what was written, from its files alone.

    Args:
        folder: What `write_pooled` wrote.
        model_class: The class of transformers that sentence-transformers loads for it.
        inputs: `input_ids`, `attention_mask` and perhaps `token_type_ids`, ``(B, T)``.

    Returns:
        ``(B, outputs)``.
    """
    with quiet_transformers():
        model = model_class.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        ).eval()
    hidden = model(**inputs).last_hidden_state
    flags = json.loads((folder / _POOLING / "config.json").read_text(encoding="utf-8"))
    modes = [SENTENCE_TRANSFORMERS_MODES[mode] for flag, mode in POOLING_FLAGS.items() if flags[flag]]
    vectors = pool(hidden, inputs["attention_mask"], JOIN.join(modes))
    dense = load_file(folder / _DENSE / _WEIGHTS)
    return nn.functional.linear(vectors, dense["linear.weight"], dense.get("linear.bias"))


def _unread_tensors(base: Any) -> dict[str, Tensor]:
    """Return zeros for what the class has and this model lacks: a pooler that nothing reads (RoBERTa).

    Without them loading the folder would report that weights are missing and were drawn anew.
    """
    with torch.device("meta"):
        complete = type(base)(base.config).state_dict()
    lacking = complete.keys() - base.state_dict().keys()
    return {name: torch.zeros(complete[name].shape) for name in sorted(lacking)}


def _dense(backbone: Backbone, saved: SavedModel, tensors: Mapping[str, Tensor]) -> nn.Linear:
    """Return the trained classifier, in the units of the labels."""
    # With a pooling of our own the head is one layer, whatever the architecture calls it.
    head = {name.split(".")[-1]: values for name, values in tensors_of(tensors, "head").items()}
    outputs, width = head["weight"].shape
    target = saved.task.target
    scale = target.label_kind.output_scale(target)
    dense = nn.Linear(width, outputs, bias="bias" in head or scale is not None)
    set_values(dense.weight, _in_their_order(head["weight"], modes_of(backbone.pooling)))
    if dense.bias is not None:
        set_values(dense.bias, head.get("bias", torch.zeros(outputs)))
    use_label_units(dense, scale)
    return dense


def _in_their_order(weight: Tensor, modes: tuple[str, ...]) -> Tensor:
    """Sort the columns of ``(outputs, modes · D)`` as sentence-transformers joins the vectors of several modes."""
    theirs = [mode for mode in SENTENCE_TRANSFORMERS_MODES.values() if mode in modes]
    columns = weight.unflatten(1, (len(modes), -1))
    return columns[:, [modes.index(mode) for mode in theirs]].flatten(1)


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

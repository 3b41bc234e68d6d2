"""Every architecture × every method on tiny random models; writes the tables of docs/backbones.md.

    python benchmarks/backbone_matrix.py [--check | --only TYPE …]

A cell is `yes` when the method attaches, takes two training steps that move the answer, and answers the same (1e-4)
with more padding and alone; else it says why not. Every model is also run with its own eager attention, which must
compute the same. With `--check` nothing is written; the exit code is 1 when the page is out of date. With `--only`
nothing is written either: the cells of some types are printed. The architectures and their number are always printed.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers.utils import logging

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from tiny import FURTHER_SIZES, SIZES, tiny_backbone, tiny_inputs, tiny_run, tiny_trial  # noqa: E402
from unipelt_search.backbones.backbone import Backbone  # noqa: E402
from unipelt_search.errors import BackboneError  # noqa: E402
from unipelt_search.methods.catalogue import TRAINED_METHODS  # noqa: E402
from unipelt_search.pelt.applicability import partial_reach  # noqa: E402
from unipelt_search.pelt.pack import Pack  # noqa: E402

PAGE = ROOT / "docs" / "backbones.md"
BEGIN, END = "<!-- matrix: python benchmarks/backbone_matrix.py -->", "<!-- end of matrix -->"
MOST_USED = (
    ("bert-base", "bert"), ("all-MiniLM-L6-v2", "bert"), ("bge-base-en-v1.5", "bert"), ("e5-base-v2", "bert"),
    ("roberta-base", "roberta"), ("xlm-roberta-base", "xlm-roberta"), ("bge-m3", "xlm-roberta"),
    ("multilingual-e5-base", "xlm-roberta"), ("distilbert-base", "distilbert"), ("deberta-v3-base", "deberta-v2"),
    ("ModernBERT-base", "modernbert"), ("all-mpnet-base-v2", "mpnet"), ("electra-base", "electra"),
    ("albert-base-v2", "albert"), ("flan-t5-base", "t5, gated"), ("bart-base", "bart"), ("gpt2", "gpt2"),
    ("Llama 3", "llama"), ("Mistral 7B", "mistral"), ("Qwen2.5", "qwen2"), ("Qwen3", "qwen3"),
    ("Gemma 3 1B", "gemma3_text"), ("Phi-4", "phi3"), ("SmolLM3", "smollm3"),
    ("EmbeddingGemma", "gemma3_text, both ways"),
)  # fmt: skip
"""Published names with their case, the most downloaded first as far as we know."""
TOLERANCE = 1e-4
STEPS = 2


@dataclass(frozen=True)
class Case:
    """One architecture on trial."""

    model_type: str
    settings: dict[str, Any] = field(default_factory=dict)
    """In place of the sizes of `tests/tiny.py`."""
    pooling: str = "native"


_HEADS = {"num_key_value_heads": 2, "head_dim": 8}
_WINDOWED = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}
_VARIANTS = {
    "t5, gated": Case("t5", {"feed_forward_proj": "gated-gelu"}),
    "T5EncoderModel": Case("t5", {"architectures": ["T5EncoderModel"]}),
    "llama, both ways": Case("llama", {"is_causal": False}),
    "qwen2, both ways": Case("qwen2", {"is_causal": False}),
    "gemma3_text, both ways": Case("gemma3_text", {"use_bidirectional_attention": True}),
    "falcon, new": Case("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon, alibi": Case("falcon", {"multi_query": False, "alibi": True}),
}
_BY_STRUCTURE = {
    "ernie": {}, "ministral": {**_HEADS, **_WINDOWED}, "olmo2": {"num_key_value_heads": 2}, "glm4": _HEADS,
    "nemotron": _HEADS, "stablelm": {"num_key_value_heads": 4}, "smollm3": _HEADS, "phi": {},
    "modernbert-decoder": SIZES["modernbert"], "eurobert": {}, "nomic_bert": {}, "jina_embeddings_v3": {}, "gte": {},
    "gemma2": _HEADS, "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2, "num_heads": 4},
    "big_bird": {}, "mamba": {},
}  # fmt: skip
_TEXT_PARTS = {
    "gemma3, text": Case("gemma3_text"),
    "mistral3, text": Case("mistral"),
    "qwen3_5, text": Case("qwen3_5_text"),
    "llama4, text": Case(
        "llama4_text",
        {**_HEADS, "intermediate_size_mlp": 64, "num_local_experts": 4, "interleave_moe_layer_step": 2},
    ),
    "gemma4, text": Case(
        "gemma4_text",
        {
            **_HEADS, **_WINDOWED, "global_head_dim": 16, "vocab_size_per_layer_input": 64,
            "hidden_size_per_layer_input": 8, "num_kv_shared_layers": 0,
        },
    ),
}  # fmt: skip
CASES: dict[str, Case] = {
    **{kind: Case(kind) for kind in SIZES},
    "mt5": Case("mt5", {**SIZES["t5"], "feed_forward_proj": "gated-gelu"}),
    **_VARIANTS,
    **{kind: Case(kind, settings) for kind, settings in _BY_STRUCTURE.items()},
    **{kind: Case(kind) for kind in FURTHER_SIZES},
    **_TEXT_PARTS,
}
"""Every architecture: those with an entry of their own first."""


def try_method(backbone: Backbone, method: str) -> str:
    """Return `yes`, in how many layers if not in all, or why the method does not work on the backbone."""
    lengths = [9, 4, 6]
    inputs = tiny_inputs(lengths)
    wide = {name: functional.pad(tensor, (0, 5)) for name, tensor in inputs.items()}
    trial = tiny_trial(method)
    try:
        with Pack(backbone, [tiny_run(trial)]) as pack:
            before = pack(inputs).detach()
            optimizer = torch.optim.SGD([tensor.parameter for tensor in pack.trained()], lr=0.5)
            for step in range(STEPS):
                optimizer.zero_grad()
                functional.cross_entropy(pack(inputs, steps=[step])[0], torch.tensor([0, 1, 2])).backward()
                optimizer.step()
            with torch.no_grad():
                after, padded = pack(inputs)[0], pack(wide)[0]
                alone = [_row(pack, inputs, row, length) for row, length in enumerate(lengths)]
            idle = [tensor.name for tensor in pack.trained() if tensor.parameter.grad is None]
    except BackboneError as error:
        return "no biases" if "needs a backbone with biases" in str(error) else _reason(str(error))
    if idle:
        return f"no gradient reaches {idle[0]}"
    if torch.allclose(before[0], after, atol=TOLERANCE):
        return "does not train"
    same = torch.allclose(after, padded, atol=TOLERANCE) and torch.allclose(after, torch.stack(alone), atol=TOLERANCE)
    reach = partial_reach(backbone, trial)
    if not same:
        return "depends on padding"
    return "yes" if reach is None else f"yes, in {reach[0]} of {reach[1]} layers"


def _row(pack: Pack, inputs: dict[str, torch.Tensor], row: int, length: int) -> torch.Tensor:
    """Return the logits of one text alone, ``(classes,)``."""
    return pack({name: tensor[row : row + 1, :length] for name, tensor in inputs.items()})[0, 0]


def _reason(message: str) -> str:
    """Return why a method was refused, without the names of the type and the method."""
    message = re.sub(r" Leave \w+ out\.$", "", message)
    message = re.sub(r"^\w+ must have the parts that it attaches to; in type '[\w-]+' ", "", message)
    message = re.sub(r"of type '[\w-]+'", "of this type", message)
    return re.sub(r"of '[\w-]+'", "of this model", message)


def same_as_eager(case: Case, backbone: Backbone) -> bool:
    """Tell whether our attention function computes what the architecture's own eager attention does."""
    inputs = tiny_inputs([9, 4, 6])
    real = inputs["attention_mask"].bool()
    model: Any = backbone.model
    if model.config._attn_implementation in (None, "eager"):
        return True
    eager = make(case)
    if not type(eager.model)._can_set_attn_implementation():
        return True
    eager.model.set_attn_implementation("eager")
    with torch.no_grad():
        decoder = {"decoder_input_ids": inputs["input_ids"]} if model.config.is_encoder_decoder else {}
        ours = model.base_model(**inputs, **decoder).last_hidden_state
        theirs = eager.model.base_model(**inputs, **decoder).last_hidden_state
    return torch.allclose(ours[real], theirs[real], atol=1e-5)


def make(case: Case) -> Backbone:
    """Make the tiny backbone of a case."""
    return tiny_backbone(case.model_type, pooling=case.pooling, **case.settings)


NOWHERE = "none"
_FUSED = {"blocks": " (its blocks)", "heads": " (head by head)", "falcon": " (group by group)", "latent": " (latent)"}


def describe(backbone: Backbone, *, has_prefix: bool) -> list[str]:
    """Return where parts attach, how a prefix does, and what the native pooling is."""
    family = backbone.family
    if not family.stacks:
        return [NOWHERE, NOWHERE, "the head's"]
    stack = family.stacks[0]
    places = {name: None for name in (stack.query, stack.value) if name}
    lora = (", ".join(f"`{name}`" for name in places) or NOWHERE) + _FUSED.get(stack.fused or "", "")
    adapter = ", ".join(f"`{name}`" for name in (stack.ffn_out, stack.experts) if name) or NOWHERE
    stacks = "encoder and decoder: " if len(family.stacks) > 1 else ""
    prefix = "spliced into its softmax" if family.spliced_prefix else "attention function"
    if family.positions:
        prefix += "; can shift"
    if not has_prefix:
        prefix = NOWHERE
    own = f"`{family.pooler}`" if family.pooler else "the head's"
    if backbone.pooling == "mean":
        own = "mean"
    native = "last real token" if family.causal else "decoder's last token" if len(family.stacks) > 1 else own
    return [f"{stacks}{lora}; {adapter}", prefix, native]


def most_used(cells: dict[str, list[str]]) -> str:
    """Return the table of the backbones that people use most, in Markdown."""
    lines = ["| backbone | type | methods |", "|---|---|---|"]
    for name, case in MOST_USED:
        without = [method for method, cell in zip(TRAINED_METHODS, cells[case], strict=True) if cell != "yes"]
        text = "all but " + ", ".join(f"`{method}`" for method in without) if without else "all"
        lines.append(f"| {name} | `{CASES[case].model_type}` | {text} |")
    return "\n".join(lines)


def every_type(backbones: dict[str, Backbone], cells: dict[str, list[str]]) -> str:
    """Return the table of all types in Markdown, with the reasons below it."""
    head = ["type", "LoRA; adapter", "prefix", "native pooling", *(f"`{method}`" for method in TRAINED_METHODS)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    reasons: dict[str, int] = {}
    for kind, backbone in backbones.items():
        shown = []
        for cell in cells[kind]:
            if cell.startswith("yes") or cell == "no biases":
                shown.append(cell)
                continue
            number = reasons.setdefault(cell, len(reasons) + 1)
            shown.append(f"no ({number})")
        has_prefix = shown[TRAINED_METHODS.index("prefix")].startswith("yes")
        row = [f"`{kind}`", *describe(backbone, has_prefix=has_prefix), *shown]
        lines.append(f"| {' | '.join(row)} |")
    notes = [f"{number}. {reason[0].upper()}{reason[1:].rstrip('.')}." for reason, number in reasons.items()]
    return "\n".join([*lines, "", "Why not:", "", *notes])


def run(kinds: list[str]) -> tuple[dict[str, Backbone], dict[str, list[str]]]:
    """Run every method on some cases."""
    backbones, cells = {}, {}
    for kind in kinds:
        backbones[kind] = make(CASES[kind])
        cells[kind] = [try_method(backbones[kind], method) for method in TRAINED_METHODS]
        if not same_as_eager(CASES[kind], backbones[kind]):
            raise SystemExit(f"{kind} computes something else with its eager attention")
        usable = sum(cell.startswith("yes") for cell in cells[kind])
        print(f"{kind}: {usable} of {len(TRAINED_METHODS)} methods", flush=True)
    print(f"{len(kinds)} architectures")
    return backbones, cells


def main() -> int:
    """Write the tables into the page, check the ones that are there, or print some rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; tell whether the page is up to date")
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="TYPE", help="write nothing; print these types")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    backbones, cells = run(arguments.only or list(CASES))
    if arguments.only:
        print(every_type(backbones, cells))
        return 0
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    count = f"{len(MOST_USED)} backbones that people use most, and then all {len(CASES)} architectures that were tried:"
    tables = f"The {count}\n\n{most_used(cells)}\n\n{every_type(backbones, cells)}"
    made = f"{before}{BEGIN}\n{tables}\n{END}{after}"
    if arguments.check:
        return int(made != page)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

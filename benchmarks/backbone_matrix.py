"""Every architecture × every method on tiny random models; writes the table of docs/backbones.md.

    python benchmarks/backbone_matrix.py [--check]

A cell is `yes` when the method attaches, takes a training step that moves the answer, and answers the same with more
padding; else it says why not. With `--check` nothing is written; the exit code is 1 when the page is out of date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch.nn import functional

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from tiny import SIZES, tiny_backbone, tiny_inputs, tiny_run, tiny_trial  # noqa: E402
from unipelt_search.backbones.backbone import Backbone  # noqa: E402
from unipelt_search.backbones.families import Family  # noqa: E402
from unipelt_search.errors import BackboneError  # noqa: E402
from unipelt_search.methods.catalogue import TRAINED_METHODS  # noqa: E402
from unipelt_search.pelt.pack import Pack  # noqa: E402

PAGE = ROOT / "docs" / "backbones.md"
BEGIN, END = "<!-- matrix: python benchmarks/backbone_matrix.py -->", "<!-- end of matrix -->"
STEPS = 2


def try_method(backbone: Backbone, method: str) -> str:
    """Return `yes`, or why the method does not work on the backbone."""
    inputs = tiny_inputs([9, 4, 6])
    wide = {name: functional.pad(tensor, (0, 5)) for name, tensor in inputs.items()}
    try:
        with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
            before = pack(inputs).detach()
            optimizer = torch.optim.SGD([tensor.parameter for tensor in pack.trained()], lr=0.5)
            for step in range(STEPS):
                optimizer.zero_grad()
                functional.cross_entropy(pack(inputs, steps=[step])[0], torch.tensor([0, 1, 2])).backward()
                optimizer.step()
            with torch.no_grad():
                after, padded = pack(inputs), pack(wide)
    except BackboneError as error:
        return "no biases" if "needs a backbone with biases" in str(error) else str(error)
    if torch.allclose(before, after, atol=1e-4):
        return "does not train"
    return "yes" if torch.allclose(after, padded, atol=1e-5) else "depends on padding"


def describe(family: Family, pooling: str) -> list[str]:
    """Return where parts attach, how a prefix does, and what the native pooling is."""
    stack = family.stacks[0]
    fused = {"blocks": f"`{stack.query}` (its blocks)", "heads": f"`{stack.query}` (head by head)"}
    places = fused[stack.fused] if stack.fused else f"`{stack.query}`, `{stack.value}`"
    stacks = "encoder and decoder: " if len(family.stacks) > 1 else ""
    prefix = "spliced into its softmax" if family.spliced_prefix else "attention function"
    if family.positions:
        prefix += "; can shift"
    own = f"`{family.pooler}`" if family.pooler else "the head's"
    native = "last real token" if family.causal else "decoder's last token" if len(family.stacks) > 1 else own
    return [f"{stacks}{places}; `{stack.ffn_out}`", prefix, native]


def table() -> str:
    """Return the table in Markdown."""
    head = ["type", "LoRA; adapter", "prefix", "native pooling", *(f"`{method}`" for method in TRAINED_METHODS)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for kind in SIZES:
        backbone = tiny_backbone(kind)
        cells = [try_method(backbone, method) for method in TRAINED_METHODS]
        lines.append(f"| {' | '.join([f'`{kind}`', *describe(backbone.family, backbone.pooling), *cells])} |")
    return "\n".join(lines)


def main() -> int:
    """Write the table into the page, or check the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; tell whether the page is up to date")
    arguments = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if arguments.check:
        return int(made != page)
    PAGE.write_text(made, encoding="utf-8")
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tiny import tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.backbones.block_output import first_output
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.pelt.pack import Pack

PUBLISHED = AdapterSpec(bottleneck=8, activation="relu", input="normalised")


@pytest.mark.parametrize("family", ["bert", "gpt_neox", "albert"])
@torch.no_grad()
def test_what_it_reads_is_what_the_layer_hands_on_each_time_that_it_runs(family: str) -> None:
    """ALBERT runs one layer twice; GPT-NeoX adds the attention's share beside the network's."""
    backbone = tiny_backbone(family)
    trial = tiny_trial("adapter").model_copy(update={"adapter": PUBLISHED})
    pairs: list[tuple[Tensor, Tensor]] = []
    with Pack(backbone, [tiny_run(trial)]) as pack:  # the up-projection is zero, so the layers hand on what they would
        for layer in pack.layers:
            read: list[Tensor] = []
            block = pack.parts[f"adapter/{layer.number}"].block
            compute = block.output
            block.output = lambda h, compute=compute, read=read: read.append(compute(h)) or read[-1]
            layer.module.register_forward_hook(
                lambda module, args, output, read=read: pairs.append((read[-1], first_output(output)))
            )
        pack(tiny_inputs([7, 4]))
    assert len(pairs) == 2
    assert not torch.allclose(pairs[0][0], pairs[1][0], atol=0.1)
    for x, handed_on in pairs:
        assert torch.allclose(x, handed_on, rtol=0, atol=1e-6 * max(1.0, float(handed_on.abs().max())))

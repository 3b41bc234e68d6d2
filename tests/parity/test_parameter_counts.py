"""Parameter counts against the paper's Table 4, for the shapes of BERT-base.

Everything but the prefix MLP's first layer repeats per layer, so one layer is enough.
"""

from __future__ import annotations

from typing import Any

import pytest

from tiny import tiny_backbone, tiny_run
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.trial import AdapterSpec, GateSpec, LoraSpec, PrefixSpec, TrainingSpec, TrialSpec

LAYERS = 12
ADAPTER, LORA, PREFIX = AdapterSpec(bottleneck=48), LoraSpec(rank=8), PrefixSpec(length=10, mlp=512)
STORED = {
    "adapter": (894_528, {"adapter": ADAPTER}),
    "lora": (294_912, {"lora": LORA}),
    "prefix": (184_320, {"prefix": PREFIX}),
    "unipelt_ap": (1_097_304, {"adapter": ADAPTER, "prefix": PREFIX, "gate": GateSpec()}),
    "unipelt_apl": (1_410_672, {"adapter": ADAPTER, "prefix": PREFIX, "lora": LORA, "gate": GateSpec()}),
}
MLP_TRAINED = 9_857_024


@pytest.mark.parametrize("method", STORED)
def test_counts_are_those_of_the_paper(method: str) -> None:
    expected, parts = STORED[method]
    shape: dict[str, Any] = {
        "hidden_size": 768,
        "intermediate_size": 64,
        "num_attention_heads": 12,
        "num_hidden_layers": 1,
    }
    trial = TrialSpec(method=method, training=TrainingSpec(learning_rate=1e-3, steps=1), **parts)
    with Pack(tiny_backbone("bert", **shape), [tiny_run(trial)]) as pack:
        trained, stored, head = pack.counts(0)
    assert head == 3 * 769
    assert (stored - head) * LAYERS == expected
    if "prefix" in parts:
        key_value = 2 * 10 * 768
        trunk = 10 * 768 + 512 * 769
        own = trained - stored + key_value  # what the MLP trains, for one layer
        assert trunk + (own - trunk) * LAYERS == MLP_TRAINED
    else:
        assert trained == stored

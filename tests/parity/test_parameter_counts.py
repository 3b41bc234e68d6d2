"""Parameter counts against the papers', for the shapes of BERT-base: Table 4 of UniPELT, formulas for the others.

Everything but the prefix MLP's first layer repeats per layer, so one layer is enough.
"""

from __future__ import annotations

from typing import Any

import pytest

from tiny import tiny_backbone, tiny_run
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.trial import TrialSpec

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


def test_counts_without_the_mlp_and_with_shared_gates() -> None:
    def counted(method: str, layers: int, inner: int = 64, **parts: Any) -> int:
        shape: dict[str, Any] = {"hidden_size": 768, "intermediate_size": inner, "num_attention_heads": 12}
        trial = TrialSpec(method=method, training=TrainingSpec(learning_rate=1e-3, steps=1), **parts)
        backbone = tiny_backbone("bert", num_hidden_layers=layers, **shape)
        with Pack(backbone, [tiny_run(trial)]) as pack:
            trained, stored, head = pack.counts(0)
        assert trained == stored
        return stored - head

    # Liu et al., 2022: a scale per key, value and inner feature; 55,296 for BERT-base.
    assert counted("ia3", 1, inner=3072) * LAYERS == (768 + 768 + 3072) * LAYERS == 55_296
    beside = ParallelAdapterSpec(bottleneck=48)
    assert counted("parallel_adapter", 1, parallel_adapter=beside) * LAYERS == STORED["adapter"][0]
    # Without the MLP what is trained is what is stored.
    assert counted("prefix", 1, prefix=PrefixSpec(length=10, mlp=None)) * LAYERS == STORED["prefix"][0]
    submodules = {"adapter": ADAPTER, "prefix": PrefixSpec(length=10, mlp=None), "lora": LORA}
    for sharing, gates in (("per_layer", 2 * 4 * 769), ("shared", 4 * 769)):
        gate = GateSpec(sharing=sharing)  # type: ignore[arg-type]
        ungated = 2 * (STORED["adapter"][0] + STORED["prefix"][0] + STORED["lora"][0]) // LAYERS
        assert counted("unipelt_apl", 2, gate=gate, **submodules) == ungated + gates

from __future__ import annotations

from unipelt_search.methods.gate_settings import GateSpec


def test_gates_by_position_are_those_whose_mean_ends_there() -> None:
    published = GateSpec(sharing="shared")
    assert not published.is_causal
    causal = published.by_position()
    assert causal.is_causal
    assert (causal.pooling, causal.prefix, causal.sharing) == ("prefix_mean", "logit", "shared")
    assert not GateSpec(pooling="all_positions").is_causal

from __future__ import annotations

from tiny import tiny_trial
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.specs.adapter_input import adapter_input, reads_feed_forward


def test_a_missing_key_is_the_adapter_of_edition_1() -> None:
    old = tiny_trial("adapter").model_copy(update={"adapter": AdapterSpec(bottleneck=4)})
    new = tiny_trial("adapter").model_copy(update={"adapter": AdapterSpec(bottleneck=4, input="normalised")})
    trials = (old, new, tiny_trial("lora"))
    assert [adapter_input(trial) for trial in trials] == ["feed_forward", "normalised", None]
    assert [reads_feed_forward(trial) for trial in trials] == [True, False, False]

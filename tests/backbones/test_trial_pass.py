from __future__ import annotations

from dataclasses import replace

import pytest

from tiny import tiny_model
from unipelt_search.backbones.discovery import find_family
from unipelt_search.backbones.trial_pass import try_out
from unipelt_search.errors import BackboneError


def test_a_projection_that_runs_twice_or_never_is_refused() -> None:
    model = tiny_model("bert").eval()
    family = find_family(model)
    assert try_out(model, family) == family
    wrong = replace(family.stacks[0], value="crossattention")
    model.bert.encoder.layer[0].add_module("crossattention", model.bert.encoder.layer[0].output.dense)
    model.bert.encoder.layer[1].add_module("crossattention", model.classifier)
    with pytest.raises(BackboneError, match="once per layer"):
        try_out(model, replace(family, stacks=(wrong,)))

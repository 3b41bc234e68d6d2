from __future__ import annotations

import pytest
import torch

from tiny import randomise, tiny_backbone, tiny_run, tiny_trial
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.sample import TEXTS, Sample
from unipelt_search.pelt.pack import Pack


def test_a_model_that_answers_something_else_is_refused() -> None:
    backbone = tiny_backbone()
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        randomise(pack)
        sample = Sample.of(pack, 2, 16)
        head = pack.parts["head/classifier"]
    assert sample.logits.shape == (len(TEXTS), 3)
    assert sample.inputs["input_ids"].shape[1] <= 16
    with pytest.raises(SavedModelError, match="--merged must give the trained model's logits"):
        sample.check(backbone.model, "--merged")
    with torch.no_grad():
        backbone.model.classifier.weight.copy_(head.weight[0])
        backbone.model.classifier.bias.copy_(head.bias[0])
    sample.check(backbone.model, "--merged")

from __future__ import annotations

import pytest
import torch

from tiny import randomise, tiny_backbone, tiny_run, tiny_tokenizer, tiny_trial
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.sample import TEXTS, Sample
from unipelt_search.pelt.pack import Pack


@pytest.fixture
def sample() -> Sample:
    """Rows of text pairs and the logits of a random head."""
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"))]) as pack:
        randomise(pack)
        return Sample.of(pack, 2, 16)


def test_other_logits_are_refused(sample: Sample) -> None:
    assert sample.logits.shape == (len(TEXTS), 3)
    assert sample.inputs["input_ids"].shape[1] <= 16
    sample.check(sample.logits + 1e-6, "--merged")
    for wrong in (sample.logits + 1e-2, torch.full_like(sample.logits, torch.nan)):
        with pytest.raises(SavedModelError, match="--merged must give the trained model's logits"):
            sample.check(wrong, "--merged")


def test_a_tokenizer_must_read_the_rows_as_in_training(sample: Sample) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = 16
    read = sample.read_with(tokenizer, "--peft")
    assert torch.equal(read["attention_mask"], sample.inputs["attention_mask"])
    tokenizer.model_max_length = 15
    with pytest.raises(SavedModelError, match="--peft must read texts as the trained model does"):
        sample.read_with(tokenizer, "--peft")


def test_outputs_are_compared_in_the_units_of_the_labels(sample: Sample) -> None:
    assert sample.in_label_units(None) is sample
    assert torch.equal(sample.in_label_units((2.0, 3.0)).logits, sample.logits * 2 + 3)

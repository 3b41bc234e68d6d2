from __future__ import annotations

import pytest
import torch

from tiny import SHIFTED, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.backbones.backbone import backbone_hash
from unipelt_search.pelt.pack import Pack


def test_a_pack_leaves_the_backbone_as_it_was() -> None:
    from tiny import PARTS

    backbone = tiny_backbone()
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    for method in PARTS:
        with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
            for tensor in pack.trained():
                tensor.parameter.data += 1
    for module in backbone.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "pelt_prefix" not in module.__dict__
    after = backbone.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("family", "length"), [("bert", 64), ("roberta", 62), ("mpnet", 62), ("opt", 64), ("gpt2", 64)]
)
def test_the_longest_text_is_what_the_positions_allow(family: str, length: int) -> None:
    backbone = tiny_backbone(family)
    assert backbone.max_length == length
    ids = torch.full((1, length), 5)
    backbone.base(input_ids=ids, attention_mask=torch.ones_like(ids))


@pytest.mark.parametrize("family", SHIFTED)
@torch.no_grad()
def test_positions_are_the_models_own_and_move_up_row_by_row(family: str) -> None:
    backbone, inputs = tiny_backbone(family), tiny_inputs([9, 4, 6])
    real = inputs["attention_mask"].bool()
    own = backbone.positions_of(inputs["input_ids"], torch.tensor([0, 0, 0]))
    told = backbone.base(**inputs, position_ids=own).last_hidden_state
    assert torch.allclose(told[real], backbone.base(**inputs).last_hidden_state[real], atol=1e-6)
    moved = backbone.positions_of(inputs["input_ids"], torch.tensor([0, 5, 2]))
    assert [(moved - own)[row][real[row]].unique().tolist() for row in range(3)] == [[0], [5], [2]]


def test_the_hash_of_a_backbone_leaves_out_what_every_run_draws() -> None:
    backbone, pooled = tiny_backbone(), tiny_backbone(pooling="mean")
    first, without_pooler = backbone_hash(backbone), backbone_hash(pooled)
    with torch.no_grad():
        backbone.model.classifier.weight.add_(1)
        pooled.base.pooler.dense.weight.add_(1)
    assert backbone_hash(backbone) == first
    assert backbone_hash(pooled) == without_pooler
    with torch.no_grad():
        backbone.base.pooler.dense.weight.add_(1)
    assert backbone_hash(backbone) != first


def test_rows_are_padded_to_the_window_of_a_model_that_does_so_itself() -> None:
    inputs = tiny_inputs([5, 3])
    assert tiny_backbone("bert").in_windows(inputs) is inputs
    padded = tiny_backbone("longformer").in_windows(inputs)
    assert padded["input_ids"].shape == padded["attention_mask"].shape == (2, 8)
    assert padded["attention_mask"].sum() == inputs["attention_mask"].sum()
    assert tiny_backbone("longformer").in_windows(padded) is padded


@pytest.mark.parametrize("family", ["data2vec-text", "luke", "longformer", "markuplm", "esm"])
@torch.no_grad()
def test_a_model_found_by_structure_runs_with_as_many_tokens_as_it_is_said_to_take(family: str) -> None:
    backbone = tiny_backbone(family)
    assert backbone.max_positions < 64
    backbone.model(**tiny_inputs([backbone.max_positions]))
    with pytest.raises((IndexError, RuntimeError)):
        backbone.model(**tiny_inputs([backbone.max_positions + 1]))


def test_a_model_may_say_that_it_has_no_limit_of_positions() -> None:
    backbone = tiny_backbone("bert")
    backbone.model.config.max_position_embeddings = -1  # as XLNet does
    assert backbone.max_positions == 10**6

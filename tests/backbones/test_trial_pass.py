from __future__ import annotations

from dataclasses import replace

import pytest

from tiny import SIZES, tiny_backbone, tiny_model
from unipelt_search.backbones.discovery import find_family
from unipelt_search.backbones.trial_pass import sees_later_tokens, token_numbers, try_out
from unipelt_search.errors import BackboneError


def test_a_projection_that_runs_twice_or_never_is_refused() -> None:
    model = tiny_model("bert").eval()
    family = find_family(model)
    assert try_out(model, family) == family
    wrong = replace(family.stacks[0], value="crossattention")
    model.bert.encoder.layer[0].add_module("crossattention", model.bert.encoder.layer[0].output.dense)
    model.bert.encoder.layer[1].add_module("crossattention", model.classifier)
    tried = try_out(model, replace(family, stacks=(wrong,)))
    assert (tried.stacks[0].query, tried.stacks[0].ffn_out) == (None, "output.dense")
    assert [lack.parts for lack in tried.lacks] == [("query", "key", "value")]


@pytest.mark.parametrize(
    ("model_type", "settings", "later"),
    [
        ("bert", {}, True),
        ("t5", {}, True),
        ("gpt2", {}, False),
        ("llama", {}, False),
        ("llama", {"is_causal": False}, True),
        ("gemma3_text", {"use_bidirectional_attention": True}, True),
    ],
)
def test_the_direction_of_the_attention_is_seen_and_not_asked(
    model_type: str, settings: dict[str, bool], later: bool
) -> None:
    assert sees_later_tokens(tiny_model(model_type, **settings).eval()) is later


def test_what_never_runs_and_what_changes_nothing_is_idle() -> None:
    assert tiny_backbone("big_bird").family.idle == ("bert.pooler",)
    assert tiny_backbone("modernbert-decoder", **SIZES["modernbert"]).family.idle == ("head.dense", "head.norm")
    assert tiny_backbone("ernie").family.idle == ()


def test_biases_that_no_hook_reaches_are_named() -> None:
    unreached = tiny_backbone("jamba").family.unreached
    assert {name.rpartition(".")[2] for name in unreached} == {"conv1d", "dt_proj"}
    assert {name.rpartition(".")[2] for name in tiny_backbone("gpt_oss").family.unreached} == {"router"}


def test_rows_of_a_model_that_pads_by_itself_are_as_long_as_its_window() -> None:
    config = tiny_model("longformer").config
    assert token_numbers(config).shape == (2, 4)
    assert token_numbers(tiny_model("bert").config).shape == (2, 5)


def test_a_model_that_needs_more_than_tokens_is_refused() -> None:
    model = tiny_model("bert").eval()
    model.bert.forward = None
    with pytest.raises(BackboneError, match="token numbers and a padding mask alone; type 'bert' raised TypeError"):
        sees_later_tokens(model)

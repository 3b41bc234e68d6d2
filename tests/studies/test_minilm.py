"""The real thing, small: MiniLM on real questions, trained for a few seconds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from editions import NEWEST

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.backbones.load_backbone import MINILM_PACKAGE, load_backbone
from unipelt_search.records.results import RunResult
from unipelt_search.search.space import published
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import BackboneSpec, SpaceSpec, TaskSpec
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.encode import EncodedTask, encode_task
from unipelt_search.tasks.load import load_task
from unipelt_search.training.train import train

DATA = Path(os.environ.get("UNIPELT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def minilm() -> Backbone:
    pytest.importorskip(MINILM_PACKAGE, reason="the extra `demo` is not installed")
    return load_backbone(BackboneSpec(model="minilm"), 6, "cpu")


@pytest.fixture(scope="module")
def trec(minilm: Backbone) -> EncodedTask:
    if not (DATA / "trec").is_dir():
        pytest.skip(f"the dataset trec is not in {DATA}; name its folder in UNIPELT_TEST_DATA")
    task = load_task(TaskSpec(data=str(DATA / "trec"), text=("sentence",), label="label", train_size=100), 0)
    return encode_task(task, minilm.tokenizer, 128)


def test_the_alias_is_the_packaged_model_with_its_declared_pooling(minilm: Backbone) -> None:
    assert (minilm.pooling, minilm.new_modules, minilm.max_length) == ("mean", ("classifier",), 512)
    assert len(layer_parts(minilm.base, minilm.family)) == 6


@pytest.mark.parametrize("method", ["lora", "unipelt_apl"])
def test_a_short_run_beats_the_linear_probe_and_its_gates_differ(
    minilm: Backbone, trec: EncodedTask, method: str
) -> None:
    torch.set_num_threads(1)
    space = SpaceSpec(steps=60, evaluations=2)
    trial = published(method, space, 100, NEWEST)[0]
    (result,) = train([RunSpec(trial=trial, seeds=run_seeds(0, 1), confirm=True)], minilm, trec, tune_rows=200)
    assert isinstance(result, RunResult)
    assert result.test is not None
    assert result.test["accuracy"] > 0.75  # a linear probe reaches about 0.70, the most frequent label 0.19
    final = {(row.layer, row.gate): row.mean for row in result.gates if row.split == "select" and row.label is None}
    if method == "unipelt_apl":
        assert len(final) == 6 * 4
        values = [final[layer, "lora_query"] for layer in range(6)]
        assert max(values) - min(values) > 0.05
    else:
        assert not final

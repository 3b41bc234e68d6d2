from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from model_folders import save_whole
from tiny import tiny_backbone, tiny_inputs, tiny_model, tiny_run, tiny_tokenizer, tiny_trial
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.declared_pooling import SENTENCE_TRANSFORMERS_MODES, read_declared
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.head import pool
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.pooling import MODES
from unipelt_search.specs.study import BackboneSpec

_FLAGS = {
    "mean": "mean_tokens", "cls": "cls_token", "last": "lasttoken", "max": "max_tokens",
    "weighted_mean": "weightedmean_tokens", "mean_sqrt_length": "mean_sqrt_len_tokens",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_whole(tmp_path)


def declare(folder: Path, config: object, place: str = "1_Pooling") -> None:
    (folder / place).mkdir()
    (folder / place / "config.json").write_text(json.dumps(config))


def loaded(folder: Path, **spec: Any) -> Backbone:
    return load_backbone(BackboneSpec(model=str(folder), **spec), 2, "cpu")


@pytest.mark.parametrize(("pooling", "flag"), _FLAGS.items())
def test_truth_values_of_older_versions_are_read(folder: Path, pooling: str, flag: str) -> None:
    declare(folder, {f"pooling_mode_{flag}": True, "pooling_mode_other": False})
    assert loaded(folder).pooling == pooling
    assert loaded(folder, pooling="native").pooling == "native"


@pytest.mark.parametrize(("theirs", "ours"), SENTENCE_TRANSFORMERS_MODES.items())
def test_names_of_version_6_are_read(folder: Path, theirs: str, ours: str) -> None:
    declare(folder, {"embedding_dimension": 32, "pooling_mode": theirs, "include_prompt": True})
    assert loaded(folder).pooling == ours


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode": ["max", "cls"]}, "max+cls"),
        ({"pooling_mode": ["mean"]}, "mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "cls+mean"),
        ({"pooling_mode_max_tokens": False}, "mean"),
    ],
)
def test_several_modes_are_joined_in_their_order(folder: Path, config: object, pooling: str) -> None:
    declare(folder, config)
    backbone = loaded(folder)
    assert (backbone.pooling, backbone.notices) == (pooling, ())
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        assert pack(tiny_inputs([5, 3])).shape == (1, 2, 2)


def test_a_study_of_edition_1_goes_on_with_what_it_read(folder: Path) -> None:
    declare(folder, {"pooling_mode": "mean"})
    spec = BackboneSpec(model=str(folder))
    assert load_backbone(spec, 2, "cpu", edition=1).pooling == "native"
    assert load_backbone(spec, 2, "cpu", edition=2).pooling == "mean"
    declare_flags = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    (folder / "1_Pooling/config.json").write_text(json.dumps(declare_flags))
    assert load_backbone(spec, 2, "cpu", edition=1).pooling == "mean"


def modules(*listed: tuple[str, str]) -> str:
    return json.dumps([{"idx": i, "type": f"sentence_transformers.models.{kind}", "path": path}
                       for i, (kind, path) in enumerate(listed)])  # fmt: skip


def test_the_list_of_modules_names_the_folder(folder: Path) -> None:
    declare(folder, {"pooling_mode": "max"}, "2_Pooling")
    (folder / "modules.json").write_text(
        modules(("Transformer", ""), ("Pooling", "2_Pooling"), ("Dense", "3_Dense"), ("Normalize", "4_Normalize"))
    )
    assert read_declared(str(folder)).unused == ("Dense", "Normalize")
    backbone = loaded(folder)
    assert backbone.pooling == "max"
    (notice,) = backbone.notices
    assert (notice.code, notice.values) == ("modules_unused", {"modules": ("Dense",)})


def test_modules_without_a_pooling_declare_none(folder: Path) -> None:
    declare(folder, {"pooling_mode": "max"})
    (folder / "modules.json").write_text(modules(("Transformer", "")))
    assert loaded(folder).pooling == "native"


@pytest.mark.parametrize("place", ["../elsewhere", "/etc"])
def test_a_pooling_outside_of_the_folder_is_refused(folder: Path, place: str) -> None:
    (folder / "modules.json").write_text(modules(("Pooling", place)))
    with pytest.raises(BackboneError, match="must have a readable modules.json"):
        loaded(folder)


def test_a_mode_that_cannot_be_computed_is_said(folder: Path) -> None:
    declare(folder, {"pooling_mode": "attention"})
    backbone = loaded(folder)
    (notice,) = backbone.notices
    assert backbone.pooling == "native"
    assert (notice.code, notice.severity) == ("pooling_unknown", "warning")
    assert notice.values == {"declared": "attention", "used": "native"}


def test_a_declared_pooling_that_does_not_fit_is_said(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    declare(tmp_path, {"pooling_mode": "cls"})
    backbone = loaded(tmp_path)
    assert backbone.pooling == "last"
    assert [(notice.code, notice.values["declared"]) for notice in backbone.notices] == [("pooling_unfit", "cls")]


@pytest.mark.parametrize(
    ("family", "pooling", "message"),
    [
        ("t5", "mean", "auto or native for an encoder-decoder"),
        ("llama", "cls", "first token sees no other"),
        ("llama", "mean+cls", "first token sees no other"),
    ],
)
def test_a_pooling_that_does_not_fit_is_refused(family: str, pooling: str, message: str) -> None:
    with pytest.raises(BackboneError) as error:
        tiny_backbone(family, pooling=pooling)
    assert str(error.value).startswith("backbone.pooling must be ")
    assert message in str(error.value)
    assert f"got '{pooling}' for '{family}'" in str(error.value)


@pytest.mark.parametrize("family", ["distilbert", "electra", "deberta-v2", "modernbert", "albert", "mpnet"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last", "weighted_mean+max"])
@torch.no_grad()
def test_other_poolings_are_one_linear_layer_on_any_encoder(family: str, pooling: str) -> None:
    backbone, inputs = tiny_backbone(family, pooling=pooling), tiny_inputs([6, 3])
    hidden = backbone.base(**inputs).last_hidden_state
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        ((name, linear),) = pack.parts.items()
        expected = pool(hidden, inputs["attention_mask"].float(), pooling) @ linear.weight[0].T + linear.bias[0]
        assert torch.allclose(pack(inputs)[0], expected, atol=1e-5)
    assert name.startswith("head/")


_TEXTS = ("w1 w2 w3 w4 w5", "w7", "w8 w9 w10")


@pytest.mark.parametrize("modes", [*[(mode,) for mode in SENTENCE_TRANSFORMERS_MODES], ("lasttoken", "max", "mean")])
@torch.no_grad()
def test_vectors_equal_those_of_sentence_transformers(folder: Path, tmp_path: Path, modes: Sequence[str]) -> None:
    package = pytest.importorskip("sentence_transformers", reason="the package that is compared with is not installed")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    transformer = modules.Transformer(str(folder))
    pooling = modules.Pooling(32, pooling_mode=modes if len(modes) > 1 else modes[0])
    theirs = package.SentenceTransformer(modules=[transformer, pooling], device="cpu")
    theirs.save(str(tmp_path / "saved"))
    backbone = loaded(tmp_path / "saved")
    assert backbone.pooling == "+".join(SENTENCE_TRANSFORMERS_MODES[mode] for mode in modes)
    inputs = backbone.tokenizer(list(_TEXTS), padding=True, return_tensors="pt")
    hidden = backbone.base(**inputs).last_hidden_state
    ours = pool(hidden, inputs["attention_mask"], backbone.pooling)
    assert torch.allclose(ours, theirs.encode(list(_TEXTS), convert_to_tensor=True), atol=1e-5)


def test_every_mode_is_declared_somewhere() -> None:
    assert set(SENTENCE_TRANSFORMERS_MODES.values()) == set(MODES) == set(_FLAGS)

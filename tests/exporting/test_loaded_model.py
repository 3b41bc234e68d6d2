"""What is exported answers as the pack that was trained did, for every method."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from exported_study import PAIRS, TEXTS, Trained, save_toy, train_toy
from tokenizers.normalizers import Replace
from tokenizers.processors import TemplateProcessing

import tiny
from tiny import PARTS, SETS
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import RequestError, SavedModelError
from unipelt_search.exporting.export import OutputFolders, export_run
from unipelt_search.exporting.loaded_model import LoadedModel, load_saved
from unipelt_search.exporting.saved_model import read_description
from unipelt_search.exporting.table_source import ROWS_AT_ONCE
from unipelt_search.kinds.label_kind import Prediction, Target
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.specs.study import BackboneSpec
from unipelt_search.tasks.encode import encode_texts


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("toys")
    for family in ("bert", "roberta", "qwen2", "llama"):
        save_toy(made / family, family)
    return made


def exported(trained: Trained, to: Path) -> LoadedModel:
    export_run(trained.record, trained.run, OutputFolders(to))
    return load_saved(to, "cpu")


def shares(predictions: list[Prediction]) -> torch.Tensor:
    return torch.tensor([list(prediction.probabilities.values()) for prediction in predictions])


CASES = [("bert", method) for method in (*PARTS, *SETS)] + [
    ("roberta", "lora"),
    ("qwen2", "unipelt_apl"),
    ("llama", "lora"),
]


@pytest.mark.parametrize(("family", "method"), CASES)
def test_predictions_equal_the_trained_packs(toys: Path, tmp_path: Path, family: str, method: str) -> None:
    trained = train_toy(toys / family, method, tmp_path / "kept")
    model = exported(trained, tmp_path / "out")
    predictions = model.predict(TEXTS)
    assert torch.allclose(shares(predictions), trained.logits.softmax(-1), atol=1e-6)
    assert [p.label for p in predictions] == [f"kind {number}" for number in trained.logits.argmax(-1).tolist()]
    assert model.predict(TEXTS) == predictions  # and again: it stays warm
    assert model.method == method
    assert method in repr(model)


def test_pairs_and_another_pooling(toys: Path, tmp_path: Path) -> None:
    trained = train_toy(toys / "bert", "unipelt_al", tmp_path / "kept", pair=True, pooling="mean")
    model = exported(trained, tmp_path / "out")
    assert model.text == ("sentence", "second")
    assert torch.allclose(shares(model.predict(PAIRS)), trained.logits.softmax(-1), atol=1e-6)
    with pytest.raises(RequestError, match="takes a list of pairs of texts; got str 'w1' in row 0"):
        model.predict(["w1"])


@pytest.fixture(scope="module")
def gated(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    made = tmp_path_factory.mktemp("gated")
    return exported(train_toy(toys / "bert", "unipelt_apl", made / "kept", learning_rate=0.1), made / "out")


def test_gates_are_those_of_the_formula(gated: LoadedModel, toys: Path) -> None:
    """The first layer's prefix gate: mean over tokens of sigmoid(x · w + b), x straight from the embeddings."""
    frame = gated.gates(TEXTS)
    assert list(frame.columns) == ["row", "layer", "gate", "value", "open"]
    assert len(frame) == len(TEXTS) * 2 * 4
    assert (frame["open"] == (frame["value"] > 0.5)).all()
    backbone = load_backbone(BackboneSpec(model=str(toys / "bert" / "model")), 3, "cpu")
    weights = gated._pack.slot_state_dict(0)
    for row, text in enumerate(TEXTS):
        ids = encode_texts([(text,)], backbone.tokenizer, 16).input_ids[0]
        with torch.no_grad():
            x = backbone.base.embeddings(input_ids=torch.from_numpy(ids)[None])[0]
            expected = torch.sigmoid(x @ weights["gate.0.prefix.weight"] + weights["gate.0.prefix.bias"]).mean()
        found = frame[(frame["row"] == row) & (frame["layer"] == 0) & (frame["gate"] == "prefix")]["value"].item()
        assert found == pytest.approx(float(expected), abs=1e-6)


def test_gates_of_nothing_and_of_no_gates(gated: LoadedModel, toys: Path, tmp_path: Path) -> None:
    assert list(gated.gates([]).columns) == ["row", "layer", "gate", "value", "open"]
    assert gated.predict([]) == []
    plain = exported(train_toy(toys / "bert", "lora", tmp_path / "kept", steps=1), tmp_path / "out")
    with pytest.raises(RequestError, match="Only gated methods have gates; this model is lora"):
        plain.gates(TEXTS)


def test_many_rows_in_any_order_are_answered_in_order(gated: LoadedModel) -> None:
    texts = [" ".join(f"w{(7 * row + output) % 60}" for output in range(1 + row % 9)) for row in range(70)]
    together, alone = shares(gated.predict(texts)), torch.cat([shares(gated.predict([text])) for text in texts])
    assert torch.allclose(together, alone, atol=1e-6)


def test_rows_that_cannot_be_read_have_a_reason_and_no_prediction(
    gated: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("w1 w2",), ("",), ("a\x00",), ("w50",), ("w2",)]
    predictions, reasons = gated.predict_rows(rows)
    assert reasons == [None, "empty", "invalid_unicode", None, None]
    assert [prediction is None for prediction in predictions] == [False, True, True, False, False]
    found = [prediction for prediction in predictions if prediction is not None]
    assert torch.allclose(shares(found), shares(gated.predict(["w1 w2", "w50", "w2"])), atol=1e-6)
    (number,) = gated._pack.backbone.tokenizer.convert_tokens_to_ids(["w50"])
    monkeypatch.setattr("unipelt_search.exporting.loaded_model.embedding_rows", lambda name, model: number)
    assert gated.predict_rows(rows)[1] == [None, "empty", "invalid_unicode", "no_embedding", None]
    assert gated.predict_rows([("",)]) == ([None], ["empty"])
    assert gated.predict_rows([]) == ([], [])


def test_a_tokenizer_that_finds_nothing_is_a_reason(gated: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tiny.tiny_tokenizer()
    bare.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    monkeypatch.setattr(gated._pack, "backbone", replace(gated._pack.backbone, tokenizer=bare))
    found, reasons = gated.predict_rows([("w1",), ("\u00ad",)])
    assert reasons == [None, None]  # a soft hyphen is an unknown word
    monkeypatch.setattr(bare.backend_tokenizer, "normalizer", Replace("\u00ad", ""))
    found, reasons = gated.predict_rows([("w1",), ("\u00ad",)])
    assert reasons == [None, "no_token"]
    assert found[1] is None


def test_a_file_is_predicted_in_pieces(gated: LoadedModel, tmp_path: Path) -> None:
    texts = [f"w{row % 60}" if row % 5 else "" for row in range(ROWS_AT_ONCE + 10)]
    (tmp_path / "a.csv").write_text("key,body\n" + "".join(f"k{row},{text}\n" for row, text in enumerate(texts)))
    pieces = list(gated.predict_table(tmp_path / "a.csv", text=["body"], ids=["key"]))
    assert [len(piece) for piece in pieces] == [ROWS_AT_ONCE, 10]
    frame = pd.concat(pieces)
    assert list(frame.index) == list(range(ROWS_AT_ONCE + 10))
    assert frame["key"].tolist() == [f"k{row}" for row in range(ROWS_AT_ONCE + 10)]
    assert frame["reason"].isna().tolist() == [bool(text) for text in texts]
    columns = [f"probability of {label}" for label in gated.labels]
    assert list(frame.columns) == ["key", "label", *columns, "reason"]
    expected = shares(gated.predict([text for text in texts if text]))
    assert np.allclose(frame[columns].dropna().to_numpy(), expected.numpy(), atol=1e-6)
    with pytest.raises(RequestError, match="--text must name a column of a.csv; got 'sentence'"):
        next(gated.predict_table(str(tmp_path / "a.csv")))


@pytest.mark.parametrize(
    ("texts", "pattern"),
    [
        ("one text", "got one text. Put it into a list"),
        ([("a", "b")], "takes a list of texts; got tuple"),
        (["a", 3], "got int '3' in row 1"),
        (["a\ud800"], "valid Unicode; half of a surrogate pair is in row 0"),
    ],
)
def test_what_is_no_text(gated: LoadedModel, texts: object, pattern: str) -> None:
    with pytest.raises(RequestError, match=pattern):
        gated.predict(texts)  # type: ignore[arg-type]


def test_only_the_same_backbone_will_do(toys: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(toys / "bert", tmp_path / "home"))
    trained = train_toy(home, "lora", tmp_path / "kept", steps=1)
    before = exported(trained, tmp_path / "out").predict(TEXTS)
    home.rename(tmp_path / "moved")
    with pytest.raises(SavedModelError, match="needs its backbone .* which cannot be loaded. If it lies elsewhere"):
        load_saved(tmp_path / "out", "cpu")
    assert load_saved(tmp_path / "out", "cpu", str(tmp_path / "moved" / "model")).predict(TEXTS) == before
    with pytest.raises(SavedModelError, match="works only on the backbone that it was trained on"):
        load_saved(tmp_path / "out", "cpu", str(toys / "roberta" / "model"))


def test_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="device must be 'cpu' or 'cuda'; got 'tpu'"):
        load_saved(tmp_path, "tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RequestError, match="there is none. Choose 'cpu'"):
        load_saved(tmp_path, "cuda")


def test_answers_are_a_softmax_that_does_not_overflow() -> None:
    logits = np.array([[1000.0, 0.0], [0.0, np.log(3.0)]], dtype=np.float32)
    first, second = Target("classification", ("no", "yes")).predictions(logits)
    assert first == Prediction("no", {"no": 1.0, "yes": 0.0})
    assert second.label == "yes"
    assert second.probabilities["yes"] == pytest.approx(0.75)


def test_a_stored_prefix_needs_no_mlp(toys: Path, tmp_path: Path) -> None:
    trained = train_toy(toys / "bert", "unipelt_pl", tmp_path / "kept", steps=1)
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out"))
    saved = read_description(tmp_path / "out")
    assert saved.trial.prefix is not None
    assert saved.trial.prefix.mlp == 12
    assert load_saved(tmp_path / "out", "cpu")._pack.parts["prefix"].embedding is None


@pytest.mark.parametrize("method", ["prefix", "unipelt_pl"])
def test_positions_stay_behind_a_loaded_prefix(toys: Path, tmp_path: Path, method: str) -> None:
    prefix = PrefixSpec(length=4, mlp=12, position_shift=True)
    trained = train_toy(toys / "roberta", method, tmp_path / "kept", prefix=prefix, learning_rate=5e-2)
    loaded = exported(trained, tmp_path / "out")
    assert loaded.saved.trial.prefix == prefix
    assert torch.allclose(shares(loaded.predict(TEXTS)), trained.logits.softmax(1), atol=1e-6)

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from tiny import tiny_model, tiny_tokenizer
from unipelt_search.backbones.load_backbone import load_backbone, make_backbone
from unipelt_search.backbones.tokenizer_check import check_vocabulary, unknown_share, unknown_tokens
from unipelt_search.errors import BackboneError
from unipelt_search.specs.study import BackboneSpec

_WORDS = ["the", "cat", "sat", "on", "mat", "dog", "house", "good", "bad", "film", "story", "nice", "terrible", "food"]
_T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
_ALBERT = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]}
_DEBERTA = {**_ALBERT, "unk_id": 3, "unk_piece": "[UNK]", "pad_piece": "[PAD]", "control_symbols": ["[CLS]", "[SEP]"]}
_SPM: dict[str, tuple[str, dict[str, Any], int]] = {
    "deberta-v2": ("spm.model", _DEBERTA, 70),
    "t5": ("spiece.model", _T5, 170),
    "albert": ("spiece.model", _ALBERT, 70),
    "xlm-roberta": ("sentencepiece.bpe.model", {}, 70),
    "camembert": ("sentencepiece.bpe.model", {}, 70),
    "llama": ("tokenizer.model", {"model_type": "bpe", "byte_fallback": True}, 310),
}
"""The file that each is published with, how its pieces are laid out, and embeddings."""


def train_pieces(file: Path, **settings: Any) -> None:
    """Make the file of a sentencepiece model that knows a few words."""
    chance = random.Random(0)
    lines = [" ".join(chance.choices(_WORDS, k=8)) for _ in range(300)]
    size = 300 if settings.get("byte_fallback") else 60
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=str(file.with_suffix("")),
        vocab_size=size,
        hard_vocab_limit=False,
        minloglevel=2,
        **settings,
    )
    file.with_suffix(".vocab").unlink()


@pytest.mark.parametrize("family", _SPM)
def test_a_folder_with_only_the_sentencepiece_file_loads(tmp_path: Path, family: str) -> None:
    name, settings, rows = _SPM[family]
    tiny_model(family, vocab_size=rows).save_pretrained(tmp_path)
    train_pieces(tmp_path / name, **settings)
    backbone = load_backbone(BackboneSpec(model=str(tmp_path)), 2, "cpu")
    known = backbone.tokenizer(["the cat sat on the mat"])["input_ids"]
    assert unknown_share(known, backbone.tokenizer) == 0
    foreign = unknown_share(backbone.tokenizer(["\u732b\U0001f600"])["input_ids"], backbone.tokenizer)
    assert foreign == 0 if family == "llama" else foreign > 0.3  # Llama's falls back on bytes


@pytest.mark.parametrize(
    "family", ["bert", "distilbert", "roberta", "gpt2", "t5", "xlm-roberta", "llama", "deberta-v2"]
)
def test_a_tokenizer_that_was_made_up_is_refused(tmp_path: Path, family: str) -> None:
    tiny_model(family).save_pretrained(tmp_path)
    with pytest.raises(BackboneError, match="tokenizer"):
        load_backbone(BackboneSpec(model=str(tmp_path)), 2, "cpu")


def test_a_vocabulary_file_alone_is_enough(tmp_path: Path) -> None:
    tiny_model("bert").save_pretrained(tmp_path)
    words = "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *[f"w{number}" for number in range(55)]])
    (tmp_path / "vocab.txt").write_text(words)
    backbone = load_backbone(BackboneSpec(model=str(tmp_path)), 2, "cpu")
    assert backbone.tokenizer("w3 w5")["input_ids"] == [2, 8, 10, 3]


@pytest.mark.parametrize(("rows", "code"), [(64, None), (70, None), (100, "few_tokens"), (128, "few_tokens")])
def test_embeddings_without_tokens_are_said_or_not(rows: int, code: str | None) -> None:
    notices = check_vocabulary("m", tiny_model("bert", vocab_size=rows), tiny_tokenizer())
    assert [notice.code for notice in notices] == ([code] if code else [])
    for notice in notices:
        assert notice.values == {"tokens": 64, "embeddings": rows}


def _with_words(count: int) -> PreTrainedTokenizerFast:
    special = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    names = [*special.values(), *[f"w{number}" for number in range(count)]]
    words = WordLevel({name: number for number, name in enumerate(names)}, unk_token="[UNK]")
    given = {f"{role}_token": token for role, token in special.items()}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), **given)


@pytest.mark.parametrize(("tokens", "rows"), [(17, 64), (30, 64), (60, 128)])
def test_few_tokens_are_enough_where_the_embeddings_are_padded(tokens: int, rows: int) -> None:
    """Models of characters, proteins and bases have so few."""
    (notice,) = check_vocabulary("m", tiny_model("bert", vocab_size=rows), _with_words(tokens - 5))
    assert (notice.code, notice.values) == ("few_tokens", {"tokens": tokens, "embeddings": rows})


@pytest.mark.parametrize(("words", "rows"), [(0, 64), (25, 96), (60, 256)])
def test_fewer_tokens_than_padding_explains_are_refused(words: int, rows: int) -> None:
    with pytest.raises(BackboneError, match=f"has {words + 5} tokens for {rows} embeddings"):
        check_vocabulary("m", tiny_model("bert", vocab_size=rows), _with_words(words))


def test_a_padding_token_that_was_added_without_an_embedding_is_a_fault_of_the_tokenizer(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "<blank>"})
    tokenizer.save_pretrained(tmp_path)
    tiny_model("llama", pad_token_id=None).save_pretrained(tmp_path)
    with pytest.raises(BackboneError, match="must not have more tokens than its model .* 65 tokens for 64 embeddings"):
        load_backbone(BackboneSpec(model=str(tmp_path)), 2, "cpu")


@pytest.mark.parametrize("rows", [63, 129, 1000])
def test_a_vocabulary_of_another_size_is_refused(rows: int) -> None:
    with pytest.raises(BackboneError, match=f"has 64 tokens for {rows} embeddings"):
        make_backbone("m", tiny_model("bert", vocab_size=rows), tiny_tokenizer(), "native", set(), "cpu")


def test_a_spare_token_beyond_the_embeddings_is_said() -> None:
    """Gemma 3's smallest model has one for pictures, and no embedding of it."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken("<picture>", special=True)]})
    (notice,) = check_vocabulary("m", tiny_model("bert"), tokenizer)
    assert (notice.code, notice.values) == ("tokens_without_embedding", {"tokens": ("<picture>",)})


@pytest.mark.parametrize("added", ["word", "padding"])
def test_a_token_that_texts_have_needs_an_embedding(added: str) -> None:
    tokenizer = tiny_tokenizer()
    if added == "word":
        tokenizer.add_tokens(["w99"])
    else:
        tokenizer.add_special_tokens({"pad_token": "<blank>"})
    with pytest.raises(BackboneError, match="must not have more tokens than its model .* 65 tokens for 64 embeddings"):
        check_vocabulary("m", tiny_model("bert"), tokenizer)


def test_unknown_tokens_are_counted_among_those_of_words() -> None:
    tokenizer = tiny_tokenizer()
    assert unknown_tokens(tokenizer) == {1}
    assert unknown_share(tokenizer(["w1 w2", "never w3"])["input_ids"], tokenizer) == 0.25
    assert unknown_share([[2, 3]], tokenizer) == 0


def test_an_unknown_token_that_is_another_special_one_is_never_counted() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.unk_token = tokenizer.bos_token = "w0"
    tokenizer.add_special_tokens({"cls_token": "[UNK]"})
    assert unknown_tokens(tokenizer) == frozenset()

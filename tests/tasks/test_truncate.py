from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from unipelt_search.specs.study import Side
from unipelt_search.tasks.truncate import _shorten, encode_rows

DRAW = random.Random(5)
SYLLABLES = ("ba", "ru", "ki", "lo", "ne", "str", "ing", "ä", "ß", "日", "x")
MOST = 12
"""Tokens of a row, of which most tests allow as many or one fewer: an odd token has to go somewhere."""


def words(count: int) -> str:
    made = []
    for _ in range(count):
        made.append("".join(DRAW.choices(SYLLABLES, k=DRAW.randrange(1, 5))))
    return DRAW.choice([" ", "  ", "\n", ", "]).join(made)


CORPUS = [words(60) for _ in range(60)]


def trained(model: Any, trainer: Any, single: str, pair: str, **parts: Any) -> PreTrainedTokenizerFast:
    """Train a small tokenizer that puts special tokens around its texts as a template says."""
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(CORPUS, trainer)
    special = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    if single != "$A":
        tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")


def settings(size: int) -> dict[str, Any]:
    return {"vocab_size": size, "special_tokens": ["[PAD]", "[UNK]", "[CLS]", "[SEP]"], "show_progress": False}


def like_bert() -> PreTrainedTokenizerBase:
    tokenizer = trained(
        models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(**settings(90)),
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1",
        normalizer=normalizers.BertNormalizer(), pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
    )  # fmt: skip
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer


def like_roberta() -> PreTrainedTokenizerBase:
    return trained(
        models.BPE(), trainers.BpeTrainer(**settings(320), initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
        "[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]", pre_tokenizer=pre_tokenizers.ByteLevel(),
    )  # fmt: skip


def like_gpt2() -> PreTrainedTokenizerBase:
    return trained(
        models.BPE(), trainers.BpeTrainer(**settings(320), initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
        "$A", "$A $B", pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False),
    )  # fmt: skip


def like_t5() -> PreTrainedTokenizerBase:
    return trained(
        models.Unigram(), trainers.UnigramTrainer(**settings(90), unk_token="[UNK]"), "$A [SEP]", "$A [SEP] $B [SEP]",
        pre_tokenizer=pre_tokenizers.Metaspace(), decoder=decoders.Metaspace(),
    )  # fmt: skip


def like_llama() -> PreTrainedTokenizerBase:
    """Make a tokenizer whose pairs of pieces are merged in a whole text, not word by word."""
    spaces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return trained(
        models.BPE(unk_token="[UNK]"), trainers.BpeTrainer(**settings(90), max_token_length=3), "[CLS] $A",
        "[CLS] $A [CLS] $B", normalizer=spaces, pre_tokenizer=pre_tokenizers.Metaspace(split=False),
    )  # fmt: skip


KINDS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "bert": like_bert,
    "roberta": like_roberta,
    "gpt2": like_gpt2,
    "t5": like_t5,
    "llama": like_llama,
    "in Python": ByT5Tokenizer,
}
PER_TOKEN = 8
HUGE = [words(60), "ba" * 90 + " " + words(20), words(20) + " " + "a" * 181, "日" * 150]
"""Of more characters than a text may have before it is shortened. Tokenizers cut long pairs in quadratic time."""
TEXTS = [words(count) for count in (1, 2, 3, 4, 6, 9, 30)] + HUGE
SPECIAL = {"bert": (1, 1), "roberta": (1, 2), "gpt2": (0, 0), "t5": (0, 1), "llama": (1, 1), "in Python": (0, 1)}
"""How many special tokens each puts before the first text, and between two."""
ROWS = {
    "texts": [(text,) for text in TEXTS],
    "pairs": [(one, DRAW.choice(TEXTS)) for one in TEXTS for _ in range(2)] + [(HUGE[1], HUGE[0])],
}


@pytest.fixture(autouse=True)
def few_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipelt_search.tasks.truncate.CHARACTERS_PER_TOKEN", PER_TOKEN)


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    made = KINDS[request.param]()
    # Another side than that which is asked for must do no harm, and must still be there afterwards.
    made.truncation_side = "left"
    return made


def own(tokenizer: PreTrainedTokenizerBase, row: tuple[str, ...], max_length: int, side: str) -> dict[str, list[int]]:
    """Return what the tokenizer itself makes of a row."""
    before = tokenizer.truncation_side
    tokenizer.truncation_side = side
    made = dict(tokenizer(*row, truncation="longest_first", max_length=max_length))
    tokenizer.truncation_side = before
    return made


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("max_length", [MOST, MOST - 1])
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_tokens_are_those_that_the_tokenizer_keeps(
    tokenizer: PreTrainedTokenizerBase, side: Side, max_length: int, rows: str
) -> None:
    encoded, cut = encode_rows(ROWS[rows], tokenizer, max_length, side)
    for number, row in enumerate(ROWS[rows]):
        for key, values in own(tokenizer, row, max_length, side).items():
            assert encoded[key][number] == values, (key, number)
    longer = [row for row in ROWS[rows] if len(tokenizer(*row, verbose=False)["input_ids"]) > max_length]
    assert cut == len(longer) > 0
    assert tokenizer.truncation_side == "left"


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("max_length", [MOST, MOST - 1])
def test_head_and_tail_are_halves_of_what_the_tokenizer_keeps_of_each_text(
    tokenizer: PreTrainedTokenizerBase, max_length: int, rows: str, request: pytest.FixtureRequest
) -> None:
    encoded, cut = encode_rows(ROWS[rows], tokenizer, max_length, "head_tail")
    before, between = SPECIAL[request.node.callspec.params["tokenizer"]]
    for number, row in enumerate(ROWS[rows]):
        right = own(tokenizer, row, max_length, "right")
        left = own(tokenizer, row, max_length, "left")
        texts = [tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] for text in row]
        expected = list(right["input_ids"])
        place = before
        for ids, kept in zip(texts, kept_tokens(texts, right, left, before, between), strict=True):
            head = (kept + 1) // 2
            expected[place : place + kept] = ids[:head] + ids[len(ids) - kept + head :]
            place += kept + between
        assert encoded["input_ids"][number] == expected, number
        if "token_type_ids" in right:
            assert encoded["token_type_ids"][number] == right["token_type_ids"] == left["token_type_ids"]
    assert cut == encode_rows(ROWS[rows], tokenizer, max_length, "right")[1]


def kept_tokens(
    texts: list[list[int]], right: dict[str, list[int]], left: dict[str, list[int]], before: int, between: int
) -> list[int]:
    """Find how many tokens of each text the tokenizer has kept: those that explain both its answers."""
    starts, ends = right["input_ids"], left["input_ids"]
    if len(texts) == 1:
        content = [number for number in starts if number in texts[0]]
        return [min(len(texts[0]), len(content))]
    for first in range(min(len(texts[0]), len(starts)), -1, -1):
        behind = before + first + between
        for second in range(min(len(texts[1]), len(starts) - behind), -1, -1):
            explained = (
                starts[before : before + first] == texts[0][:first]
                and ends[before : before + first] == texts[0][len(texts[0]) - first :]
                and starts[behind : behind + second] == texts[1][:second]
                and ends[behind : behind + second] == texts[1][len(texts[1]) - second :]
            )
            if explained:
                return [first, second]
    raise AssertionError("no lengths explain what the tokenizer has kept")


def test_texts_of_very_many_characters_are_shortened_between_words(tokenizer: PreTrainedTokenizerBase) -> None:
    most = PER_TOKEN * MOST
    long = (HUGE[0],)
    for end, kept in (("right", long[0][: 2 * most]), ("left", long[0][-2 * most :])):
        (shortened,) = _shorten([long], tokenizer, MOST, end)
        assert most <= len(shortened[0]) < 2 * most
        assert shortened[0] in kept


def test_a_text_with_too_few_tokens_at_one_end_stays_whole() -> None:
    few = ("ba" + " " * 2 * PER_TOKEN * MOST + "ru",)
    assert _shorten([few], like_bert(), MOST, "right") == _shorten([few], like_bert(), MOST, "left") == [few]


def test_without_a_stored_side_the_end_is_cut_to_characters_first() -> None:
    tokenizer = like_bert()
    long = (words(60),)
    for side in ("right", "left"):
        tokenizer.truncation_side = side
        encoded, cut = encode_rows([long, ("ba",)], tokenizer, MOST, None)
        assert cut == 1
        shortened = (long[0][: PER_TOKEN * MOST],)
        assert encoded["input_ids"][0] == own(tokenizer, shortened, MOST, side)["input_ids"]
    assert encoded["input_ids"][0] != own(tokenizer, long, MOST, "left")["input_ids"]

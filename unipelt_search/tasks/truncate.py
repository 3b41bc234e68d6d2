"""Rows of texts become token numbers, and rows with too many are cut on the side that is asked.

Which tokens are kept is the tokenizer's own affair: of one text the first or the last, of a pair it cuts the longer
text until both are equally long, and then both (`longest_first`). `head_tail` keeps as many tokens of each text, the
first half and the last half of them; an odd one belongs to the first half.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from unipelt_search.specs.study import Side

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHARACTERS_PER_TOKEN = 64
"""A text of more characters per allowed token is shortened first: a token takes far more memory than a character."""
EDGE_TOKENS = 16
"""Tokens next to a shortened text's new edge that are never kept, since the edge may have changed them."""
_GAP = re.compile(r"(?<=[^ \t\r\n])[ \t\r\n]")
"""Where a text is shortened: tokens of one word do not depend on another word."""

Rows = Sequence[tuple[str, ...]]
Encoded = dict[str, list[list[int]]]
_Owners = list[list[int | None]]
_End = Literal["right", "left"]


def encode_rows(
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    side: Side | None,
) -> tuple[Encoded, int]:
    """Tokenize rows and cut those that are too long.

    Args:
        rows: One text per row, or the two of a pair.
        tokenizer: The backbone's tokenizer.
        max_length: Tokens of a row at most, special ones included.
        side: The side that is cut. None is the way of studies that did not store it: every text is cut at the right to
            `CHARACTERS_PER_TOKEN` characters per token, then tokens are cut on the tokenizer's own side.

    Returns:
        What the tokenizer gives for each row, by name, and how many rows were cut.
    """
    if side is None:
        return _encode_unstated(rows, tokenizer, max_length)
    first: _End = "left" if side == "left" else "right"
    encoded = dict(_tokens(_shorten(rows, tokenizer, max_length, first), tokenizer))
    long = [number for number, tokens in enumerate(encoded["input_ids"]) if len(tokens) > max_length]
    if long:
        too_long = [rows[number] for number in long]
        kept, owners = _cut(too_long, tokenizer, max_length, first)
        if side == "head_tail":
            ends, _ = _cut(too_long, tokenizer, max_length, "left")
            kept = _join_halves(kept, ends, owners)
        _put(encoded, long, kept)
    return encoded, len(long)


def _encode_unstated(
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> tuple[Encoded, int]:
    most = CHARACTERS_PER_TOKEN * max_length
    shortened = []
    for row in rows:
        shortened.append(tuple(text[:most] for text in row))
    encoded = dict(_tokens(shortened, tokenizer))
    long = [number for number, tokens in enumerate(encoded["input_ids"]) if len(tokens) > max_length]
    if long:
        again = tokenizer(
            *_columns([shortened[number] for number in long]),
            truncation="longest_first",
            max_length=max_length,
            padding=False,
        )
        _put(encoded, long, dict(again))
    cut = set(long)
    cut.update(number for number, row in enumerate(rows) if row != shortened[number])
    return encoded, len(cut)


def _tokens(rows: Rows, tokenizer: PreTrainedTokenizerBase) -> Any:
    return tokenizer(*_columns(rows), truncation=False, padding=False, verbose=False)


def _cut(
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    end: _End,
) -> tuple[Encoded, _Owners]:
    """Tokenize rows that are too long and leave out tokens at one end of each text; also return whose tokens stay."""
    # Cut here by the tokenizer's rule, because of a pair of long texts tokenizers also make every pair of pieces that
    # they cut off, which takes time and memory by the product of both lengths.
    shortened = _shorten(rows, tokenizer, max_length, end)
    encoded = _tokens(shortened, tokenizer)
    cut: Encoded = {key: [] for key in encoded}
    kept_owners: _Owners = []
    for number, owners in enumerate(_owners(encoded, shortened, tokenizer)):
        positions = _kept_positions(owners, tokenizer, max_length, end)
        for key, values in encoded.items():
            cut[key].append([values[number][position] for position in positions])
        kept_owners.append([owners[position] for position in positions])
    return cut, kept_owners


def _owners(encoded: Any, rows: Rows, tokenizer: PreTrainedTokenizerBase) -> _Owners:
    """Tell which text each token of each row is from; None is a special token."""
    if tokenizer.is_fast:
        return [encoded.sequence_ids(number) for number in range(len(rows))]
    slow: Any = tokenizer
    owners: _Owners = []
    for counts in _count(rows, tokenizer):
        # A tokenizer in Python puts special tokens around any numbers, so that these numbers mark the texts.
        marks = [[-1 - text] * count for text, count in enumerate(counts)]
        ids = slow.build_inputs_with_special_tokens(*marks)
        owners.append([-1 - number if number < 0 else None for number in ids])
    return owners


def _kept_positions(
    owners: Sequence[int | None],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    end: _End,
) -> list[int]:
    """Return where those tokens of a row stand that are kept: the special ones, and the first or last of each text."""
    positions = [position for position, owner in enumerate(owners) if owner is None]
    texts = []
    for text in (0, 1):
        texts.append([position for position, owner in enumerate(owners) if owner == text])
    kept = _kept_tokens([len(own) for own in texts], max_length - len(positions), tokenizer)
    for own, count in zip(texts, kept, strict=True):
        positions += own[:count] if end == "right" else own[len(own) - count :]
    return sorted(positions)


def _kept_tokens(counts: Sequence[int], room: int, tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """Share the room among the texts of a row, which together are longer, as the tokenizer does (`longest_first`)."""
    first, second = counts
    half = room // 2
    if first <= half:
        return first, room - first
    if second <= half:
        return room - second, second
    # The longer text keeps an odd token, and of two that are equally long the second; in Python always the first.
    return (room - half, half) if first > second or not tokenizer.is_fast else (half, room - half)


def _put(encoded: Encoded, numbers: Sequence[int], values: Encoded) -> None:
    """Put other tokens in place of those of the rows with these numbers."""
    for key, rows in values.items():
        for number, row in zip(numbers, rows, strict=True):
            encoded[key][number] = row


def _shorten(
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    end: _End,
) -> list[tuple[str, ...]]:
    """Shorten texts of very many characters at one end without a change to the tokens that are kept."""
    most = CHARACTERS_PER_TOKEN * max_length
    shortened = list(rows)
    waiting = [number for number, row in enumerate(rows) if max(map(len, row)) > most]
    while waiting:
        for number in waiting:
            shortened[number] = tuple(_shorter(text, most, end, tokenizer.is_fast) for text in rows[number])
        counts = _count([shortened[number] for number in waiting], tokenizer)
        unsettled = []
        for number, tokens in zip(waiting, counts, strict=True):
            if not _is_settled(rows[number], shortened[number], tokens, max_length):
                unsettled.append(number)
        waiting = unsettled
        most *= CHARACTERS_PER_TOKEN
    return shortened


def _shorter(text: str, most: int, end: _End, is_fast: bool) -> str:
    """Return a text's beginning or end, of at least `most` characters and whole words."""
    if len(text) <= most:
        return text
    if end == "left":
        return _shorter(text[::-1], most, "right", is_fast)[::-1]
    gap = _GAP.search(text, most, 2 * most)
    if gap is not None:
        return text[: gap.start()]
    # Fast tokenizers take a long word as it is; those in Python can be quadratic in its length.
    return text if is_fast else text[:most]


def _count(rows: Rows, tokenizer: PreTrainedTokenizerBase) -> list[tuple[int, ...]]:
    """Count the tokens of every text of every row, without special ones."""
    columns = []
    for column in _columns(rows):
        ids = tokenizer(column, add_special_tokens=False, padding=False, verbose=False)["input_ids"]
        columns.append([len(tokens) for tokens in ids])
    return list(zip(*columns, strict=True))


def _is_settled(
    row: tuple[str, ...],
    shortened: tuple[str, ...],
    tokens: tuple[int, ...],
    max_length: int,
) -> bool:
    """Tell whether the tokens that are kept of a shortened row are sure to be those of the whole row."""
    changed = [position for position, text in enumerate(row) if text != shortened[position]]
    if not changed:
        return True
    if len(changed) > 1:
        # Which text of a pair keeps an odd token depends on which is the longer one.
        return False
    longest = tokens[changed[0]]
    others = [count for position, count in enumerate(tokens) if position != changed[0]]
    return longest >= max_length + EDGE_TOKENS and all(longest > count for count in others)


def _join_halves(starts: Encoded, ends: Encoded, owners: Sequence[Sequence[int | None]]) -> Encoded:
    """Put the last half of each text's tokens in place of those that follow its first half."""
    joined: Encoded = {}
    for key, rows in starts.items():
        joined[key] = []
        for number, row in enumerate(rows):
            tokens = list(row)
            for position in _last_halves(owners[number]):
                tokens[position] = ends[key][number][position]
            joined[key].append(tokens)
    return joined


def _last_halves(owners: Sequence[int | None]) -> list[int]:
    """Return where the last half of each text's tokens stands in a row."""
    positions = []
    for text in (0, 1):
        own = [position for position, owner in enumerate(owners) if owner == text]
        positions += own[(len(own) + 1) // 2 :]
    return positions


def _columns(rows: Rows) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)]

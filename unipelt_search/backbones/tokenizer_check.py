"""Whether a tokenizer is the one of its model, and how much of a text it knows.

transformers makes up an empty tokenizer where a folder has no tokenizer files: every word becomes the unknown token,
and a study would judge methods by the lengths of texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unipelt_search.backbones.checkpoint_files import find_file
from unipelt_search.errors import BackboneError
from unipelt_search.records.notice import Notice

FEWEST_TOKENS = 0.5
"""Share of the embeddings that must have a token. Embeddings are padded to multiples of 64 or 128 (phi-2: 50,295 tokens
for 51,200), and the emptiest published table that is known is IndoBERT's with 30,521 tokens for 50,000."""
_PADDED_TO = (64, 128)
"""Multiples that embeddings are padded to: a model of proteins has 33 tokens for 64 embeddings."""
_FEW_TOKENS = 0.9
"""Share of the embeddings below which a notice says so."""
MOST_UNKNOWN = 0.95
"""Share of a task's tokens beyond which nothing is left to learn from but the number of words: MiniLM knows no Thai."""
_UNKNOWN_TOKENS = ("[UNK]", "<unk>", "<UNK>")
_OTHER_FILES = ("tokenizer.json", "tekken.json", "tiktoken.model", "tokenizer.model")
"""Files that transformers reads a vocabulary from whatever the class of the tokenizer is."""


def check_tokenizer_files(name: str, path: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that transformers made up, because the checkpoint has no file with a vocabulary.

    Args:
        name: What to call the model.
        path: Its folder or hub name.
        tokenizer: What transformers made of it.

    Raises:
        BackboneError: No file was found. A tokenizer that reads bytes has none and needs none.
    """
    own = {file for key, file in type(tokenizer).vocab_files_names.items() if key != "tokenizer_config_file"}
    if not own:
        return
    if any(find_file(path, file) is not None for file in [*sorted(own), *_OTHER_FILES]):
        return
    if Path(path).is_dir() and [*Path(path).glob("tokenizer.*")]:  # of one version, `tokenizer.4.0.0.json`
        return
    raise BackboneError(
        f"--model must have the files of its tokenizer; {name!r} has none of {', '.join(sorted(own))}. Save the "
        "tokenizer that the model was trained with beside it: tokenizer.save_pretrained."
    )


def check_vocabulary(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[Notice, ...]:
    """Check that every token has an embedding, and about every embedding a token.

    Args:
        name: What to call the model.
        model: The model.
        tokenizer: Its tokenizer.

    Returns:
        Notices of what is odd but harmless.

    Raises:
        BackboneError: The tokenizer is another model's, or the model does not look tokens up in a table.
    """
    rows = embedding_rows(name, model)
    vocabulary = tokenizer.get_vocab()
    beyond = [token for token, number in vocabulary.items() if number >= rows]
    if any(not _is_spare(tokenizer, vocabulary[token]) for token in beyond):
        raise BackboneError(
            f"A tokenizer must not have more tokens than its model has embeddings; that of {name!r} has "
            f"{len(tokenizer)} tokens for {rows} embeddings. Use the tokenizer that the model was trained with."
        )
    if len(vocabulary) < FEWEST_TOKENS * rows and not _is_padded(tokenizer, rows):
        raise BackboneError(
            f"A tokenizer must have a token for about every embedding of its model; that of {name!r} has "
            f"{len(vocabulary)} tokens for {rows} embeddings. Use the tokenizer that the model was trained with."
        )
    notices = []
    if beyond:
        notices.append(Notice(code="tokens_without_embedding", values={"tokens": tuple(sorted(beyond)[:5])}))
    if len(vocabulary) < _FEW_TOKENS * rows:
        values = {"tokens": len(vocabulary), "embeddings": rows}
        notices.append(Notice(code="few_tokens", severity="warning", values=values))
    return tuple(notices)


def embedding_rows(name: str, model: PreTrainedModel) -> int:
    """Return how many tokens a model can look up.

    Args:
        name: What to call the model.
        model: The model.

    Returns:
        Rows of its table of embeddings.

    Raises:
        BackboneError: It has no such table.
    """
    try:
        return int(model.get_input_embeddings().weight.shape[0])
    except NotImplementedError as error:  # CANINE reads characters
        raise BackboneError(f"--model must look tokens up in a table of embeddings; {name!r} does not.") from error


def unknown_tokens(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the numbers that stand for what a tokenizer does not know.

    Args:
        tokenizer: The tokenizer.

    Returns:
        Numbers; none for a tokenizer that falls back on bytes and names one of its other special tokens as unknown.
    """
    vocabulary = tokenizer.get_vocab()
    found = {vocabulary[token] for token in _UNKNOWN_TOKENS if token in vocabulary}
    if tokenizer.unk_token_id is not None:
        found.add(int(tokenizer.unk_token_id))
    others = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.cls_token_id)
    return frozenset(found - set(others))


def unknown_share(rows: Iterable[Any], tokenizer: PreTrainedTokenizerBase) -> float:
    """Count the unknown tokens of encoded rows.

    Args:
        rows: The token numbers of each, ``(tokens,)``.
        tokenizer: What encoded them.

    Returns:
        Their share of all tokens that are not special; 0 where there are none.
    """
    unknown = np.asarray(sorted(unknown_tokens(tokenizer)), dtype=np.int64)
    special = np.asarray(sorted(set(tokenizer.all_special_ids) - set(unknown.tolist())), dtype=np.int64)
    numbers = np.concatenate([np.zeros(0, np.int64), *[np.asarray(row, np.int64) for row in rows]])
    words = numbers[~np.isin(numbers, special)]
    return float(np.isin(words, unknown).mean()) if len(words) else 0.0


def _is_padded(tokenizer: PreTrainedTokenizerBase, rows: int) -> bool:
    """Tell whether embeddings are as many as the next multiple, and some token is of texts and not a special one."""
    vocabulary = tokenizer.get_vocab()
    tokens = len(vocabulary)
    if tokens == len(set(vocabulary.values()).intersection(tokenizer.all_special_ids)):
        return False
    return rows in [-(-tokens // multiple) * multiple for multiple in _PADDED_TO]


def _is_spare(tokenizer: PreTrainedTokenizerBase, number: int) -> bool:
    """Tell whether a token is one that no text of words has: Gemma 3's marks the place of a picture."""
    token = tokenizer.added_tokens_decoder.get(number)
    if token is None or not token.special:
        return False
    return number not in (tokenizer.pad_token_id, tokenizer.unk_token_id, *tokenizer("")["input_ids"])

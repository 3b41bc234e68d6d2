"""What transformers raises or prints while it loads a model, as one sentence or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from unipelt_search.errors import BackboneError
from unipelt_search.settings import hub_is_offline

_RAISED = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, ImportError, RuntimeError,
    AssertionError, EOFError, MemoryError, SafetensorError, StrictDataclassError,
)  # fmt: skip
"""What the libraries raise for files that are missing, damaged or hostile, and for packages that are missing: found by
giving them such files."""

_MEANINGS = {
    "Couldn't instantiate the backend tokenizer": (
        "it has no file that such a tokenizer is read from. Save the tokenizer that the model was trained with beside "
        "it: tokenizer.save_pretrained"
    ),
    "`tiktoken` is required": (
        "its file is neither a whole model of sentencepiece nor tokenizer.json. Download it again, or save "
        "tokenizer.json beside it"
    ),
}
"""Errors of transformers by their beginning, with what is wrong with the folder."""


class load_errors:
    """Turns what the libraries raise for a model that cannot be loaded into one sentence.

    Only calls of theirs and of `backbones.checkpoint_files` belong inside, or a fault of ours would be taken for one of
    the model.
    """

    def __init__(self, name: str, part: str = "model") -> None:
        """Take what the user calls the model, and which part of it is loaded."""
        self.name = name
        self.part = part

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raise a `BackboneError` in place of what a library raised."""
        if error is None or isinstance(error, BackboneError) or not _is_of_a_library(error):
            return
        raise BackboneError(
            f"--model must be a folder with a Hugging Face model (config.json, *.safetensors, tokenizer), "
            f"a hub name, or 'minilm'; got {self.name!r}. {_hint(self.name, self.part, error)}"
        ) from error


def _is_of_a_library(error: BaseException) -> bool:
    # The Rust library tokenizers raises Exception itself, and where it panics something outside of that.
    return isinstance(error, _RAISED) or type(error) is Exception or type(error).__name__ == "PanicException"


def _hint(name: str, part: str, error: BaseException) -> str:
    if "custom code" in str(error):
        return "It brings code of its own, which is never run here; choose an architecture that transformers has."
    if os.path.exists(name):  # False also for a name that is longer than any file's
        return f"The folder was found, but its {part} cannot be loaded: {_words(error)}"
    if hub_is_offline():
        return "The hub is switched off by HF_HUB_OFFLINE; give a local folder."
    return f"No folder of that name exists, and the hub said: {first_line(error)}"


def _words(error: BaseException) -> str:
    """Return what an error says, or what it means where its own words send the user elsewhere."""
    text = str(error)
    for begin, meaning in _MEANINGS.items():
        if begin in text:
            return meaning
    return first_line(error)


def first_line(error: BaseException) -> str:
    """Return what an error says on one line of at most 300 characters, with its type where the words alone say little.

    Args:
        error: The error.

    Returns:
        The line.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = type(error).__name__
    if not lines:
        return kind
    # "Validation error for field 'hidden_size':" goes on in the next line; KeyError says only the key.
    text = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return (text if " " in text else f"{kind}: {text}")[:300]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep notes on newly drawn heads and progress bars off the user's terminal."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()

"""What transformers raises or prints while it loads a model, as one sentence or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers.utils import logging as transformers_logging

from unipelt_search.errors import BackboneError
from unipelt_search.settings import hub_is_offline


@contextmanager
def load_errors(name: str) -> Iterator[None]:
    """Turn what transformers raises for a model that cannot be loaded into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        if "custom code" in str(error):
            hint = "It brings code of its own, which is never run here; choose an architecture that transformers has."
        elif Path(name).exists():
            hint = f"The folder was found, but: {first_line(error)}"
        elif hub_is_offline():
            hint = "The hub is switched off by HF_HUB_OFFLINE; give a local folder."
        else:
            hint = f"No folder of that name exists, and the hub said: {first_line(error)}"
        raise BackboneError(
            f"--model must be a folder with a Hugging Face model (config.json, *.safetensors, tokenizer), "
            f"a hub name, or 'minilm'; got {name!r}. {hint}"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, at most 300 characters; its type where it has none."""
    lines = str(error).strip().splitlines()
    first = lines[0] if lines else type(error).__name__
    return first[:300]


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

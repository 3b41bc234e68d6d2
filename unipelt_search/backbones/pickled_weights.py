"""Weights in a `.bin` file, the one pickle that is ever opened: by torch's reader of tensors, which runs nothing.

Any user can be given such a file, so what is read may hold tensors by name and nothing else. The reader refuses every
call that a pickle may ask for but those that make tensors, and what comes out of it is checked once more.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile, is_zipfile

import torch
from torch import Tensor

from unipelt_search.errors import BackboneError

_READER_ERRORS = (
    pickle.UnpicklingError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, OSError,
    BadZipFile, OverflowError, AssertionError, MemoryError, struct.error,
)  # fmt: skip
"""What torch raises for a file that is damaged, or that asks for more than tensors: found by damaging files."""
_FORBIDDEN = re.compile(r"GLOBAL (\S+)")
"""What a pickle asks for, in the words of torch's reader."""
_TORCHSCRIPT = "TorchScript archive"
"""How torch's reader calls a program in place of tensors."""


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a `.bin` file.

    Args:
        path: A file from anywhere.

    Returns:
        The tensors by name, on the CPU.

    Raises:
        BackboneError: It holds anything but tensors by name, or is damaged; nothing of it has run then.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged file torch says that it may be of a newer version
            # Only files of the newer format can be mapped into memory instead of being read at once.
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except _READER_ERRORS as error:
        raise BackboneError(_refusal(path, error)) from error
    if not isinstance(state, Mapping) or not all(_is_plain(key, value) for key, value in state.items()):
        raise BackboneError(
            f"--model must have weights that are tensors by name and nothing else; {path.name} of "
            f"{str(path.parent)!r} holds {_other(state)}. Save the model's state_dict, best with save_pretrained."
        )
    return dict(state)


def _is_plain(key: object, value: object) -> bool:
    return (
        isinstance(key, str)
        and isinstance(value, Tensor)
        and value.layout is torch.strided
        and not value.is_quantized
        and value.device.type == "cpu"
    )


def _other(state: object) -> str:
    """Name what a file holds that is no tensor."""
    if not isinstance(state, Mapping):
        return f"one {type(state).__name__}"
    for key, value in state.items():
        if not _is_plain(key, value):
            return f"a {type(value).__name__} under {str(key)[:80]!r}"
    return "nothing"


def _refusal(path: Path, error: BaseException) -> str:
    forbidden = _FORBIDDEN.search(str(error))
    if _TORCHSCRIPT in str(error):
        return (
            f"--model must have weights that are tensors by name and nothing else; {path.name} of "
            f"{str(path.parent)!r} is a program of TorchScript, and nothing of it was run. Use a checkpoint with "
            "*.safetensors."
        )
    if forbidden is None and not isinstance(error, pickle.UnpicklingError):
        return (
            f"--model must have whole weight files; {path.name} of {str(path.parent)!r} is cut off or damaged. "
            "Download it again."
        )
    asks = f"it asks for {forbidden.group(1)[:80]}" if forbidden else "it asks for other objects"
    return (
        f"--model must have weights that are tensors by name and nothing else; {path.name} of {str(path.parent)!r} is "
        f"refused, and nothing of it was run: {asks}. Use a checkpoint with *.safetensors."
    )

"""The files of a checkpoint, in a folder or from a hub: which there are, whether they are whole, and what they hold.

Safetensors are preferred, in one file or in shards. Where there are none, a `.bin` file is read (`pickled_weights`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PretrainedConfig
from transformers.utils import cached_file

from unipelt_search.backbones.pickled_weights import read_pickled
from unipelt_search.errors import BackboneError

CONFIG = "config.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_INDEX = ".index.json"
_POINTER = b"version https://git-lfs"
_SMALL_FILES = (".json", ".model", ".txt")
"""Endings of configurations and vocabularies."""
_FULL_PRECISION = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""Types of numbers that a weight may have."""
_FOREIGN = {
    ".gguf": "llama.cpp",
    ".h5": "TensorFlow",
    ".msgpack": "Flax",
    ".onnx": "ONNX",
    ".ckpt": "PyTorch Lightning",
    ".pt": "a program of its own",
    ".pth": "a program of its own",
}
"""Endings of weights that are not read, and whose they are."""


@dataclass(frozen=True)
class WeightFiles:
    """The files with a checkpoint's weights, all of them there."""

    name: str
    """What the user calls the model."""
    files: tuple[Path, ...]

    @property
    def pickled(self) -> bool:
        """Whether they are `.bin` files."""
        return self.files[0].suffix == ".bin"

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(file.stat().st_size for file in self.files)

    def read(self) -> dict[str, Tensor]:
        """Read the tensors.

        Returns:
            The tensors by name, on the CPU, mapped into memory where the format allows.

        Raises:
            BackboneError: A file is damaged or cut off, holds anything but tensors, or its weights are quantised.
        """
        tensors: dict[str, Tensor] = {}
        for file in self.files:
            tensors |= read_pickled(file) if self.pickled else self._read_safetensors(file)
        _check_types(self.name, tensors)
        return tensors

    def _read_safetensors(self, file: Path) -> dict[str, Tensor]:
        try:
            with safe_open(file, framework="pt") as opened:
                return {name: opened.get_tensor(name) for name in opened.keys()}
        except (SafetensorError, OSError) as error:
            raise BackboneError(
                f"--model must have whole weight files; {file.name} of {self.name!r} is cut off or damaged ({error}). "
                "Download it again."
            ) from error


def find_file(path: str, file: str) -> Path | None:
    """Find one file of a checkpoint.

    Args:
        path: Its folder or hub name.
        file: The file's name in it, with `/` between folders.

    Returns:
        Where it is on this machine, or None where the checkpoint has none.

    Raises:
        OSError: The hub cannot be asked, or does not give it.
    """
    if Path(path).is_dir():
        found = Path(path) / file
        return found if found.is_file() else None
    # A hub that fails is an error, or a study would go on without what it could not ask for.
    cached = cached_file(path, file, _raise_exceptions_for_missing_entries=False)
    return None if cached is None else Path(cached)


def read_json(file: Path, name: str) -> object:
    """Read a JSON file of a checkpoint.

    Args:
        file: Where it is.
        name: What to call the model.

    Returns:
        What it holds.

    Raises:
        BackboneError: It is no JSON.
    """
    _check_file(file, name)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BackboneError(
            f"--model must have readable files; {file.name} of {name!r} is no JSON ({error}). Download it again."
        ) from error


def check_no_pointer(name: str, path: str) -> None:
    """Check that no small file of a folder is a pointer of Git LFS.

    Args:
        name: What to call the model.
        path: Its folder; the files of a hub name are never pointers.

    Raises:
        BackboneError: One is.
    """
    if not Path(path).is_dir():
        return
    for file in sorted(Path(path).iterdir()):
        if file.suffix in _SMALL_FILES and file.is_file():
            _beginning(file, name)


def check_config(name: str, path: str) -> None:
    """Check what can be said of a folder before transformers reads its configuration.

    Args:
        name: What to call the model.
        path: Its folder; of a hub name nothing can be said yet.

    Raises:
        BackboneError: It is a file, an adapter of PEFT, an empty folder, or its config.json is no JSON object.
    """
    if Path(path).is_file():
        raise BackboneError(
            f"--model must be a folder or a hub name; {name!r} is a file. Give the folder that it is in."
        )
    if not Path(path).is_dir():
        return
    check_no_adapter(name, path)
    config = find_file(path, CONFIG)
    if config is not None:
        content = read_json(config, name)
        if not isinstance(content, Mapping):
            raise BackboneError(f"--model must have a config.json with a JSON object; that of {name!r} holds none.")
        _check_names(name, content.get("architectures"))
    else:
        raise BackboneError(
            f"--model must be a folder with a Hugging Face model (config.json, *.safetensors, tokenizer), a hub name, "
            f"or 'minilm'; the folder {name!r} has no config.json{_has_instead(Path(path))}."
        )


def _check_names(name: str, architectures: object) -> None:
    """Check what transformers takes for the names of classes, without a look at it."""
    if architectures is None:
        return
    if not isinstance(architectures, list) or not all(isinstance(entry, str) for entry in architectures):
        raise BackboneError(
            f"--model must have a list of names under architectures in its config.json; that of {name!r} has "
            f"{str(architectures)[:80]}. Use the config.json that the model was saved with."
        )


def check_no_adapter(name: str, path: str) -> None:
    """Refuse an adapter of PEFT, with its model or without: what it changes is not in the model's weights.

    Args:
        name: What to call the model.
        path: Its folder or hub name.

    Raises:
        BackboneError: It is one.
        OSError: The hub cannot be asked.
    """
    if find_file(path, "adapter_config.json") is not None:
        raise BackboneError(
            f"--model must be a whole model; {name!r} is an adapter of the library PEFT. Merge it into its model with "
            "merge_and_unload() and save that."
        )


def check_quantisation(name: str, config: PretrainedConfig) -> None:
    """Refuse a checkpoint whose weights were quantised.

    Args:
        name: What to call the model.
        config: Its configuration.

    Raises:
        BackboneError: They were. Methods attach to plain linear layers, and a frozen backbone is computed in float32.
    """
    for part in (config, getattr(config, "text_config", None)):
        quantised = getattr(part, "quantization_config", None)
        if quantised is not None:
            method = quantised.get("quant_method") if isinstance(quantised, Mapping) else None
            raise BackboneError(
                f"--model must have weights in full precision (float32, bfloat16 or float16); {name!r} is quantised "
                f"({method or 'quantization_config in config.json'}). Choose the checkpoint that it was made from."
            )


def find_weights(name: str, path: str) -> WeightFiles:
    """Find a checkpoint's weights: safetensors before `.bin`, one file before shards.

    Args:
        name: What to call the model.
        path: Its folder or hub name.

    Returns:
        The files.

    Raises:
        BackboneError: There are none, a shard is missing, or a file is a pointer of Git LFS.
    """
    for weights in _WEIGHTS:
        found = find_file(path, weights)
        if found is None:
            continue
        files = [found] if not weights.endswith(_INDEX) else _shards(name, path, found)
        for file in files:
            _check_file(file, name)
        return WeightFiles(name, tuple(files))
    instead = _has_instead(Path(path)) if Path(path).is_dir() else ""
    raise BackboneError(
        f"--model must have weights, model.safetensors or pytorch_model.bin or shards of one; {name!r} has "
        f"none{instead}. Save it with save_pretrained, or choose another model."
    )


def precision_of(tensors: Mapping[str, Tensor]) -> str:
    """Name the type of most numbers of a checkpoint.

    Args:
        tensors: Its tensors by name.

    Returns:
        For example `bfloat16`.
    """
    counts: Counter[str] = Counter()
    for tensor in tensors.values():
        if tensor.is_floating_point():
            counts[_called(tensor.dtype)] += tensor.numel()
    return counts.most_common(1)[0][0] if counts else "unknown"


def _shards(name: str, path: str, index: Path) -> list[Path]:
    content = read_json(index, name)
    weight_map = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(weight_map, Mapping) or not weight_map:
        raise BackboneError(f"--model must have a weight_map in {index.name}; that of {name!r} has none.")
    shards = []
    for shard in sorted({str(file) for file in weight_map.values()}):
        # A checkpoint says which files are its shards; none of them may lead out of its folder.
        found = None if PurePosixPath(shard).name != shard else find_file(path, shard)
        if found is None:
            raise BackboneError(
                f"--model must have all shards that {index.name} names; {name!r} lacks {shard[:100]!r}. Download it "
                "again."
            )
        shards.append(found)
    if len({shard.suffix for shard in shards}) > 1:
        raise BackboneError(f"The shards of a model must be of one kind; {index.name} of {name!r} names several.")
    return shards


def _check_file(file: Path, name: str) -> None:
    if not _beginning(file, name):
        raise BackboneError(f"--model must have whole files; {file.name} of {name!r} is empty. Download it again.")


def _beginning(file: Path, name: str) -> bytes:
    """Read the first bytes of a file, which tell a pointer of Git LFS."""
    try:
        with file.open("rb") as opened:
            beginning = opened.read(len(_POINTER))
    except OSError as error:
        raise BackboneError(
            f"--model must have readable files; {file.name} of {name!r} cannot be read: {error.strerror}."
        ) from error
    if beginning == _POINTER:
        raise BackboneError(
            f"--model must have its files themselves; {file.name} of {name!r} is a pointer of Git LFS. Fetch the file "
            "with `git lfs pull`."
        )
    return beginning


def _check_types(name: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights of other types of numbers: they are quantised, whatever config.json says."""
    for tensor, values in tensors.items():
        if tensor.endswith("weight") and values.dtype not in _FULL_PRECISION:
            raise BackboneError(
                f"--model must have weights in full precision (float32, bfloat16 or float16); {tensor!r} of {name!r} "
                f"is stored as {_called(values.dtype)}. Choose the checkpoint that it was made from."
            )


def _called(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _has_instead(folder: Path) -> str:
    """Say which files a folder has in place of those that are looked for."""
    names = sorted(file.name for file in folder.iterdir())
    for file in names:
        owner = _FOREIGN.get(Path(file).suffix)
        if owner is not None:
            return f", but {file!r}, weights of {owner}, which are not read"
    return f"; it has {_some(names)}" if names else "; it is empty"


def _some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more

"""The folder of an exported model: what is in it, and reading one that may be damaged or hostile.

    model.safetensors   the trained tensors only, the head's included
    config.json         `SavedModel`: everything else that is needed to use them; unknown keys are refused
    README.md           the model card

The backbone is not in it. Nothing that is read runs code, and no file outside of the folder is opened through it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from operator import not_
from pathlib import Path, PurePath
from typing import Annotated, Literal, Self

import torch
from pydantic import AfterValidator, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unipelt_search.errors import SavedModelError
from unipelt_search.frozen import Frozen
from unipelt_search.kinds.label_kind import Target, check_kind
from unipelt_search.methods.catalogue import check_installed
from unipelt_search.specs.parts import STORED
from unipelt_search.specs.pooling import StoredPooling
from unipelt_search.specs.seeds import RunSeeds
from unipelt_search.specs.study import Side
from unipelt_search.specs.trial import TrialSpec

WEIGHTS = "model.safetensors"
DESCRIPTION = "config.json"
CARD = "README.md"
LARGEST_DESCRIPTION = 4 * 2**20
"""Bytes of config.json at most."""
LARGEST_HEADER = 2**20
"""Bytes of model.safetensors at most that are no tensors."""
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
PackageName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
SHA_256 = r"^[0-9a-f]{64}$"


class SavedBackbone(Frozen):
    """The backbone that the tensors belong to."""

    model: str
    """A hub name, an absolute folder, or `minilm`."""
    source: Literal["hub", "folder", "package"]
    """Where it was loaded from when the model was exported."""
    revision: str | None
    """The hub's commit, where it is known."""
    pooling: StoredPooling
    weights_hash: str = Field(pattern=SHA_256)
    """SHA-256 of the frozen weights (`backbone_hash`)."""

    @model_validator(mode="after")
    def _names_a_backbone(self) -> Self:
        path = PurePath(self.model)
        fits = {
            "hub": HUB_NAME.fullmatch(self.model) is not None and ".." not in path.parts,
            "folder": path.is_absolute() and ".." not in path.parts and "\x00" not in self.model,
            "package": self.model == "minilm",
        }
        if not fits[self.source]:
            raise ValueError(f"backbone.model must be a hub name, an absolute folder or 'minilm'; got {self.model!r}")
        return self


class SavedTask(Frozen):
    """What the model predicts, and how its texts were read."""

    name: str
    kind: Annotated[str, AfterValidator(check_kind)]
    labels: tuple[str, ...] = Field(max_length=10_000)
    """In the order of the model's outputs; none for regression."""
    mean: float = 0.0
    """A regression's output times `sd`, plus this, is the number in the user's units."""
    sd: float = Field(default=1.0, gt=0)
    threshold: float = 0.0
    """The logit above which a label is predicted where rows have several."""
    metric: str
    text: tuple[str, ...] = Field(min_length=1, max_length=2)
    """The column with the text, or the two columns of a text pair."""
    max_length: int = Field(ge=1, le=1_000_000)
    """Tokens of an example at most; longer ones are cut."""
    # A missing key is the way of models from before there was a choice (`encode_rows`).
    truncation: Side | None = Field(default=None, exclude_if=lambda side: side is None)
    """The side of a long text that is cut."""
    fingerprint: str
    """Content hash of the training data."""

    @property
    def target(self) -> Target:
        """What the model's outputs mean."""
        return Target(self.kind, self.labels, mean=self.mean, sd=self.sd, threshold=self.threshold)

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("task.labels must differ from each other")
        kind = self.target.label_kind
        if len(self.labels) < kind.fewest_labels or (self.labels and not kind.has_labels):
            raise ValueError(f"task.labels must fit task.kind {self.kind}; got {len(self.labels)} labels")
        return self


class SavedModel(Frozen):
    """config.json: a trained model without its numbers."""

    format: Literal[1] = 1
    trial: TrialSpec
    seeds: RunSeeds
    """Of the run whose weights these are."""
    backbone: SavedBackbone
    task: SavedTask
    weights_sha256: str = Field(pattern=SHA_256)
    """Of the file model.safetensors."""
    software: dict[str, str]
    """The versions that the study ran with."""
    # Written only where it is not empty: the description of a model without plug-ins is what it always was.
    plugins: dict[PackageName, PackageName] = Field(default={}, exclude_if=not_)
    """The package of each submodule that a plug-in brings, by the submodule's name."""


def write_weights(folder: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write a model's tensors.

    Args:
        folder: Where to.
        tensors: The trained tensors by name.

    Returns:
        The SHA-256 of the file.
    """
    # Copies, because tensors that share their memory are refused by the format.
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(copies, folder / WEIGHTS)
    return _file_hash(folder / WEIGHTS)


def read_description(folder: Path) -> SavedModel:
    """Read a model's config.json.

    Args:
        folder: A folder from anywhere.

    Returns:
        What it says, checked.

    Raises:
        SavedModelError: There is none, it is too large, or it does not describe an exported model.
        MachineError: The package is missing that brings its method.
    """
    path = _own_file(folder, DESCRIPTION)
    if path.stat().st_size > LARGEST_DESCRIPTION:
        raise SavedModelError(
            f"config.json of an exported model has at most {LARGEST_DESCRIPTION:,} bytes; that of {folder} has "
            f"{path.stat().st_size:,}. Export the model again."
        )
    content = path.read_bytes()
    try:
        # First without the rules of the method's own package, so that a missing one can be named.
        stored = SavedModel.model_validate_json(content, context=STORED)
        check_installed([stored.trial.method], stored.plugins)
        return SavedModel.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in problem["loc"][:4])
        key = f"{where}: " if where else ""
        reason = problem["msg"].removeprefix("Value error, ").replace("Input should", "it must", 1)
        raise SavedModelError(
            f"{folder} must be a folder that `unipelt-search export` wrote; its config.json says something else: "
            f"{key}{reason[:300]}."
        ) from error


def read_weights(folder: Path, saved: SavedModel, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read a model's tensors, after names, types and shapes have been checked.

    Args:
        folder: A folder from anywhere.
        saved: Its config.json.
        expected: Tensors of the names and shapes that the configuration needs.

    Returns:
        The tensors by name, on the CPU, every number of them finite.

    Raises:
        SavedModelError: The file is missing, damaged, or belongs to another configuration.
    """
    path = _own_file(folder, WEIGHTS)
    needed = sum(tensor.numel() * 4 for tensor in expected.values())
    size = path.stat().st_size
    if not needed <= size <= needed + LARGEST_HEADER + 512 * len(expected):
        raise SavedModelError(_damaged(folder, f"it has {size:,} bytes where its config.json needs about {needed:,}"))
    if _file_hash(path) != saved.weights_sha256:
        raise SavedModelError(_damaged(folder, "its content differs from the hash in config.json"))
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
            if shapes != {name: tuple(tensor.shape) for name, tensor in expected.items()}:
                raise SavedModelError(_damaged(folder, _difference(shapes, expected)))
            tensors = {name: file.get_tensor(name) for name in shapes}
    except (SafetensorError, OSError) as error:
        raise SavedModelError(_damaged(folder, str(error))) from error
    check_tensors(tensors, expected, str(path))
    return tensors


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    """Check that tensors are those of a configuration, and finite.

    Args:
        tensors: What was read.
        expected: Tensors of the names, shapes and type that the configuration needs.
        source: What to call the file that they are from.

    Raises:
        SavedModelError: They are not.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in expected.items()}:
        raise SavedModelError(f"{source} must hold the tensors of its configuration; {_difference(shapes, expected)}.")
    for name, tensor in tensors.items():
        if tensor.dtype != expected[name].dtype:
            raise SavedModelError(f"{source} must hold {expected[name].dtype} numbers; {name} has {tensor.dtype}.")
        if not bool(torch.isfinite(tensor).all()):
            raise SavedModelError(f"{source} must hold finite numbers only; {name} has others. It is damaged.")


def _own_file(folder: Path, name: str) -> Path:
    path = folder / name
    if not folder.is_dir():
        raise SavedModelError(f"A model must be a folder that `unipelt-search export` wrote; {str(folder)!r} is none.")
    if path.is_symlink():
        raise SavedModelError(f"The files of a model must be in its folder; {path} is a link. Copy the file instead.")
    if not path.is_file():
        raise SavedModelError(f"{folder} must be a folder that `unipelt-search export` wrote; it has no {name}.")
    return path


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(folder: Path, reason: str) -> str:
    return f"{folder / WEIGHTS} is damaged or belongs to another model: {reason}. Export the model again."


def _difference(shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, Tensor]) -> str:
    """Name the first tensor that is not as expected."""
    for name, tensor in expected.items():
        if shapes.get(name) != tuple(tensor.shape):
            return f"{name} must be {tuple(tensor.shape)}, got {shapes.get(name, 'nothing')}"
    return f"it has {sorted(shapes.keys() - expected.keys())[0][:80]!r}, which does not belong there"

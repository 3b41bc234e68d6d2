"""How a model's token vectors become one: as the user asks, or as its checkpoint declares.

sentence-transformers writes `modules.json`, which names the folder of the pooling, and there a `config.json`. That has
either `pooling_mode` (since version 6: a name or a list of them) or one truth value per mode (before).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from transformers import PreTrainedModel

from unipelt_search.backbones.checkpoint_files import find_file, read_json
from unipelt_search.backbones.families import Family
from unipelt_search.backbones.model_class import has_plain_class
from unipelt_search.errors import BackboneError
from unipelt_search.records.notice import Notice
from unipelt_search.specs.pooling import AUTO, JOIN, NATIVE, modes_of
from unipelt_search.specs.study import BackboneSpec

SENTENCE_TRANSFORMERS_MODES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_length",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
"""What sentence-transformers calls a mode, with its name here, in the order in which it joins several."""
_MODULES = "modules.json"
_USUAL_FOLDER = "1_Pooling"
POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The truth value of a mode in the older form, with its name in the newer one, in the same order."""
_FLAGS_OF_EDITION_1 = (
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_lasttoken", "last"),
)
"""All that studies of edition 1 read, and only the first that is set."""


@dataclass(frozen=True)
class DeclaredPooling:
    """What the modules of a sentence-transformers checkpoint say."""

    pooling: str | None = None
    """The pooling that it was trained with; None where nothing is declared, or nothing that can be computed here."""
    unknown: tuple[str, ...] = ()
    """Modes that cannot be computed here."""
    unused: tuple[str, ...] = ()
    """Modules that follow the pooling, which are left out: `Normalize`, `Dense`."""


UNDECLARED = DeclaredPooling()


def read_declared(path: str) -> DeclaredPooling:
    """Read how a checkpoint wants its token vectors pooled.

    Args:
        path: Its folder or hub name.

    Returns:
        What it declares.

    Raises:
        BackboneError: One of its files is damaged.
    """
    folder = _USUAL_FOLDER
    unused: tuple[str, ...] = ()
    content = _read(path, _MODULES)
    if content is not None:
        found, unused = _pooling_folder(path, content)
        if found is None:
            return UNDECLARED
        folder = found
    config = _read(path, f"{folder}/config.json")
    if config is None:
        return UNDECLARED
    if not isinstance(config, Mapping):
        raise BackboneError(_damaged(path, f"{folder}/config.json"))
    modes = _modes(config)
    unknown = tuple(mode for mode in modes if mode not in SENTENCE_TRANSFORMERS_MODES)
    if unknown:
        return DeclaredPooling(unknown=unknown, unused=unused)
    names = dict.fromkeys(SENTENCE_TRANSFORMERS_MODES[mode] for mode in modes)
    return DeclaredPooling(JOIN.join(names) or None, unused=unused)


def choose_pooling(spec: BackboneSpec, path: str, edition: int | None = None) -> tuple[str, DeclaredPooling]:
    """Choose how to pool: as asked, or with `auto` as the checkpoint declares, or else as the architecture does.

    Args:
        spec: Which backbone, and how to pool.
        path: Its folder or hub name.
        edition: That of the study, of which one of edition 1 goes on with what it read; None is a new one, or none.

    Returns:
        The pooling, and what is declared.

    Raises:
        BackboneError: A file that declares it is damaged.
    """
    if spec.pooling != AUTO:
        return spec.pooling, UNDECLARED
    if edition == 1:
        return _of_edition_1(path), UNDECLARED
    declared = read_declared(path)
    return declared.pooling or NATIVE, declared


def fitting_pooling(
    name: str,
    model: PreTrainedModel,
    family: Family,
    pooling: str,
    declared: DeclaredPooling = UNDECLARED,
    *,
    causal: bool,
) -> str:
    """Check that a pooling fits a model.

    Args:
        name: What to call the model.
        model: The model.
        family: How its parts are called.
        pooling: What was chosen.
        declared: What the checkpoint says, where the choice was left to it.
        causal: Whether a token's vector depends on no token after it.

    Returns:
        The pooling; the native one where the checkpoint's own does not fit. A decoder's native one is `last`, whichever
        way it looks; that of an encoder without a head of its own is `mean`.

    Raises:
        BackboneError: What was asked for does not fit.
    """
    reason = _misfit(model, pooling, causal)
    if reason is not None and pooling == declared.pooling:
        pooling = NATIVE
    elif reason is not None:
        raise BackboneError(f"backbone.pooling must be {reason}; got {pooling!r} for {name!r}.")
    if pooling != NATIVE:
        return pooling
    if family.causal:
        return "last"
    # A head of ours has no pooling of its own; the mean is what sentence-T5 was trained with.
    return NATIVE if has_plain_class(model) else "mean"


def _misfit(model: PreTrainedModel, pooling: str, causal: bool) -> str | None:
    """Say which poolings fit a model and why, where one does not."""
    if model.config.is_encoder_decoder and pooling != NATIVE:
        return "auto or native for an encoder-decoder, whose head reads the decoder's last token"
    if causal and "cls" in modes_of(pooling):
        return "auto, native, last or mean for a causal model, whose first token sees no other"
    return None


def pooling_notices(declared: DeclaredPooling, used: str) -> tuple[Notice, ...]:
    """Say what of a checkpoint's declaration is not followed.

    Args:
        declared: What it says.
        used: The pooling that is used.

    Returns:
        Notices; none where all of it is followed, but for a length that is made 1, which no classification needs.
    """
    notices = []
    if declared.unknown:
        values = {"declared": JOIN.join(declared.unknown), "used": used}
        notices.append(Notice(code="pooling_unknown", severity="warning", values=values))
    elif declared.pooling is not None and declared.pooling != used:
        values = {"declared": declared.pooling, "used": used}
        notices.append(Notice(code="pooling_unfit", severity="warning", values=values))
    changing = tuple(module for module in declared.unused if module != "Normalize")
    if changing:
        notices.append(Notice(code="modules_unused", values={"modules": changing}))
    return tuple(notices)


def _of_edition_1(path: str) -> str:
    config = _read(path, f"{_USUAL_FOLDER}/config.json")
    if isinstance(config, Mapping):
        for flag, pooling in _FLAGS_OF_EDITION_1:
            if config.get(flag):
                return pooling
    return NATIVE


def _pooling_folder(path: str, content: object) -> tuple[str | None, tuple[str, ...]]:
    """Return the folder of the pooling that `modules.json` names, if any, and the modules that follow it."""
    if not isinstance(content, list) or not all(isinstance(module, Mapping) for module in content):
        raise BackboneError(_damaged(path, _MODULES))
    folder = None
    unused = []
    for module in content:
        kind = str(module.get("type", "")).rpartition(".")[2]
        if folder is not None:
            unused.append(kind)
        elif kind == "Pooling":
            folder = str(module.get("path", ""))
    if folder is not None and (PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts):
        raise BackboneError(_damaged(path, _MODULES))
    return folder, tuple(unused)


def _modes(config: Mapping[str, Any]) -> list[str]:
    """Return the modes of a pooling's configuration in either form, as sentence-transformers calls them."""
    given = config.get("pooling_mode")
    if given is not None:
        return [str(mode) for mode in given] if isinstance(given, list) else [str(given)]
    # sentence-transformers takes the mean where nothing is said.
    return [mode for flag, mode in POOLING_FLAGS.items() if config.get(flag)] or ["mean"]


def _read(path: str, file: str) -> object:
    found = find_file(path, file)
    return None if found is None else read_json(found, path)


def _damaged(path: str, file: str) -> str:
    return f"--model must have a readable {file} or none; that of {path!r} says something else. Download it again."

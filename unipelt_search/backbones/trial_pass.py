"""A pass through a model whose parts were found by structure, to check that they are what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from unipelt_search.backbones.families import Family
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.backbones.loader_errors import first_line
from unipelt_search.errors import BackboneError


@torch.no_grad()
def try_out(model: PreTrainedModel, family: Family) -> Family:
    """Run a model whose parts were found by structure, and check that they are what they look like.

    Every projection must run once per layer and see ``(rows, tokens, features)``, and padding must change nothing.
    What lies between the token vectors and the head but does not run is left out of the family.
    """
    kind = model.config.model_type
    projections = _projections(model, family)
    poolers = {name: model.get_submodule(name) for name in family.pooler_parts}
    ids = token_numbers(model.config.vocab_size)
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
            f"{type(error).__name__}: {first_line(error)} Choose another model."
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
            if projection is not None:
                modules.append(projection.module)
    return modules


def token_numbers(vocabulary: int) -> Tensor:
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
        output: Any,
    ) -> None:
        tensor: Tensor = output[0] if isinstance(output, tuple) else output
        self.shapes[module].append(tensor.shape[:-1])

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()

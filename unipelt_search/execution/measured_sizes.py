"""What configurations train and store, counted on the backbone before anything is trained."""

from __future__ import annotations

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.errors import BackboneError, RequestError
from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.history import DroppedMethod, MethodSize
from unipelt_search.records.notice import Notice
from unipelt_search.search.sizes import lowest_sizes, resized, shrunk, stored_by, value_of
from unipelt_search.search.space import configured, published
from unipelt_search.specs.seeds import SEARCH_SEED_INDEX, run_seeds
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.specs.trial import RunSpec, TrialSpec


def measure_sizes(
    space: SpaceSpec, backbone: Backbone, rows: int, absent: set[str], basis: Basis
) -> tuple[tuple[MethodSize, ...], list[DroppedMethod]]:
    """Measure every method where the study limits what is stored.

    Args:
        space: The methods, the user's own configurations and the limit.
        backbone: The backbone; left as it was.
        rows: Training rows.
        absent: Methods that cannot attach.
        basis: The study's edition, and what it knows of the backbone.

    Returns:
        The sizes, none without a limit, and the methods that no size makes fit.

    Raises:
        RequestError: No method fits, or a configuration of the user's does not.
    """
    limit = space.max_parameters
    if limit is None:
        return (), []
    for given in space.configurations:
        stored = stored_on(backbone, configured(given, space, rows, basis))
        if stored > limit:
            raise RequestError(
                f"space.configurations: {given.name!r} must store at most --max-parameters numbers, {limit:,}; it "
                f"stores {stored:,}. Give it smaller sizes, or allow more."
            )
    sizes = [measure_size(backbone, method, space, rows, basis) for method in space.methods if method not in absent]
    smallest = {size.method: _smallest_stored(size, space, rows, basis) for size in sizes}
    dropped = [
        DroppedMethod(
            method=method,
            phase="screen",
            reason=Notice(code="too_large", values={"stored": stored, "limit": limit}),
        )
        for method, stored in smallest.items()
        if stored > limit
    ]
    if len(dropped) == len(sizes) and not space.configurations:
        method = min(smallest, key=lambda name: smallest[name])
        raise RequestError(
            f"--max-parameters must leave room for a method; got {limit:,}, and the smallest, {method}, stores "
            f"{smallest[method]:,} numbers. Allow more, or ask for other methods."
        )
    return tuple(sizes), dropped


def _smallest_stored(size: MethodSize, space: SpaceSpec, rows: int, basis: Basis) -> int:
    """Count what a method stores with all of its sizes at their lowest."""
    trial = published(size.method, space, rows, basis)[0]
    return stored_by(shrunk(trial, size, 1, basis), size)


def measure_size(backbone: Backbone, method: str, space: SpaceSpec, rows: int, basis: Basis) -> MethodSize:
    """Count what a method stores on a backbone, and what a unit more of each of its sizes would add.

    Args:
        backbone: The backbone; left as it was.
        method: A trained method.
        space: What every run shares.
        rows: Training rows.
        basis: The study's edition, and what it knows of the backbone.

    Returns:
        The counts.

    Raises:
        BackboneError: The method cannot attach to the backbone.
    """
    trial = published(method, space, rows, basis)[0]
    stored = stored_on(backbone, trial)
    values = {name: value_of(trial, name) for name in lowest_sizes(basis)}
    sizes = {name: value for name, value in values.items() if value is not None}
    per_unit = {}
    for name, value in sizes.items():
        # One unit less: the published size attaches, a larger one need not. Of a single unit one more, on a tiny model.
        change = -1 if value > 1 else 1
        other = stored_on(backbone, resized(trial, name, value + change))
        per_unit[name] = (other - stored) * change
    shared = None
    if trial.gate is not None:
        gates = trial.gate.model_copy(update={"sharing": "shared"})
        shared = stored_on(backbone, trial.model_copy(update={"gate": gates})) - stored
    return MethodSize(
        method=method,
        stored=stored,
        sizes=sizes,
        per_unit=per_unit,
        shared_gates=shared,
    )


def trained_by(backbone: Backbone, trial: TrialSpec) -> int:
    """Count what a configuration trains; one that cannot attach trains nothing."""
    every = sum(parameter.numel() for parameter in backbone.model.parameters())
    if find_method(trial.method).trains == "backbone":
        return every  # no copy of the backbone is made to count a few unused parts less
    try:
        return _counts(backbone, trial)[0]
    except BackboneError:
        return 0


def stored_on(backbone: Backbone, trial: TrialSpec) -> int:
    """Count what a configuration stores; it must be able to attach."""
    return _counts(backbone, trial)[1]


def _counts(backbone: Backbone, trial: TrialSpec) -> tuple[int, int, int]:
    run = RunSpec(trial=trial, seeds=run_seeds(0, SEARCH_SEED_INDEX))
    with Pack(backbone, [run]) as pack:
        return pack.counts(0)

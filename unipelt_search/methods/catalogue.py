"""The catalogue of methods: what is compared in a study. A method is data, not code."""

from __future__ import annotations

from typing import Literal, get_args

from unipelt_search.errors import RequestError, did_you_mean
from unipelt_search.frozen import Frozen
from unipelt_search.methods.adapter_settings import AdapterSpec, ParallelAdapterSpec
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.methods.training_settings import TrainingSpec

Submodule = Literal["adapter", "parallel_adapter", "prefix", "lora", "bitfit", "ia3"]
SUBMODULES: tuple[Submodule, ...] = get_args(Submodule)


class Method(Frozen):
    """One method of the leaderboard."""

    name: str
    submodules: tuple[Submodule, ...]
    """What is attached to the frozen backbone; empty for the baselines."""
    gated: bool
    """Whether each submodule is behind a learned gate."""
    trains: Literal["nothing", "head", "submodules", "backbone"]
    """What is trained; the head always is, `majority` aside."""
    sentence: str


def _unipelt(letters: str, *submodules: Submodule) -> Method:
    names = ", ".join(submodules)
    return Method(
        name=f"unipelt_{letters}", submodules=submodules, gated=True, trains="submodules",
        sentence=f"UniPELT (Mao et al., 2022): {names} in one model, each behind a learned gate.",
    )  # fmt: skip


def _single(submodule: Submodule, sentence: str) -> Method:
    return Method(name=submodule, submodules=(submodule,), gated=False, trains="submodules", sentence=sentence)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(name="majority", submodules=(), gated=False, trains="nothing",
               sentence="Always answers the most frequent label of the training rows; costs no trial."),
        Method(name="head", submodules=(), gated=False, trains="head",
               sentence="A linear probe: only the classification head is trained."),
        _single("bitfit", "BitFit (Ben Zaken et al., 2022): only the biases are trained."),
        _single("ia3", "IA3 (Liu et al., 2022): keys, values and inner feed-forward features are rescaled."),
        _single("lora", "LoRA (Hu et al., 2022): a low-rank update of the query and value projections."),
        _single("adapter", "A bottleneck adapter behind the feed-forward network (Pfeiffer et al., 2021)."),
        _single("parallel_adapter", "A scaled bottleneck adapter beside the feed-forward network (He et al., 2022)."),
        _single("prefix", "Prefix-tuning (Li and Liang, 2021): trained keys and values in front of each attention."),
        _unipelt("ap", "adapter", "prefix"),
        _unipelt("al", "adapter", "lora"),
        _unipelt("pl", "prefix", "lora"),
        _unipelt("apl", "adapter", "prefix", "lora"),
        Method(name="fine_tuning", submodules=(), gated=False, trains="backbone",
               sentence="Every weight of the backbone is trained."),
    )
}  # fmt: skip

TRAINED_METHODS: tuple[str, ...] = tuple(name for name, method in METHODS.items() if method.trains != "nothing")
DEFAULT_METHODS: tuple[str, ...] = ("head", "bitfit", "lora", "adapter", "prefix", "unipelt_apl", "fine_tuning")


PARTS: dict[str, type[Frozen]] = {
    "training": TrainingSpec,
    "lora": LoraSpec,
    "adapter": AdapterSpec,
    "parallel_adapter": ParallelAdapterSpec,
    "prefix": PrefixSpec,
    "gate": GateSpec,
}
"""The parts of a configuration by name; those of submodules are named like the submodule."""


def parts_of(method: str) -> tuple[str, ...]:
    """List the parts of a method's configurations.

    Args:
        method: A trained method.

    Returns:
        `training`, then each submodule that has settings, then `gate` where there are gates.
    """
    known = METHODS[method]
    return tuple(
        part for part in PARTS if part == "training" or part in known.submodules or (part == "gate" and known.gated)
    )


def check_methods(names: tuple[str, ...]) -> tuple[str, ...]:
    """Check the methods that a user asked for.

    Args:
        names: What stood behind ``--methods``.

    Returns:
        The same names.

    Raises:
        RequestError: A name is unknown, stands twice, or is `majority`, which needs no asking.
    """
    if not names:
        raise RequestError(f"--methods must name at least one method; known: {', '.join(TRAINED_METHODS)}.")
    for name in names:
        if name == "majority":
            raise RequestError("--methods must not name 'majority': it costs no trial and is in every leaderboard.")
        if name not in METHODS:
            raise RequestError(
                f"--methods must name known methods; got {name!r}, known: {', '.join(TRAINED_METHODS)}."
                f"{did_you_mean(name, TRAINED_METHODS)}"
            )
        if names.count(name) > 1:
            raise RequestError(f"--methods must name each method once; got {name!r} {names.count(name)} times.")
    return names

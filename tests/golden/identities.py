"""What the golden fixtures keep of configurations, seeds, proposals and packs: whatever an older study rests on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from editions import EDITION_1
from golden.observed import MADE_STUDIES, digest, unpack

import tiny
from unipelt_search import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec, load_suite, open_study
from unipelt_search.methods.catalogue import METHODS, TRAINED_METHODS
from unipelt_search.pelt.pack import Pack
from unipelt_search.search.proposals import propose
from unipelt_search.search.space import configured, largest, published
from unipelt_search.specs.seeds import data_seed, derive_seed, proposal_seed, run_seeds
from unipelt_search.specs.trial import TrialSpec, config_of

ROOT = Path(__file__).parents[2]
ROWS = (20, 100, 500, 5_000, 100_000)
SPACES: dict[str, dict[str, Any]] = {
    "default": {},
    "short": {"steps": 10, "evaluations": 4, "patience": 3},
    "wide": {"batch_size": 32},
}
PROPOSED = 5
CLASSES = 3
VARIANTS: tuple[dict[str, Any], ...] = (
    {"name": "small", "method": "lora", "lora": {"rank": 2, "alpha": 4.0, "dropout": 0.1}},
    {"name": "shifted", "method": "prefix", "prefix": {"length": 5, "mlp": None, "position_shift": True}},
    {"name": "narrow", "method": "adapter", "adapter": {"bottleneck": 4, "activation": "relu"}},
    {"name": "beside", "method": "parallel_adapter", "parallel_adapter": {"bottleneck": 4, "scale": 2.0}},
    {
        "name": "gated",
        "method": "unipelt_apl",
        "training": {"learning_rate": 0.001, "schedule": "cosine", "warmup_share": 0.2, "weight_decay": 0.0,
                     "clip_norm": 0.5, "batch_size": 8, "steps": 30, "evaluations": 3, "patience": 2, "dropout": 0.0},
        "gate": {"lora": "multiply", "prefix": "logit", "sharing": "shared", "pooling": "all_positions"},
        "prefix": {"length": 6, "mlp": 64},
    },
    {"name": "slow", "method": "fine_tuning", "training": {"learning_rate": 1e-5}},
)  # fmt: skip
_TASK: dict[str, Any] = {"data": "rows.csv", "text": ("sentence",), "label": "kind"}
STUDIES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "seed": {"seed": 2**63 - 1},
    "task": {
        "task": {"data": "o/pairs", "text": ("a", "b"), "label": "same", "kind": "classification", "metric": "f1",
                 "class_weights": "balanced", "allow_overlap": True, "train_size": 100, "redraw": True, "carve": 50,
                 "test": "validation", "max_length": 64},
        "backbone": {"model": "minilm", "pooling": "cls"},
    },
    "space": {
        "space": {"methods": ("head", "unipelt_al", "fine_tuning"), "steps": 30, "batch_size": 8, "evaluations": 3,
                  "patience": 2, "tune_rows": 50, "prune_gates": True, "gate_null": True, "allocation": "equal",
                  "max_parameters": 50_000, "max_latency_ms": 5.0, "configurations": VARIANTS},
    },
    "no part of the question": {
        "budget": {"trials": 99, "seeds": 5, "time_seconds": 60.0},
        "machine": {"device": "cpu", "concurrency": 2, "checkpoints": "/tmp", "address": "auto"},
    },
}  # fmt: skip


def configurations() -> dict[str, Any]:
    """Return the content hash of every method's published, largest and pruned configurations, and of variants."""
    found: dict[str, Any] = {"published": {}, "largest": {}, "pruned": {}, "given": {}, "contents": {}}
    for space_name, settings in SPACES.items():
        space = SpaceSpec(**settings)
        for rows in ROWS:
            for method in TRAINED_METHODS:
                key = f"{method} {space_name} {rows}"
                trials = published(method, space, rows, EDITION_1)
                found["published"][key] = [trial.content_hash() for trial in trials]
                found["largest"][key] = largest(method, space, rows, EDITION_1).content_hash()
                if METHODS[method].gated:
                    found["pruned"][key] = [pruned(trial).content_hash() for trial in trials]
            for given in SpaceSpec.model_validate({"configurations": VARIANTS}).configurations:
                trial = configured(given, space, rows, EDITION_1)
                found["given"][f"{given.name} {space_name} {rows}"] = trial.content_hash()
    for method in TRAINED_METHODS:
        found["contents"][method] = published(method, SpaceSpec(), 100, EDITION_1)[0].model_dump(mode="json")
    return found


def pruned(trial: TrialSpec) -> TrialSpec:
    """Return a configuration without its method's first submodule in layers 0 and 3, given out of order and twice."""
    first = METHODS[trial.method].submodules[0]
    return TrialSpec.model_validate({**trial.model_dump(), "without": ((first, 3), (first, 0), (first, 3))})


def study_of(settings: dict[str, Any]) -> StudySpec:
    """Make a study of plain values."""
    task, backbone = (
        TaskSpec(**settings.get("task", _TASK)),
        BackboneSpec(**settings.get("backbone", {"model": "model"})),
    )
    return StudySpec(
        name="asked",
        task=task,
        backbone=backbone,
        space=SpaceSpec.model_validate(settings.get("space", {})),
        budget=BudgetSpec(**settings.get("budget", {})),
        machine=MachineSpec(**settings.get("machine", {})),
        seed=settings.get("seed", 0),
    )


def questions() -> dict[str, str]:
    """Return the question hash of studies, and of those of the shipped suites."""
    found = {name: study_of(settings).question_hash() for name, settings in STUDIES.items()}
    for path in sorted(ROOT.glob("studies/*/suite.yaml")):
        found |= {study.name: study.question_hash() for study in load_suite(path).studies()}
    return found


def seeds() -> dict[str, Any]:
    """Return derived seeds."""
    found: dict[str, Any] = {}
    for root in (0, 1, 7, 2**63 - 1):
        runs = {f"{index} {fold}": run_seeds(root, index, fold).model_dump() for index in range(4) for fold in range(3)}
        found[str(root)] = {
            "data": data_seed(root),
            "proposals": [proposal_seed(root, number) for number in range(20)],
            "runs": runs,
            "folds": [derive_seed(root, "folds", repeat, fold) for repeat in (1, 2) for fold in (1, 2)],
        }
    return found


def proposals() -> dict[str, Any]:
    """Return each method's next configurations in a kept study, every proposal taken for a trial that runs."""
    with tempfile.TemporaryDirectory() as folder:
        record = open_study("proposals", storage=unpack(MADE_STUDIES, Path(folder))).record
    found = {}
    for method in dict.fromkeys(trial.method for trial in record.trials):
        seen, proposed = record, []
        for _ in range(PROPOSED):
            spec = propose(seen, method)
            proposed.append({**config_of(spec), "hash": spec.content_hash()})
            like = next(trial for trial in record.trials if trial.method == method)
            score = 0.5 + 0.01 * len(proposed)
            new = like.model_copy(update={"number": len(seen.trials), "spec": spec, "value": score})
            seen = seen.model_copy(update={"trials": (*seen.trials, new)})
        found[method] = proposed
    return found


def packs(family: str) -> dict[str, Any]:
    """Describe a pack of one run of every method on a tiny backbone of a family.

    Args:
        family: A type of backbone.

    Returns:
        By method the tensors that are trained and those that are stored, and the logits of three rows after the trained
        tensors were given random values.
    """
    backbone = tiny.tiny_backbone(family, CLASSES)
    inputs = tiny.tiny_inputs([5, 3, 7])
    found = {}
    for name, trial in _trials(family).items():
        with Pack(backbone, [tiny.tiny_run(trial)]) as pack, torch.no_grad():
            trained = {tensor.name: _summary(tensor.parameter) for tensor in pack.trained()}
            stored = {key: _summary(tensor) for key, tensor in pack.slot_state_dict(0).items()}
            before = pack.eval()(inputs)[0].tolist()
            _randomise(pack)
            after = pack(inputs)[0].tolist()
        found[name] = {"trained": trained, "stored": stored, "untrained": before, "randomised": after}
    return found


def _trials(family: str) -> dict[str, TrialSpec]:
    methods = [m for m in tiny.PARTS if m != "bitfit" or family not in tiny.WITHOUT_BIASES]
    trials = {method: tiny.tiny_trial(method) for method in methods}
    if family in tiny.SHIFTED and not tiny.SHIFTED[family]:
        shifted = {"length": 4, "mlp": None, "position_shift": True}
        trials["prefix shifted"] = TrialSpec.model_validate({**trials["prefix"].model_dump(), "prefix": shifted})
    return trials


def _randomise(pack: Pack) -> None:
    """Add to every trained tensor random values that follow from its name, so that parts that start at zero act."""
    for tensor in pack.trained():
        generator = torch.Generator().manual_seed(crc32(tensor.name.encode()))
        tensor.parameter.add_(torch.randn(tensor.parameter.shape, generator=generator) * 0.2)


def _summary(tensor: torch.Tensor) -> list[Any]:
    """Return a tensor's shape, the sum of its values and that of their squares, and its first value."""
    values = tensor.detach().double().flatten()
    return [list(tensor.shape), float(values.sum()), float(values.square().sum()), float(values[0])]


def hashes() -> dict[str, Any]:
    """Observe all that is the same on every machine."""
    return {
        "configurations": configurations(),
        "questions": questions(),
        "seeds": seeds(),
        "proposals": proposals(),
    }


def packs_in_short(family: str) -> dict[str, Any]:
    """Return `packs`, with names and shapes as digests for all families but bert."""
    found = packs(family)
    if family == "bert":
        return found
    for described in found.values():
        for part in ("trained", "stored"):
            tensors = described.pop(part)
            described[part] = {
                "names and shapes": digest([[name, tensors[name][0]] for name in sorted(tensors)]),
                "sum": sum(summary[1] for summary in tensors.values()),
                "squares": sum(summary[2] for summary in tensors.values()),
            }
    return found

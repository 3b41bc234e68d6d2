"""A confirmed run's weights become a model that can be handed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from unipelt_search.backbones.backbone import Backbone, backbone_hash
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.merged_folder import check_mergeable, write_merged
from unipelt_search.exporting.model_card import CardFacts, find_licence, merged_card, model_card
from unipelt_search.exporting.new_folder import check_free, new_folder
from unipelt_search.exporting.sample import Sample
from unipelt_search.exporting.saved_model import (
    CARD,
    DESCRIPTION,
    SavedBackbone,
    SavedModel,
    SavedTask,
    check_tensors,
    write_weights,
)
from unipelt_search.kinds.label_kind import Target, label_kinds
from unipelt_search.methods.catalogue import plugin_packages
from unipelt_search.pelt.pack import Pack, without_training_only
from unipelt_search.records.history import RunRecord, StudyRecord
from unipelt_search.records.report import LeaderboardRow, ReportedGate
from unipelt_search.remote_paths import reaching, to_storage_path
from unipelt_search.specs.study import Side
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.training.checkpoint import load_run

PeftWriter = Callable[[Path, Backbone, SavedModel, Mapping[str, Tensor], Sample], None]


@dataclass(frozen=True)
class OutputFolders:
    """Where a model is written."""

    to: Path
    merged: Path | None = None
    peft: Path | None = None
    force: bool = False
    """Whether models that are there may be replaced."""

    def check(self) -> None:
        """Check that every folder is free.

        Raises:
            SavedModelError: One is not, or two are the same.
        """
        named = [("--to", self.to), ("--merged", self.merged), ("--peft", self.peft)]
        given = [(option, path) for option, path in named if path is not None]
        for option, path in given:
            check_free(path, option, force=self.force)
        if len({path.resolve() for _, path in given}) < len(given):
            raise SavedModelError(f"{', '.join(option for option, _ in given)} must be different folders.")


@dataclass(frozen=True)
class PeftForm:
    """How a PEFT folder is made; handed in, because PEFT is an optional dependency."""

    check: Callable[[Backbone, TrialSpec, Side | None], None]
    write: PeftWriter


def export_run(
    record: StudyRecord,
    run: RunRecord,
    outputs: OutputFolders,
    *,
    row: LeaderboardRow | None = None,
    gates: Sequence[ReportedGate] = (),
    peft: PeftForm | None = None,
) -> None:
    """Write a run's model; every folder is complete or absent, and nothing is written if something is refused.

    Args:
        record: The study.
        run: The run whose weights were kept.
        outputs: Where to.
        row: The trial's scores, for the card.
        gates: The trial's gate rows, for the card.
        peft: How a PEFT folder is made, where one is asked for.

    Raises:
        SavedModelError: A folder is not free, the weights are gone or damaged, or a form cannot hold the model.
        BackboneError: The backbone cannot be loaded.
    """
    outputs.check()
    trial = record.trials[run.trial].spec
    tensors, description = _read_checkpoint(run)
    kept = _kept_run(run, description)
    target = _kept_target(run, description)
    if kept.trial != trial or target.labels != record.task.labels:
        raise SavedModelError(_useless(run, "they belong to another trial or task"))
    backbone = load_backbone(record.spec.backbone, target.outputs, "cpu", record.edition)
    _check_backbone(backbone, description)
    side = record.spec.task.side
    library = None if outputs.merged is None else check_mergeable(backbone, trial, target, side)
    if peft is not None:
        peft.check(backbone, trial, side)
    max_length = min(record.spec.task.max_length, backbone.max_length)
    with Pack(backbone, [without_training_only(kept)]) as pack:
        check_tensors(tensors, pack.slot_state_dict(0), f"The checkpoint {run.result.checkpoint if run.result else ''}")
        pack.load_slot_state_dict(0, tensors)
        sample = Sample.of(pack.eval(), len(record.spec.task.text), max_length, side)
    with ExitStack() as folders:  # they get their names only when all of them are complete
        folder = folders.enter_context(new_folder(outputs.to))
        saved = _describe(record, kept, target, backbone, max_length, write_weights(folder, tensors))
        (folder / DESCRIPTION).write_text(saved.model_dump_json(indent=1) + "\n", encoding="utf-8")
        facts = CardFacts(record.spec.name, row, gates, find_licence(saved.backbone.model))
        (folder / CARD).write_text(model_card(saved, facts), encoding="utf-8")
        if outputs.merged is not None and library is not None:
            merged = folders.enter_context(new_folder(outputs.merged))
            write_merged(merged, backbone, saved, tensors, sample)
            (merged / CARD).write_text(merged_card(saved, facts, library), encoding="utf-8")
        if peft is not None and outputs.peft is not None:
            peft.write(folders.enter_context(new_folder(outputs.peft)), backbone, saved, tensors, sample)


def _check_backbone(backbone: Backbone, description: Mapping[str, Any]) -> None:
    """Check that a backbone is the one that a checkpoint was trained on."""
    found = {"pooling": backbone.pooling, "backbone_hash": backbone_hash(backbone)}
    if any(description.get(name) != value for name, value in found.items()):
        raise SavedModelError(
            f"The backbone {backbone.name!r} must be what it was when the study ran; its weights or its pooling have "
            "changed since. Put the old one back, or run the study again under another --name."
        )


def _describe(
    record: StudyRecord, kept: RunSpec, target: Target, backbone: Backbone, max_length: int, weights_sha256: str
) -> SavedModel:
    source, model = _source(record.spec.backbone.model)
    return SavedModel(
        trial=kept.trial,
        seeds=kept.seeds,
        backbone=SavedBackbone.model_validate(
            {
                "model": model,
                "source": source,
                "revision": getattr(backbone.model.config, "_commit_hash", None),
                "pooling": backbone.pooling,
                "weights_hash": backbone_hash(backbone),
            }
        ),
        task=SavedTask(
            **record.task.model_dump(include={"name", "labels", "metric", "fingerprint"}),
            kind=target.kind,
            mean=target.mean,
            sd=target.sd,
            threshold=target.threshold,
            text=record.spec.task.text,
            max_length=max_length,
            truncation=record.spec.task.side,
        ),
        weights_sha256=weights_sha256,
        software=record.software,
        plugins=plugin_packages([kept.trial.method]),
    )


def _source(model: str) -> tuple[Literal["hub", "folder", "package"], str]:
    """Tell where a backbone comes from, and what finds it again from any working directory."""
    if model == "minilm":
        return "package", model
    return ("folder", str(Path(model).resolve())) if Path(model).is_dir() else ("hub", model)


def _read_checkpoint(run: RunRecord) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if run.result is None or run.result.checkpoint is None:
        raise SavedModelError(f"Export needs a run whose weights were kept; run {run.id} has none.")
    folder = to_storage_path(run.result.checkpoint)
    try:
        with reaching(folder):
            there = folder.is_dir()
        if not there:
            raise SavedModelError(
                f"The weights of trial {run.trial} must be in {folder}; nothing is there. Put the folder back, or run "
                "the study again under another --name to train them anew."
            )
        tensors, description = load_run(folder)
    except (OSError, ValueError, SafetensorError) as error:
        raise SavedModelError(_useless(run, str(error))) from error
    if not isinstance(description, dict):
        raise SavedModelError(_useless(run, "run.json holds no object"))
    return tensors, description


def _kept_run(run: RunRecord, description: Mapping[str, Any]) -> RunSpec:
    try:
        return RunSpec.model_validate(description.get("run"))
    except ValidationError as error:
        raise SavedModelError(_useless(run, "run.json does not say what was trained")) from error


def _kept_target(run: RunRecord, description: Mapping[str, Any]) -> Target:
    try:
        target = TypeAdapter(Target).validate_python(description.get("target"))
    except ValidationError as error:
        raise SavedModelError(_useless(run, "run.json does not say what the outputs mean")) from error
    if target.kind not in label_kinds():
        raise SavedModelError(_useless(run, f"run.json names an unknown kind of task, {target.kind!r}"))
    return target


def _useless(run: RunRecord, reason: str) -> str:
    checkpoint = run.result.checkpoint if run.result else ""
    return (
        f"The weights of trial {run.trial} in {checkpoint} cannot be used: {reason}. Put an intact copy back, export "
        "another trial with --trial, or run the study again under another --name."
    )

"""What a run keeps on disk: its weights when it has ended, and its state at every evaluation while it trains.

A state is a folder of its own, complete or absent; the newest one and the one before it are kept:

    <run>/<attempt>-<step>/tensors.safetensors   trained tensors, AdamW's moments, the best weights, the first gates
                           manifest.json         all else that a run knows, and how to recognise every byte of both

One that is damaged, or another run's, is found and never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from unipelt_search.failpoints import reach
from unipelt_search.frozen import Frozen
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.records.results import EvaluationRow, GateRow
from unipelt_search.remote_paths import StoragePath, is_remote, reaching, remove_folder
from unipelt_search.specs.trial import RunSpec
from unipelt_search.training.optimizer import SlotAdamW
from unipelt_search.training.recorder import GateKey
from unipelt_search.training.slot import Slot

WEIGHTS, DESCRIPTION = "model.safetensors", "run.json"
TENSORS, MANIFEST = "tensors.safetensors", "manifest.json"
KEPT = 2
"""Checkpoints of a run that trains; a third one is there while it is written."""
COPIES = 4
"""Times that a checkpoint holds what is trained: now, AdamW's two moments, and at the best evaluation."""
_ROOM = 2**20
"""Bytes for the names of tensors, the curve and the gates' statistics."""
_NAME = re.compile(r"(\d{4,})-(\d{9,})")
_MANIFEST_TEXT = re.compile(r'\{"sha256":"([0-9a-f]{64})","manifest":(.*)\}\n')
_HALF = ".half-"


def checkpoint_bytes(trained: int, gates: int) -> int:
    """Estimate what the checkpoints of a run take on the disk at a time at most.

    Args:
        trained: Numbers that are trained.
        gates: Gates that are kept of the time before the first step, one per example, layer and name.

    Returns:
        Bytes.
    """
    return (KEPT + 1) * (4 * COPIES * trained + 8 * gates + _ROOM)


def save_run(
    folder: StoragePath,
    tensors: Mapping[str, Tensor],
    description: Mapping[str, Any],
) -> None:
    """Write a run's weights; a folder of that name is replaced only when the new one is complete.

    Args:
        folder: Where to.
        tensors: The weights by name.
        description: What is needed to load them, as JSON.
    """
    tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    described = json.dumps(description, indent=1, sort_keys=True)
    if not isinstance(folder, Path):
        _write_files(folder, save(tensors), WEIGHTS, described, DESCRIPTION)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        save_file(tensors, made / WEIGHTS)
        (made / DESCRIPTION).write_text(described, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def load_run(folder: StoragePath) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_run` wrote.

    Args:
        folder: Where from.

    Returns:
        The weights by name, and the description.
    """
    weights = folder / WEIGHTS
    with reaching(folder):
        described = (folder / DESCRIPTION).read_bytes()
        data = None if isinstance(weights, Path) else weights.read_bytes()
    return load_file(weights) if data is None else load(data), json.loads(described)


class CostSoFar(Frozen):
    """What a run has cost so far."""

    train_seconds: float
    positions: int
    """Token positions in training batches."""
    tokens: int
    peak_memory_mb: float


class _State(Frozen):
    """A run after an evaluation, without its tensors. Whatever is random follows from its seeds and its step."""

    step: int
    examples: int
    waiting: int
    best: EvaluationRow
    threshold: float
    evaluations: tuple[EvaluationRow, ...]
    gates: tuple[GateRow, ...]
    # The key of states that are on disk already.
    cost_so_far: CostSoFar = Field(alias="spent")


class _Manifest(Frozen):
    """manifest.json, its own hash aside."""

    format: Literal[1] = 1
    run: str
    attempt: int
    content: str
    """Hash of the run's configuration and seeds."""
    tensors_bytes: int
    tensors_sha256: str
    state: _State

    def text(self) -> str:
        """Return the file's content: the manifest after its own SHA-256."""
        body = self.model_dump_json(by_alias=True)
        return f'{{"sha256":"{hashlib.sha256(body.encode()).hexdigest()}","manifest":{body}}}\n'

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Read a file's content; raises _DamagedError where a byte of it has changed."""
        found = _MANIFEST_TEXT.fullmatch(text)
        # What is hashed is the text itself: a version that writes the keys in another order reads it all the same.
        if found is None or hashlib.sha256(found[2].encode()).hexdigest() != found[1]:
            raise _DamagedError
        return cls.model_validate_json(found[2])


@dataclass(frozen=True)
class _Kept:
    """A checkpoint that is there."""

    attempt: int
    step: int
    folder: StoragePath


class _DamagedError(Exception):
    """A checkpoint is not what this run has written."""


class RunCheckpoints:
    """The checkpoints of one run that trains alone; written by one attempt, left for the next one."""

    def __init__(self, folder: StoragePath, run_id: str, attempt: int) -> None:
        """Name the folder; nothing is read or written yet.

        Args:
            folder: The run's own folder.
            run_id: Which run.
            attempt: Which attempt of it writes.
        """
        self._folder, self._run_id, self._attempt = folder, run_id, attempt
        self.newest: StoragePath | None = None
        """The last one that was written, or from which the run went on."""
        self.problem: Notice | None = None
        """Why the last one could not be written."""

    def save(self, slot: Slot, pack: Pack, optimizer: SlotAdamW, cost_so_far: CostSoFar) -> None:
        """Keep the run's state after an evaluation, and of those before it the newest.

        Where that cannot be done, what is there stays, and `problem` says why.

        Args:
            slot: The run.
            pack: Its weights.
            optimizer: Its moments.
            cost_so_far: What it has cost.
        """
        state = _state_of(slot, cost_so_far)
        tensors = _tensors_of(slot, pack, optimizer)
        half = None
        try:
            if isinstance(self._folder, Path):
                self._folder.mkdir(parents=True, exist_ok=True)
                half = Path(tempfile.mkdtemp(prefix=_HALF, dir=self._folder))
                self.newest = self._write(self._folder, half, slot.run, state, tensors)
            else:
                self.newest = self._upload(slot.run, state, tensors)
            self.problem = None
            for old in self._kept()[:-KEPT]:
                remove_folder(old.folder)
        except (OSError, SafetensorError) as error:
            needed = sum(tensor.nbytes for tensor in tensors.values()) / 1e6
            cause = " ".join(str(error).split())[:200]
            values: dict[str, NoticeValue] = {"megabytes": needed, "folder": str(self._folder.parent), "cause": cause}
            self.problem = Notice(code="checkpoint_not_written", severity="warning", values=values)
        finally:
            if half is not None:
                shutil.rmtree(half, ignore_errors=True)

    def load(self, slot: Slot, pack: Pack, optimizer: SlotAdamW) -> CostSoFar | None:
        """Put a run where the newest intact checkpoint of its own has it; the others are removed.

        Args:
            slot: The run, as it begins.
            pack: Takes its weights.
            optimizer: Takes its moments.

        Returns:
            What it has cost so far; None where it must begin at its beginning.
        """
        for half in self._folder.glob(f"{_HALF}*") if isinstance(self._folder, Path) else ():
            shutil.rmtree(half, ignore_errors=True)
        for kept in reversed(self._kept()):
            try:
                state, tensors = self._read(kept, slot.run)
                _check_tensors(tensors, pack, best=state.waiting > 0)
            except (_DamagedError, OSError, SafetensorError, TypeError, ValueError) as error:
                # A remote store that does not respond says nothing about the checkpoint: it stays for the next attempt.
                unreachable = is_remote(kept.folder) and isinstance(error, OSError)
                if not unreachable or isinstance(error, FileNotFoundError):
                    remove_folder(kept.folder)
                continue
            self.newest = kept.folder
            _restore_run(slot, state, tensors, pack, optimizer)
            return state.cost_so_far
        return None

    def _kept(self) -> list[_Kept]:
        """List what is there, the newest last: a later attempt has begun at what an earlier one had left."""
        try:
            with reaching(self._folder):
                paths: list[StoragePath] = [path for path in self._folder.iterdir()]
        except OSError:  # nothing was written yet, or it cannot be read
            return []
        found = []
        for path in paths:
            name = _NAME.fullmatch(path.name)
            if name:
                found.append(
                    _Kept(
                        attempt=int(name[1]),
                        step=int(name[2]),
                        folder=path,
                    )
                )
        return sorted(found, key=lambda kept: (kept.attempt, kept.step))

    def _write(
        self,
        folder: Path,
        half: Path,
        run: RunSpec,
        state: _State,
        tensors: Mapping[str, Tensor],
    ) -> Path:
        reach("checkpoint.tensors.before")
        save_file(dict(tensors), half / TENSORS)
        size, digest = (half / TENSORS).stat().st_size, _hash_of(half / TENSORS)
        manifest = self._manifest(run, state, size, digest)
        reach("checkpoint.manifest.before")
        (half / MANIFEST).write_text(manifest.text(), encoding="utf-8")
        for path in (half / TENSORS, half / MANIFEST, half):
            make_durable(path)
        final = folder / _name(self._attempt, state.step)
        reach("checkpoint.rename.before")
        os.replace(half, final)
        make_durable(folder)
        reach("checkpoint.rename.after")
        return final

    def _upload(self, run: RunSpec, state: _State, tensors: Mapping[str, Tensor]) -> StoragePath:
        """Write a checkpoint where nothing can be renamed: without its manifest, the last to come, it is none."""
        folder = self._folder / _name(self._attempt, state.step)
        data = save(dict(tensors))
        digest = hashlib.sha256(data).hexdigest()
        manifest = self._manifest(run, state, len(data), digest)
        _write_files(folder, data, TENSORS, manifest.text(), MANIFEST)
        return folder

    def _manifest(self, run: RunSpec, state: _State, size: int, digest: str) -> _Manifest:
        return _Manifest(
            run=self._run_id,
            attempt=self._attempt,
            content=run.content_hash(),
            tensors_bytes=size,
            tensors_sha256=digest,
            state=state,
        )

    def _read(
        self,
        kept: _Kept,
        run: RunSpec,
    ) -> tuple[_State, dict[str, Tensor]]:
        with reaching(kept.folder):
            text = (kept.folder / MANIFEST).read_bytes().decode()
        manifest = _Manifest.of_text(text)
        name = _name(manifest.attempt, manifest.state.step)
        # Another run's manifest, and one that was moved, are refused here.
        if manifest.run != self._run_id or name != kept.folder.name:
            raise _DamagedError
        if manifest.content != run.content_hash():
            raise _DamagedError
        tensors = _read_tensors(kept.folder / TENSORS, manifest.tensors_bytes, manifest.tensors_sha256)
        return manifest.state, tensors


def _state_of(slot: Slot, cost_so_far: CostSoFar) -> _State:
    if slot.best is None:
        raise RuntimeError("after an evaluation there is a best one")
    return _State(
        step=slot.step,
        examples=slot.examples,
        waiting=slot.waiting,
        best=slot.best,
        threshold=slot.target.threshold,
        evaluations=tuple(slot.evaluations),
        gates=tuple(slot.gates),
        spent=cost_so_far,
    )


def _tensors_of(slot: Slot, pack: Pack, optimizer: SlotAdamW) -> dict[str, Tensor]:
    """Name everything that a run consists of: `<group>/<tensor>`, gates `<group>/<layer>/<gate>`."""
    first, second = optimizer.moments(0)
    trained = pack.trained()
    weights = [tensor.by_slot(tensor.parameter.detach())[0] for tensor in trained]
    groups = {"weights": weights, "first": first, "second": second}
    if slot.waiting:  # else the present weights are the best
        groups["best"] = slot.best_weights
    tensors = {}
    for group, members in groups.items():
        for tensor, values in zip(trained, members, strict=True):
            tensors[f"{group}/{tensor.name}"] = values.contiguous().cpu()
    for group, gates in (("initial_tune", slot.initial_tune), ("initial_select", slot.initial_select)):
        for (layer, gate), rows in gates.items():
            tensors[f"{group}/{layer}/{gate}"] = torch.from_numpy(rows)
    return tensors


def _read_tensors(path: StoragePath, size: int, digest: str) -> dict[str, Tensor]:
    """Read tensors whose file must have this size and SHA-256; raises _DamagedError where it has not."""
    if isinstance(path, Path):
        if path.stat().st_size != size or _hash_of(path) != digest:
            raise _DamagedError
        return load_file(path)
    with reaching(path):
        data = path.read_bytes()
    if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
        raise _DamagedError
    return load(data)


def _check_tensors(tensors: Mapping[str, Tensor], pack: Pack, *, best: bool) -> None:
    """Refuse tensors that do not fit the pack, as those of another version."""
    shapes = {}
    for trained in pack.trained():
        shapes[trained.name] = trained.by_slot(trained.parameter)[0].shape
    groups = ["weights", "first", "second"]
    if best:
        groups.append("best")
    for group in groups:
        found = {name: tensor.shape for name, tensor in _group(tensors, group).items()}
        if found != shapes:
            raise _DamagedError


def _group(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    start = f"{group}/"
    names = [name for name in tensors if name.startswith(start)]
    return {name.removeprefix(start): tensors[name] for name in names}


def _gates(
    tensors: Mapping[str, Tensor],
    group: str,
) -> dict[GateKey, np.ndarray]:
    gates = {}
    for name, tensor in _group(tensors, group).items():
        layer, _, gate = name.partition("/")
        gates[int(layer), gate] = tensor.numpy().copy()
    return gates


def _restore_run(
    slot: Slot,
    state: _State,
    tensors: Mapping[str, Tensor],
    pack: Pack,
    optimizer: SlotAdamW,
) -> None:
    names = [trained.name for trained in pack.trained()]

    def members(group: str) -> list[Tensor]:
        return [tensors[f"{group}/{name}"] for name in names]

    pack.restore(0, members("weights"))
    optimizer.go_on(0, state.step, members("first"), members("second"))
    next(islice(slot.batches, state.step - 1, None))  # those that were trained on
    slot.step = state.step
    slot.examples = state.examples
    slot.waiting = state.waiting
    slot.evaluations = list(state.evaluations)
    slot.gates = list(state.gates)
    slot.best = state.best
    best = members("best" if state.waiting else "weights")
    slot.best_weights = [tensor.to(pack.backbone.device, copy=True) for tensor in best]
    slot.target = replace(slot.target, threshold=state.threshold)
    slot.initial_tune = _gates(tensors, "initial_tune")
    slot.initial_select = _gates(tensors, "initial_select")
    slot.active = not slot.is_done()


def _name(attempt: int, step: int) -> str:
    return f"{attempt:04d}-{step:09d}"


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_files(
    folder: StoragePath,
    tensors: bytes,
    file: str,
    text: str,
    last: str,
) -> None:
    """Write tensors to a remote folder, and after them the text without which they do not count."""
    with reaching(folder):
        (folder / last).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(tensors)
        (folder / last).write_text(text, encoding="utf-8")


def make_durable(path: Path) -> None:
    """Let a file, or a folder's names, survive a power cut.

    Args:
        path: The file or the folder.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

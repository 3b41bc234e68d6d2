"""The Python interface: start a study, go on with one, open one.

    >>> from unipelt_search import open_study
    >>> open_study("demo").leaderboard  # doctest: +SKIP

Whatever trains is imported when a study starts, so that opening a report stays quick.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from unipelt_search.errors import OldSchemaError, RequestError, SavedModelError, StudyExistsError, StudyNotFoundError
from unipelt_search.event_log import log_events
from unipelt_search.methods.catalogue import check_installed, plugin_packages
from unipelt_search.methods.plugins import plugin_versions
from unipelt_search.records.history import EDITION, StudyLine, StudyRecord, StudyState
from unipelt_search.records.notice import facts, without_facts
from unipelt_search.records.progress import StudyProgress
from unipelt_search.records.row_origins import RowOrigins
from unipelt_search.records.study_plan import PlannedExport, StudyPlan
from unipelt_search.records.study_stage import OnStage, StudyStage, unheard
from unipelt_search.reporting.assemble import render_json
from unipelt_search.reporting.export_sentences import export_summary
from unipelt_search.reporting.notice_sentences import described, notice_sentence
from unipelt_search.reporting.opened_study import Study
from unipelt_search.reporting.page import render_html
from unipelt_search.reporting.pooled_gates import row_of_run
from unipelt_search.settings import storage_url
from unipelt_search.specs.seeds import run_number
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.study_identity import as_begun, shrunk_budget, spec_differences
from unipelt_search.storage.connection import check_writable as check_storage
from unipelt_search.storage.store import StudyReader, StudyStore, check_new_name, upgrade_database
from unipelt_search.storage.upgrade import Upgraded
from unipelt_search.verdict.select_run import select_run

if TYPE_CHECKING:
    from unipelt_search.backbones.backbone import Backbone
    from unipelt_search.execution.driver import Driver
    from unipelt_search.execution.preparation import Prepared
    from unipelt_search.exporting.export import PeftForm
    from unipelt_search.exporting.loaded_model import LoadedModel
    from unipelt_search.records.data_columns import DataColumns
    from unipelt_search.records.diagnosis import ModelFacts
    from unipelt_search.remote_paths import StoragePath
    from unipelt_search.tasks.data_frames import Frames
    from unipelt_search.tasks.task import Task

Watch = Callable[[StudyProgress], None]
_PACKAGES = ("unipelt-search", "torch", "transformers", "ray", "optuna")


def open_study(name: str, *, storage: str | None = None) -> Study:
    """Open a study.

    Args:
        name: Its name.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Returns:
        The study as it is now.

    Raises:
        StudyNotFoundError: There is none of that name.
    """
    with StudyReader.open(storage_url(storage)) as reader:
        return Study(reader.studies.load(name))


def stored_spec(name: str, *, storage: str | None = None) -> StudySpec:
    """Return what a study asks, also from a database of an older schema.

    Args:
        name: Its name.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Returns:
        The specification.

    Raises:
        StudyNotFoundError: There is none of that name.
    """
    with StudyReader.open(storage_url(storage), any_schema=True) as reader:
        return reader.studies.spec(name)


def study_names(*, storage: str | None = None) -> list[str]:
    """Return the names of the studies of a database, also of one of an older schema.

    Args:
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Returns:
        The names, the newest study first; none where there is no database yet.
    """
    try:
        with StudyReader.open(storage_url(storage), any_schema=True) as reader:
            return reader.studies.names()
    except StudyNotFoundError:
        return []


def list_studies(*, storage: str | None = None) -> list[StudyLine]:
    """List the studies of a database.

    Args:
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Returns:
        One line per study, the newest first; none where there is no database yet.
    """
    try:
        with StudyReader.open(storage_url(storage)) as reader:
            return reader.studies.lines()
    except StudyNotFoundError:
        return []


def upgrade_storage(*, storage: str | None = None) -> Upgraded:
    """Bring the tables of a study database up to date; one that is up to date stays as it is.

    Args:
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Returns:
        Which schema was found, which one there is now, and where the copy of a SQLite file is.

    Raises:
        StudyNotFoundError: There is no study database.
        StorageError: It cannot be upgraded, or was written by a newer version.
    """
    return upgrade_database(storage_url(storage))


def delete_study(name: str, *, storage: str | None = None) -> None:
    """Delete a study with all that the database holds of it, and the checkpoints of runs that are not finished.

    Args:
        name: Its name.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Raises:
        StudyNotFoundError: There is none of that name.
    """
    from unipelt_search.execution.checkpoint_folders import remove_run_folder
    from unipelt_search.remote_paths import to_storage_path

    store = StudyStore.open(storage_url(storage), create=False)
    study_id = store.studies.find(name)
    checkpoints = store.attempts.checkpoints(study_id) if study_id else ()
    folders = [to_storage_path(checkpoint).parent for checkpoint in checkpoints]
    store.studies.delete(name)
    for folder in folders:
        remove_run_folder(folder)


def run_study(
    spec: StudySpec,
    *,
    storage: str | None = None,
    out: Path | None = None,
    command: str = "",
    watch: Watch | None = None,
    frames: Frames | None = None,
    on_stage: OnStage = unheard,
) -> Study:
    """Search for the best method, or go on with the study of that name.

    Everything is checked first; when the request is wrong, nothing is created in the database or on disk.

    Args:
        spec: What is asked; its budget may be larger than that of a study that exists.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.
        out: Folder for report.html, report.json, and where `spec.machine.checkpoints` names no other folder the
            finalists' weights and the states of the runs that train, from which they go on; None writes none of them.
        command: The command line that asked, for the report.
        watch: Is shown how far the study is whenever something happens.
        frames: The data itself, a table in memory of any kind or one per split; `spec.task.data` is only its name then.
        on_stage: Is told what is done before the first run, and of a new study on this machine the plan.

    Returns:
        The study; its `interrupted` tells whether Ctrl-C ended the search.

    Raises:
        RequestError: The request is wrong.
        StudyExistsError: A study of that name asks something else.
        NoUsableTrialError: Every trial failed.
        MachineError: A package is missing that brings a method of the study.
    """
    from unipelt_search.execution.checkpoint_folders import remove_finished
    from unipelt_search.remote_paths import check_writable
    from unipelt_search.search.plan import check_budget

    began = time.monotonic()
    check_budget(spec)
    _check_out(out)
    url = storage_url(storage)
    found = _find_or_upgrade(url, spec, frames)
    task = _read(spec, found, frames, on_stage)
    if found is not None:
        spec = _check_same_identity(found, spec, task)
        if found.state is StudyState.COMPLETE and found.spec.budget == spec.budget:
            remove_finished(_checkpoints(spec, out), found)
            return _deliver(url, spec.name, out, interrupted=False)
    check_storage(url)
    # From here on the model is loaded and tried; nothing is written before all of that has gone well.
    ready, backbone = _prepare(spec, task, found, on_stage)
    # A study that goes on keeps the methods and steps that it began with, and a cluster's machines are not this one.
    new_and_here = found is None and spec.machine.address is None
    # Timing takes a while, and is for a limit or for whoever wants to see the plan.
    if new_and_here and (ready.is_limited or on_stage is not unheard):
        ready, plan = ready.planned(backbone, began, on_stage)
        on_stage(StudyStage(name="plan", subject=spec.name, plan=plan))
    if spec.machine.checkpoints is not None:
        check_writable(spec.machine.checkpoints)
    kept = _checkpoints(spec, out)
    start = _Start(
        url=url,
        found=found,
        command=command,
        watch=watch if out is None else log_events(out, watch),
        checkpoints=kept,
        checkpoint_bytes=0 if kept is None else ready.checkpoint_bytes(backbone),
        exports=ready.exports(backbone),
        origins=task.origins,
        began=began,
        on_stage=on_stage,
    )
    del backbone  # the workers load their own
    interrupted = _search(ready, start)
    return _deliver(url, spec.name, out, interrupted=interrupted)


def export_model(
    name: str,
    to: str | Path,
    *,
    trial: int | None = None,
    cheapest: bool = False,
    merged: str | Path | None = None,
    peft: str | Path | None = None,
    force: bool = False,
    storage: str | None = None,
) -> Path:
    """Write a study's best model as a folder that `load_model` loads.

    Args:
        name: The study's name.
        to: Folder for the trained tensors, their description and a model card; the backbone is not in it.
        trial: This trial's model; None is the verdict's.
        cheapest: Of the methods that tie the one with the fewest stored parameters, not the best.
        merged: Folder for a model with the same predictions that transformers or sentence-transformers alone loads,
            where that is exact.
        peft: Folder in the form of the library PEFT, where that is exact.
        force: Replace models that are there.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Returns:
        The folder `to`.

    Raises:
        StudyNotFoundError: There is none of that name.
        SavedModelError: The weights are gone, a folder is taken, or a form cannot hold the model; nothing is written.
        MachineError: The package is missing that brings the method.
    """
    study = open_study(name, storage=storage)
    run = select_run(study.record, trial=trial, cheapest=cheapest)
    check_installed([study.record.trials[run.trial].method], study.record.task.plugins)
    from unipelt_search.exporting.export import OutputFolders, export_run

    form = None if peft is None else _peft_form()
    row = next((row for row in study.report.leaderboard if row.trial == run.trial), None)
    of_trial = [row for row in study.report.gates if row.trial == run.trial]
    # The model card shows the gates of this run on the rows that the verdict stands on, all labels together.
    number = run_number(run.seed_index, run.fold, study.record.task.folds)
    gates = [row_of_run(row, number) for row in of_trial if row.split == "select" and not row.label]
    folders = OutputFolders(
        Path(to),
        merged=None if merged is None else Path(merged),
        peft=None if peft is None else Path(peft),
        force=force,
    )
    export_run(study.record, run, folders, row=row, gates=gates, peft=form)
    return folders.to


def _peft_form() -> PeftForm:
    """Return what writes the form of the library PEFT, which need not be installed."""
    from unipelt_search.exporting.export import PeftForm

    try:
        from unipelt_search.exporting.peft_folder import check_peft, write_peft
    except ModuleNotFoundError as error:
        if error.name != "peft":
            raise
        raise SavedModelError(
            "--peft needs the package peft, which is not installed: pip install 'unipelt-search[peft]'."
        ) from error
    return PeftForm(check_peft, write_peft)


def load_model(
    folder: str | Path,
    *,
    device: str = "cpu",
    backbone: str | None = None,
) -> LoadedModel:
    """Load a model that was exported.

    Args:
        folder: What `export_model` or `unipelt-search export` wrote; one from elsewhere runs no code.
        device: `cpu` or `cuda`.
        backbone: The backbone's folder or hub name, where it is no longer what it was; its weights must be the same.

    Returns:
        The model: `predict(texts)` returns predictions, `gates(texts)` how far each gate opened.

    Raises:
        SavedModelError: The folder is damaged or foreign, or the backbone is another one.
        RequestError: The device is unknown or not there.
        MachineError: The package is missing that brings the method.
    """
    from unipelt_search.exporting.loaded_model import load_saved

    return load_saved(Path(folder), device, backbone)


def plan_study(
    spec: StudySpec,
    *,
    storage: str | None = None,
    frames: Frames | None = None,
    on_stage: OnStage = unheard,
) -> StudyPlan:
    """Check a study whole, build its model once, and say what it would do and about how long that takes.

    Nothing is started and nothing is written.

    Args:
        spec: What is asked.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.
        frames: The data itself, as for `run_study`.
        on_stage: Is told what is done.

    Returns:
        The plan, as if nothing of the study were done yet.

    Raises:
        RequestError: The request is wrong.
        StudyExistsError: A study of that name asks something else.
        MachineError: A package is missing that brings a method of the study.
    """
    from unipelt_search.search.plan import check_budget

    began = time.monotonic()
    check_budget(spec)
    found = existing_study(storage_url(storage), spec.name)
    task = _read(spec, found, frames, on_stage)
    if found is not None:
        spec = _check_same_identity(found, spec, task)
    ready, backbone = _prepare(spec, task, found, on_stage)
    return ready.plan(backbone, began, on_stage).model_copy(update={"findings": task.findings})


def find_columns(data: str, *, frames: Frames | None = None) -> DataColumns:
    """List the columns of a dataset with a sample of each, and guess which are the texts and the label.

    Args:
        data: A folder, a file or a hub dataset, as `TaskSpec.data`.
        frames: The data itself, as for `run_study`.

    Returns:
        The columns of the training rows; `text` and `label` are guesses, which no study acts upon.

    Raises:
        RequestError: The data cannot be found or read.
    """
    from unipelt_search.tasks import column_guess

    return column_guess.find_columns(data, frames)


def examine_model(model: str, *, device: str = "cpu") -> ModelFacts:
    """Load a model as a study would, check it, and try every method on it. Nothing is trained and nothing is written.

    Args:
        model: A hub name, a folder, or `minilm`.
        device: `cpu` or `cuda`.

    Returns:
        What matters of it: tokenizer, pooling, attention, weights, and what each method can do and why not.

    Raises:
        BackboneError: No study can use it; says why.
        MachineError: A package is missing that brings a method.
    """
    from unipelt_search.execution import examination

    return examination.examine_model(model, device)


def _check_out(out: Path | None) -> None:
    if out is not None and out.exists() and not out.is_dir():
        raise RequestError(f"--out must be a folder; got the file {str(out)!r}. Name another folder.")


def _checkpoints(spec: StudySpec, out: Path | None) -> StoragePath | None:
    """Return where a study's runs keep their states."""
    from unipelt_search.remote_paths import to_storage_path

    if spec.machine.checkpoints is not None:
        return to_storage_path(spec.machine.checkpoints) / spec.name
    return None if out is None else out / "checkpoints"


@dataclass(frozen=True)
class _Start:
    """What a search begins with, beside the study that was prepared."""

    url: str
    found: StudyRecord | None
    """The study so far; None is a new one."""
    command: str
    watch: Watch | None
    checkpoints: StoragePath | None
    """Where runs keep their states, if anywhere."""
    checkpoint_bytes: int
    """What those of one run take at most."""
    exports: tuple[PlannedExport, ...]
    """Which forms `export` will be able to write."""
    origins: tuple[RowOrigins, ...]
    """Where the rows of select and test stand in the user's files."""
    began: float
    """When it was asked for, by `time.monotonic`: checking and loading are part of the study's time."""
    on_stage: OnStage = unheard
    """Is told when the workers are started."""


def _search(ready: Prepared, start: _Start) -> bool:
    """Start Ray, then write down the study and search; tells whether the user interrupted."""
    start.on_stage(StudyStage(name="workers"))
    from unipelt_search.execution.driver import Driver, DriverSettings
    from unipelt_search.execution.executor import drive
    from unipelt_search.execution.ray_executor import ray_executors
    from unipelt_search.execution.ray_session import open_ray
    from unipelt_search.execution.worker import WorkerSetup

    spec = ready.spec
    # Ray first: where it does not start, nothing of the study is in the database.
    with open_ray(spec.machine) as capacity, closing(StudyStore.open(start.url)) as store:
        packages = (*plugin_packages(spec.space.compared).values(), *ready.summary.metric_packages)
        plugins = plugin_versions(packages)
        _write_study(store, ready, start, plugins)
        settings = DriverSettings(checkpoints=start.checkpoints, machine=spec.machine)
        shared = WorkerSetup(
            task=ready.encoded,
            backbone=ready.backbone,
            device=capacity.device,
            tune_rows=spec.space.tune_rows,
            plugins=plugins,
        )
        driver = Driver(
            store,
            spec.name,
            workers=capacity.workers,
            watch=start.watch,
            describe=notice_sentence,
            settings=settings,
        )
        with driver:
            _show_notices(driver, start, capacity.workers)
            try:
                finished = drive(driver, ray_executors(capacity, shared), capacity.workers)
            except KeyboardInterrupt:
                finished = False
            if finished:
                driver.conclude()
            else:
                driver.interrupt()
        return not finished


def _write_study(
    store: StudyStore,
    ready: Prepared,
    start: _Start,
    plugins: dict[str, str],
) -> None:
    """Write down a new study, or that one goes on, with what its preparation has found."""
    spec = ready.spec
    if start.found is None:
        summary = ready.summary.model_copy(update={"plugins": plugin_packages(spec.space.compared)})
        study_id = store.studies.create(spec, summary, _software() | plugins, start.command, start.origins)
    else:
        study_id = start.found.id
        grown = start.found.spec.budget != spec.budget
        store.studies.set_budget(study_id, spec.budget)
        # A larger budget may give every phase more to do.
        store.studies.set_state(study_id, StudyState.RUNNING, "screen" if grown else None)
    for drop in ready.dropped:
        store.studies.add_dropped(study_id, drop)
    for notice in ready.notices:
        store.studies.add_notice(study_id, notice)
    store.studies.add_seconds(study_id, time.monotonic() - start.began)


def _show_notices(driver: Driver, start: _Start, workers: int) -> None:
    """Tell whoever watches what is known of a study before its first run."""
    from unipelt_search.execution.checkpoint_folders import disk_space_message

    if start.found is None:
        for sentence in described(without_facts((*driver.record.task.notices, *driver.record.notices))):
            driver.notify(f"Note: {sentence}")
    if start.checkpoints is not None:
        driver.notify(disk_space_message(start.checkpoints, start.checkpoint_bytes * workers))
        if start.found is None:
            driver.notify(export_summary(start.exports))


def _deliver(
    url: str,
    name: str,
    out: Path | None,
    *,
    interrupted: bool,
) -> Study:
    with StudyReader.open(url) as reader:
        study = Study(reader.studies.load(name), interrupted=interrupted)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.html").write_text(render_html(study.report), encoding="utf-8")
        (out / "report.json").write_text(render_json(study.report), encoding="utf-8")
    return study


def existing_study(url: str, name: str) -> StudyRecord | None:
    """Return a study without its details; None where there is none of that name, or no database.

    Args:
        url: The database's SQLAlchemy URL.
        name: The study's name.

    Returns:
        The record, without evaluations, gates, ablations and predictions.
    """
    try:
        with StudyReader.open(url) as reader:
            return reader.studies.load(name, details=False)
    except StudyNotFoundError:
        return None


def _find_or_upgrade(url: str, spec: StudySpec, frames: Frames | None) -> StudyRecord | None:
    """Find the study that a request goes on with; a server's older tables are upgraded once the request is right."""
    try:
        found = existing_study(url, spec.name)
    except OldSchemaError:
        # Without the study itself the request is checked as that of a new one.
        _prepare(spec, _read(spec, None, frames, unheard), None, unheard)
        upgrade_database(url)
        found = existing_study(url, spec.name)
    if found is None:
        check_new_name(url, spec.name)
    return found


def _read(spec: StudySpec, found: StudyRecord | None, frames: Frames | None, on_stage: OnStage) -> Task:
    """Read the data of a study, which imports what reads tables."""
    on_stage(StudyStage(name="read", subject=spec.task.data))
    from unipelt_search.tasks.load import load_task

    return load_task(
        spec.task, spec.seed, frames, repeats=_repeats(spec, found), edition=_edition(found), on_stage=on_stage
    )


def _prepare(spec: StudySpec, task: Task, found: StudyRecord | None, on_stage: OnStage) -> tuple[Prepared, Backbone]:
    """Load the model of a study and try its methods, which imports what trains."""
    loading = StudyStage(name="load", subject=spec.backbone.model, data=facts(task.notices), findings=task.findings)
    on_stage(loading)
    from unipelt_search.execution.preparation import prepare

    return prepare(spec, task, None if found is None else found.basis, on_stage)


def check_stored_plugins(name: str, *, storage: str | None = None) -> None:
    """Check that the packages are installed that bring the methods and the metric of a stored study.

    Args:
        name: The study's name; one that is not stored needs nothing.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Raises:
        MachineError: A package is missing.
    """
    found = existing_study(storage_url(storage), name)
    if found is not None:
        check_installed(found.spec.space.compared, found.task.plugins)
        found.task.find_metric()


def _edition(found: StudyRecord | None) -> int:
    """Return the edition whose rules hold: that of the study that goes on, else the newest one."""
    return EDITION if found is None else found.edition


def _repeats(spec: StudySpec, found: StudyRecord | None) -> int:
    """Return how often confirm resamples rows; a study that was begun without folds goes on without them."""
    return spec.budget.seeds if found is None or found.task.folds or spec.task.redraw else 0


def _check_same_identity(found: StudyRecord, spec: StudySpec, task: Task) -> StudySpec:
    """Check that a study may go on as asked; returns what is asked, with what the study chose for itself."""
    check_installed(found.spec.space.compared, found.task.plugins)
    found.task.find_metric()
    # What a configuration leaves open means what was published when the study began.
    spec = as_begun(found.spec, spec, found.edition).completed(found.basis)
    differences = spec_differences(found.spec.completed(found.basis), spec)
    if found.task.fingerprint != task.fingerprint:
        differences.append(f"task.fingerprint: {found.task.fingerprint} → {task.fingerprint} (the rows have changed)")
    differences.extend(shrunk_budget(found.spec.budget, spec.budget))
    if differences:
        raise StudyExistsError(
            f"A study goes on only with the same question and no smaller budget; {spec.name!r} exists and differs in "
            f"{'; '.join(differences)}. Choose another --name, or delete it: unipelt-search delete {spec.name}."
        )
    return spec


def _software() -> dict[str, str]:
    return {package: version(package) for package in _PACKAGES} | {"python": platform.python_version()}

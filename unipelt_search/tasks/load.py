"""The one way from a user's words to a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unipelt_search.errors import DataError
from unipelt_search.records.history import EDITION
from unipelt_search.records.study_stage import OnStage, StudyStage, unheard
from unipelt_search.specs.seeds import data_seed
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.check import check_columns_differ
from unipelt_search.tasks.demo_corpus import DEMO, demo_task
from unipelt_search.tasks.findings import Findings
from unipelt_search.tasks.read import read_tables
from unipelt_search.tasks.rows import read_rows
from unipelt_search.tasks.table import Tables
from unipelt_search.tasks.task import Task

if TYPE_CHECKING:
    from unipelt_search.tasks.data_frames import Frames

SAME_READER_SINCE = 3
"""The edition since which files are read as they are now."""


def load_task(
    spec: TaskSpec,
    seed: int,
    frames: Frames | None = None,
    *,
    repeats: int = 0,
    edition: int = EDITION,
    on_stage: OnStage = unheard,
) -> Task:
    """Read a dataset and make it a task.

    Args:
        spec: Where it is, which columns, how many rows, which metric.
        seed: The study's seed; the data seed is derived from it.
        frames: The data itself, a table or one per split; the spec's `data` is only its name then.
        repeats: How many seeds the confirm phase has; where each has a sample of rows of its own, there are so many.
        edition: That of the study that goes on, whose rules for labels and splits hold.
        on_stage: Is told when everything is read and is checked.

    Returns:
        The task, the same one for the same data, spec and seed.

    Raises:
        DataError: The data cannot be found, read or used as asked.
    """
    check_columns_differ(spec)
    if frames is None and spec.data == DEMO:
        return demo_task(seed, spec, repeats=repeats, edition=edition)
    tables = read_tables(spec) if frames is None else _read_frames(frames, spec)
    _check_as_before(tables, edition)
    on_stage(StudyStage(name="check", subject=tables.name))
    findings = Findings(drop=spec.drop_bad_rows)
    with findings.gathered():
        raw = read_rows(tables, spec, findings, edition=edition)
        return build_task(raw, spec, data_seed(seed), repeats=repeats, edition=edition)


def _check_as_before(tables: Tables, edition: int) -> None:
    """Check that a study that goes on has its data as it was read when it began."""
    for table in tables.splits.values():
        if table.changed and edition < SAME_READER_SINCE:
            raise DataError(
                f"A study must go on with its data as it was read when it began; since edition {SAME_READER_SINCE} "
                f"{table.source} is read otherwise: {table.changed}. Begin a new study under another name."
            )


def _read_frames(frames: Frames, spec: TaskSpec) -> Tables:
    # pandas takes long to import, and data in files needs none of it.
    from unipelt_search.tasks.data_frames import read_frames

    return read_frames(frames, spec)

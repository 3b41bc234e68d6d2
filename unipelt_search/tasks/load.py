"""The one way from a user's words to a task."""

from __future__ import annotations

from unipelt_search.specs.seeds import data_seed
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.check import check_columns_differ
from unipelt_search.tasks.data_frames import Frames, read_frames
from unipelt_search.tasks.demo_corpus import DEMO, demo_task
from unipelt_search.tasks.read import read_data
from unipelt_search.tasks.task import Task


def load_task(spec: TaskSpec, seed: int, frames: Frames | None = None, *, repeats: int = 0) -> Task:
    """Read a dataset and make it a task.

    Args:
        spec: Where it is, which columns, how many rows, which metric.
        seed: The study's seed; the data seed is derived from it.
        frames: The data itself, a table or one per split; the spec's `data` is only its name then.
        repeats: How many seeds the confirm phase has; where each has a sample of rows of its own, there are so many.

    Returns:
        The task, the same one for the same data, spec and seed.

    Raises:
        DataError: The data cannot be found, read or used as asked.
    """
    check_columns_differ(spec)
    if frames is not None:
        return build_task(read_frames(frames, spec), spec, data_seed(seed), repeats=repeats)
    if spec.data == DEMO:
        return demo_task(seed, spec, repeats=repeats)
    return build_task(read_data(spec), spec, data_seed(seed), repeats=repeats)

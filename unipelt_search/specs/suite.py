"""A suite: one question asked of several tasks with several numbers of training rows, beside published figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from unipelt_search.errors import RequestError, UnknownMethodError, did_you_mean
from unipelt_search.frozen import Frozen
from unipelt_search.methods.catalogue import canonical_method
from unipelt_search.specs.load_study import load_spec
from unipelt_search.specs.study import (
    BackboneSpec,
    BudgetSpec,
    MachineSpec,
    Metric,
    SpaceSpec,
    StudySpec,
    TaskSpec,
    ValidationUse,
)
from unipelt_search.specs.variants import NAME_PATTERN


class SourceSpec(Frozen):
    """Where a task's rows are."""

    data: str
    """A hub dataset; for a local copy its folder below `--data-root`."""
    text: tuple[str, ...] = Field(min_length=1, max_length=2)
    """The column with the text, or the two columns of a text pair."""
    test: Literal["test", "validation"] = "test"
    """Which of its splits is the test split."""
    note: str = ""
    """How the rows differ from the original ones; stands with the results."""


class SuiteTask(Frozen):
    """One task of a suite."""

    name: str
    label: str
    """The column with the label."""
    metric: Metric = "auto"
    hub: SourceSpec
    local: SourceSpec | None = None
    """A copy on disk, which `--data-root` uses."""

    def source_of(self, data: str) -> SourceSpec:
        """Return what is known of the rows of a study with this data: the hub's dataset, or a copy's folder."""
        return self.hub if data == self.hub.data or self.local is None else self.local


class PublishedScores(Frozen):
    """Test scores that somebody published, times 100."""

    source: str
    """Who, and where."""
    backbone: str
    scores: dict[int, dict[str, dict[str, float]]]
    """By training rows, method and task."""

    @field_validator("scores")
    @classmethod
    def _canonical_methods(
        cls, scores: dict[int, dict[str, dict[str, float]]]
    ) -> dict[int, dict[str, dict[str, float]]]:
        named: dict[int, dict[str, dict[str, float]]] = {}
        for size, methods in scores.items():
            named[size] = {_known_method(method): by_task for method, by_task in methods.items()}
        return named


class SuiteSpec(Frozen):
    """Studies that differ in task and number of training rows only."""

    name: str
    """What the names of the studies begin with."""
    backbone: BackboneSpec
    space: SpaceSpec = SpaceSpec()
    budget: BudgetSpec = BudgetSpec()
    """Of each study."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    machine: MachineSpec = MachineSpec()
    carve: int | None = Field(default=None, ge=1)
    """Training rows that every study makes its validation split."""
    redraw: bool = False
    """Whether every confirm run draws training rows of its own."""
    sizes: tuple[int, ...] = Field(min_length=1)
    """Numbers of training rows."""
    tasks: tuple[SuiteTask, ...] = Field(min_length=1)
    published: PublishedScores | None = None

    @field_validator("sizes")
    @classmethod
    def _sizes_apart(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if min(sizes) < 1 or len(set(sizes)) < len(sizes):
            raise ValueError("must be different numbers of at least 1")
        return sizes

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        names = [task.name for task in self.tasks]
        for task, size in product(names, self.sizes):
            name = self.study_name(task, size)
            if not NAME_PATTERN.fullmatch(name):
                raise ValueError(
                    "a study is called NAME-TASK-SIZE: 1 to 64 letters, digits, '.', '_' or '-', beginning with a "
                    f"letter or digit; got {name!r}"
                )
        for name, times in Counter(names).items():
            if times > 1:
                raise ValueError(f"each task must have a name of its own; got {name!r} {times} times")
        if self.published is not None:
            self._check_published(self.published)
        return self

    def _check_published(self, published: PublishedScores) -> None:
        tasks = [task.name for task in self.tasks]
        for size, methods in published.scores.items():
            _check_known("sizes", size, self.sizes)
            for by_task in methods.values():
                for task in by_task:
                    _check_known("tasks", task, tasks)

    @property
    def eligible(self) -> tuple[str, ...]:
        """The methods, then the user's own configurations, by what they compete as."""
        return (*self.space.methods, *(given.name for given in self.space.configurations))

    def study_name(self, task: str, size: int) -> str:
        """Return the name of the study of one task with this many training rows."""
        return f"{self.name}-{task}-{size}"

    def published_score(self, size: int, method: str, task: str) -> float | None:
        """Return a published test score, times 100; None where nobody published it."""
        scores = self.published.scores if self.published else {}
        return scores.get(size, {}).get(method, {}).get(task)

    def narrowed(self, tasks: Sequence[str] = (), sizes: Sequence[int] = ()) -> SuiteSpec:
        """Leave out tasks and sizes.

        Args:
            tasks: The tasks that stay; none keeps all.
            sizes: The numbers of training rows that stay; none keeps all.

        Returns:
            The smaller suite, in its own order.

        Raises:
            RequestError: One of them is not in the suite.
        """
        known = [task.name for task in self.tasks]
        for task in tasks:
            if task not in known:
                raise RequestError(
                    f"--tasks must name tasks of the suite; got {task!r}, there are: {', '.join(known)}."
                    f"{did_you_mean(task, known)}"
                )
        for size in sizes:
            if size not in self.sizes:
                raise RequestError(
                    f"--sizes must name sizes of the suite; got {size}, there are: {', '.join(map(str, self.sizes))}."
                )
        chosen = tuple(task for task in self.tasks if not tasks or task.name in tasks)
        chosen_sizes = tuple(size for size in self.sizes if not sizes or size in sizes)
        return self.model_copy(update={"tasks": chosen, "sizes": chosen_sizes})

    def studies(self, data_root: Path | None = None) -> tuple[StudySpec, ...]:
        """Write out the studies, the smallest number of training rows of all tasks first.

        Args:
            data_root: The folder with the local copies; None takes the hub's datasets.

        Returns:
            One study per task and size.

        Raises:
            RequestError: A task's local copy is not there.
        """
        if data_root is not None:
            self._check_copies(data_root)
        studies = []
        for size, task in product(sorted(self.sizes), self.tasks):
            data = task.hub.data
            if data_root is not None and task.local is not None:
                data = str(data_root / task.local.data)
            studies.append(self.study(task, size, data))
        return tuple(studies)

    def study(self, task: SuiteTask, size: int, data: str) -> StudySpec:
        """Write out one study.

        Args:
            task: One of the suite's tasks.
            size: Training rows.
            data: The hub's dataset, or the folder of the local copy.

        Returns:
            The study.
        """
        source = task.source_of(data)
        return StudySpec(
            name=self.study_name(task.name, size),
            task=TaskSpec(
                data=data,
                text=source.text,
                label=(task.label,),
                metric=task.metric,
                test=source.test,
                train_size=size,
                carve=self.carve,
                redraw=self.redraw,
                validation=self._validation_use(source),
            ),
            backbone=self.backbone,
            space=self.space,
            budget=self.budget,
            seed=self.seed,
            machine=self.machine,
        )

    def _validation_use(self, source: SourceSpec) -> ValidationUse:
        """Say what a given validation split is for: as in every suite, whose studies are compared with earlier ones."""
        replaced = self.carve is not None or source.test == "validation"
        return "decides" if replaced else "shared"

    def _check_copies(self, data_root: Path) -> None:
        missing = []
        for task in self.tasks:
            if task.local is None:
                missing.append(task.name)
            elif not (data_root / task.local.data).is_dir():
                missing.append(f"{task.name} ({task.local.data})")
        if missing:
            raise RequestError(
                f"--data-root must have a folder for every task; {str(data_root)!r} has none for {', '.join(missing)}. "
                "Choose other tasks with --tasks, or leave it out to take the hub's datasets."
            )


def _known_method(name: str) -> str:
    try:
        return canonical_method(name)
    except UnknownMethodError as error:
        raise ValueError(f"published.scores must name methods that there are; got {name!r}") from error


def _check_known(what: str, got: int | str, known: Sequence[int | str]) -> None:
    if got not in known:
        raise ValueError(f"published.scores must name {what} that there are; got {got!r}")


def load_suite(path: str | Path) -> SuiteSpec:
    """Read a suite from a YAML file.

    Args:
        path: The file; a model folder in it may be relative to its own folder.

    Returns:
        The suite.

    Raises:
        RequestError: The file cannot be read, is no YAML mapping, or has faults; all of them are named.
    """
    return load_spec(path, SuiteSpec)

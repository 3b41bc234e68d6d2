"""A study: one question. Task + backbone + search space + budget, and where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from unipelt_search.frozen import Frozen, content_hash
from unipelt_search.kinds.label_kind import check_asked_kind, check_asked_metric
from unipelt_search.methods.catalogue import DEFAULT_METHODS, check_methods
from unipelt_search.specs.variants import NAME_PATTERN, Variant

Metric = Annotated[str, AfterValidator(check_asked_metric)]
"""`auto`, or a metric of a kind of task."""
Kind = Annotated[str, AfterValidator(check_asked_kind)]
"""`auto`, or a kind of task."""

Allocation = Literal["plausible", "equal"]


class TaskSpec(Frozen):
    """Which dataset, which columns, which metric."""

    data: str
    """A folder with train/validation/test files, one file, a hub dataset, or `demo`."""
    text: tuple[str, ...] = Field(min_length=1, max_length=2)
    """The column with the text, or the two columns of a text pair."""
    label: str
    """The column with the label."""
    kind: Kind = "auto"
    """What a label is; `auto` is `multi_label` when some labels hold `|` between names, `regression` when all are
    finite numbers and one has a fraction, else `classification`."""
    metric: Metric = "auto"
    """What is compared; `auto` is the benchmark's metric for a dataset of GLUE, else accuracy for classification,
    Spearman's correlation for regression, and micro F1 for sets of labels."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` lets the rows of every class count the same in the loss, in sum."""
    allow_overlap: bool = False
    """Whether more than a tenth of the validation or test rows may be among the training rows."""
    train_size: int | None = Field(default=None, ge=1)
    """Draw this many training rows, stratified; None keeps all."""
    redraw: bool = False
    """Whether every confirm run draws `train_size` training rows anew, so that the verdict covers their choice too."""
    carve: int | None = Field(default=None, ge=1)
    """Make this many further training rows the validation split (the paper's protocol)."""
    test: Literal["test", "validation"] = "test"
    """Which of the data's splits is the test split; with `validation` the data's own test split is not used."""
    max_length: int = Field(default=128, ge=4, le=8192)
    """Tokens of an example at most; longer ones are cut."""


class BackboneSpec(Frozen):
    """Which pretrained transformer, and how its token vectors become one vector."""

    model: str
    """A local folder, a hub name, or the alias `minilm`."""
    pooling: Literal["auto", "native", "mean", "cls", "last"] = "auto"

    def absolute(self) -> BackboneSpec:
        """Return the same backbone as any working directory has it: a local folder by its absolute path."""
        folder = Path(self.model)
        return self.model_copy(update={"model": str(folder.resolve())}) if folder.is_dir() else self


class SpaceSpec(Frozen):
    """What is searched over and what every run shares."""

    methods: tuple[str, ...] = DEFAULT_METHODS
    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps of a run; None chooses by the number of training rows."""
    batch_size: int = Field(default=16, ge=1, le=4096)
    """Rows per optimizer step."""
    evaluations: int = Field(default=10, ge=1, le=1000)
    """Evaluations of a run on the tune rows at most."""
    patience: int = Field(default=5, ge=1)
    """Evaluations without a better score after which a run ends."""
    tune_rows: int = Field(default=500, ge=1)
    """Tune rows that an evaluation scores at most."""
    prune_gates: bool = False
    """Whether each finalist with gates gets a smaller sibling, without what its first run can do without."""
    gate_null: bool = False
    """Whether each finalist with gates is trained once more on shuffled labels, so that its gates have a null."""
    allocation: Allocation = "plausible"
    """Who gets the trials beyond the screen phase: the methods that can still win, or all methods the same number."""
    max_parameters: int | None = Field(default=None, ge=1)
    """Numbers that a configuration may store, the head included; larger ones are made smaller or left out."""
    max_latency_ms: float | None = Field(default=None, gt=0)
    """Milliseconds per example that a method may take to be the best."""
    configurations: tuple[Variant, ...] = ()
    """Configurations of the user's own, each tried once beside the methods' published settings."""

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        return check_methods(methods)

    @field_validator("configurations")
    @classmethod
    def _named_apart(cls, configurations: tuple[Variant, ...]) -> tuple[Variant, ...]:
        names = [configuration.name for configuration in configurations]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"each configuration must have a name of its own; got {name!r} {names.count(name)} times"
                )
        return configurations


class BudgetSpec(Frozen):
    """How much may be spent; every field may grow when a study goes on."""

    trials: int = Field(default=21, ge=1)
    """Configurations tried in the screen and tune phases."""
    seeds: int = Field(default=3, ge=1, le=100)
    """Runs of each finalist in the confirm phase."""
    time_seconds: float | None = Field(default=None, gt=0)
    """Wall-clock limit of the study, in seconds; None is unlimited. 35 % of it is kept for the confirm phase."""


class MachineSpec(Frozen):
    """Where a study runs; no part of its question."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    concurrency: int | None = Field(default=None, ge=1)
    """Runs at a time; None is one per core, or one per GPU."""
    cpus_per_trial: float = Field(default=1.0, gt=0)
    """Cores of a run."""
    gpus_per_trial: float | None = Field(default=None, ge=0)
    """GPUs of a run, a fraction allowed; None is 1 on a GPU machine."""
    run_seconds: float | None = Field(default=None, gt=0)
    """Seconds after which a run that has not ended fails; None is no limit."""
    silence_seconds: float | None = Field(default=None, gt=0)
    """Seconds without an evaluation or its end after which a run fails; None is 200 times the longest such time of the
    study's runs so far, at least an hour."""
    checkpoints: str | None = None
    """A folder, or the URL of one, below which the runs of the study keep their states and the finalists' weights; None
    is the folder of the report."""
    address: str | None = None
    """A Ray cluster to join; None starts Ray on this machine alone."""


class StudySpec(Frozen):
    """One question, whole."""

    name: str
    task: TaskSpec
    backbone: BackboneSpec
    space: SpaceSpec = SpaceSpec()
    budget: BudgetSpec = BudgetSpec()
    seed: int = Field(default=0, ge=0, lt=2**63)
    machine: MachineSpec = MachineSpec()

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not NAME_PATTERN.fullmatch(name):
            raise ValueError(
                "a study's name must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
            )
        return name

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a study to go on: task, backbone, space and seed."""
        return self.model_dump(mode="json", include={"task", "backbone", "space", "seed"})

    def question_hash(self) -> str:
        """Return the content hash of `identity`."""
        return content_hash(self.identity())

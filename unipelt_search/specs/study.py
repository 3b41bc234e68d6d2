"""A study: one question. Task + backbone + search space + budget, and where it runs.

A field with an `Option` can be given on the command line; the option's help then says what the field means.
"""

from __future__ import annotations

from collections import Counter
from operator import not_
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, field_validator

from unipelt_search.frozen import Frozen, content_hash
from unipelt_search.kinds.label_kind import check_asked_kind, check_asked_metric
from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import DEFAULT_METHODS, check_methods
from unipelt_search.specs.option import Option
from unipelt_search.specs.parts import is_stored
from unipelt_search.specs.pooling import AUTO, AskedPooling
from unipelt_search.specs.variants import NAME_PATTERN, WRITTEN_OUT, Variant


def _known_metric(name: str, info: ValidationInfo) -> str:
    # That of a stored study may be of a package that is not installed any more.
    return name if is_stored(info) else check_asked_metric(name)


Metric = Annotated[str, AfterValidator(_known_metric)]
"""`auto`, or a metric of a kind of task or of an installed package."""
Kind = Annotated[str, AfterValidator(check_asked_kind)]
"""`auto`, or a kind of task."""

Allocation = Literal["plausible", "equal"]
Side = Literal["right", "left", "head_tail"]
"""Where a text that is too long loses tokens; `head_tail` keeps the first and the last ones."""
Truncation = Literal["auto", "right", "left", "head_tail"]
Folds = Literal["auto", "always", "never"]
ValidationUse = Literal["decides", "shared"]
VALIDATION_DECIDES_SINCE = 3
"""The edition since which the whole of a given validation split decides, and equal texts stay together."""


def _as_lines(value: object) -> object:
    if isinstance(value, list | tuple) and all(isinstance(path, str) for path in value):
        return "\n".join(value)
    return value


def _as_columns(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _as_written(columns: tuple[str, ...]) -> str | tuple[str, ...]:
    return columns[0] if len(columns) == 1 else columns


Columns = Annotated[tuple[str, ...], BeforeValidator(_as_columns), PlainSerializer(_as_written)]
"""One column or several; one is written without a list, in study files and where it is stored."""


def _is_none(value: object) -> bool:
    return value is None


def _is_auto(value: str) -> bool:
    return value == "auto"


class TaskSpec(Frozen):
    """Which dataset, which columns, which metric."""

    data: Annotated[
        str,
        BeforeValidator(_as_lines),
        Option(
            "--data",
            metavar="PATH|HUB_NAME",
            help='Folder with train, validation and test files, a file, several (`"*.csv"`), a hub dataset, or demo.',
            details="Files are CSV, JSON or Parquet, compressed or not ([all forms](data.md#files)). Missing splits "
            "are split off from the training rows.",
        ),
    ]
    """Several files, one a line; in a study file and in Python a list of them."""
    text: Annotated[
        tuple[str, ...],
        Option("--text", metavar="COL", help="Column with the text; twice for a text pair."),
    ] = Field(min_length=1, max_length=2)
    label: Annotated[
        Columns,
        Option("--label", metavar="COL", help="Column with the label; several times for one 0/1 column per label."),
    ] = Field(min_length=1)
    kind: Annotated[
        Kind,
        Option(
            "--kind",
            metavar="KIND",
            help="What a label is: classification, regression (numbers) or multi_label (sets). Default: auto.",
            details="[What a label is](data.md#what-a-label-is) says how `auto` decides.",
        ),
    ] = "auto"
    """What a label is; `auto` is `multi_label` when rows have sets of names, `regression` when all labels are finite
    numbers and one has a fraction, else `classification`."""
    metric: Annotated[
        Metric,
        Option(
            "--metric",
            metavar="METRIC",
            syntax="metric",
            help="What is compared, such as accuracy or spearman; it must fit the labels. Default: auto.",
            details="[Your data](data.md) says which metric fits which labels, and what `auto` chooses.",
        ),
    ] = "auto"
    """`auto` is the benchmark's metric for a dataset of GLUE, else accuracy for classification, Spearman's correlation
    for regression, and micro F1 for sets of labels."""
    positive: Annotated[
        str | None,
        Option(
            "--positive",
            metavar="LABEL",
            help="The positive one of two labels, which F1 and similar metrics are about.",
            details="Without it [a rule](data.md#metrics) chooses, and a notice says which.",
        ),
    ] = Field(default=None, exclude_if=_is_none)
    label_names: tuple[str, ...] = Field(default=(), exclude_if=not_)
    """Names for the numbers of 0/1 vectors, in order."""
    separator: Annotated[
        str | None,
        Option(
            "--separator",
            metavar="TEXT",
            help="Text between the labels of a cell that holds several, such as a comma. Default: found.",
            details="[Sets of labels](data.md#sets-of-labels) says how it is found.",
        ),
    ] = Field(default=None, min_length=1, exclude_if=_is_none)
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` lets the rows of every class count the same in the loss, in sum."""
    weight: Annotated[
        str | None,
        Option(
            "--weight",
            metavar="COL",
            help="Column with the weight of each row in the loss, a positive number.",
            details="Only how weights compare with each other matters: [weights](data.md#weights-of-rows).",
        ),
    ] = Field(default=None, exclude_if=_is_none)
    weight_metric: Annotated[
        bool,
        Option("--weight-metric", help="Let rows count by their --weight in the metrics too."),
    ] = Field(default=False, exclude_if=not_)
    group: Annotated[
        str | None,
        Option(
            "--group",
            metavar="COL",
            help="Column with what rows belong to, such as a customer; the rows of a group stay together.",
            details="No group is on two sides of a split or fold that is made here. Splits of your own [stay as they "
            "are](data.md#how-rows-get-their-jobs).",
        ),
    ] = Field(default=None, exclude_if=_is_none)
    order: Annotated[
        str | None,
        Option(
            "--order",
            metavar="COL",
            help="Column with the time of each row; validation and test rows are later than training rows.",
            details="Numbers or dates. Splits of your own [stay as they are](data.md#how-rows-get-their-jobs).",
        ),
    ] = Field(default=None, exclude_if=_is_none)
    folds: Annotated[
        Folds,
        Option(
            "--folds",
            metavar="RULE",
            help="Whether folds of training and validation rows decide: auto, always or never.",
            details="`auto` uses them where no validation split was given and the one that is split off has fewer than "
            "[200 rows](data.md#few-validation-rows).",
        ),
    ] = Field(default="auto", exclude_if=_is_auto)
    drop_bad_rows: Annotated[
        bool,
        Option(
            "--drop-bad-rows",
            help="Leave out rows that cannot be used, and count them; your file stays as it is.",
            details="[Which rows](data.md#rows-that-cannot-be-used) these are.",
        ),
    ] = Field(default=False, exclude_if=not_)
    merge_labels: Annotated[
        bool,
        Option(
            "--merge-labels",
            help="Read labels that look like a misspelling of another one as that one.",
            details="The plan lists each of them: [which labels](data.md#rows-that-cannot-be-used).",
        ),
    ] = Field(default=False, exclude_if=not_)
    allow_overlap: Annotated[
        bool,
        Option(
            "--allow-overlap",
            help="Continue although more than a tenth of the validation or test rows are among the training rows.",
            details="It also accepts rows of your own splits whose --group is in training, or that are earlier by "
            "--order.",
        ),
    ] = False
    train_size: Annotated[
        int | None,
        Option(
            "--train-size",
            metavar="K",
            help="Sample this many training rows, stratified. Default: all.",
            details="Validation and test rows are not reduced.",
        ),
    ] = Field(default=None, ge=1)
    redraw: Annotated[
        bool,
        Option(
            "--redraw",
            help="Resample --train-size rows for every confirm run; the verdict then covers their choice.",
            details="[Why](data.md#other-training-rows-for-every-confirm-run).",
        ),
    ] = False
    carve: int | None = Field(default=None, ge=1)
    """Make this many further training rows the validation split (the paper's protocol)."""
    validation: ValidationUse = Field(default="decides", exclude_if=lambda use: use == "decides")
    """What a given validation split is for: `decides` lets all its rows decide, and tuning rows are taken from
    training; `shared` halves them for tuning and deciding or, with fewer than 200, assigns them to folds, as suites
    do."""
    test: Literal["test", "validation"] = "test"
    """Which of the data's splits is the test split; with `validation` the data's own test split is not used."""
    max_length: int = Field(default=128, ge=4, le=8192)
    """Tokens of an example at most; longer ones are cut."""
    # A new study stores the side that `auto` stands for. Stored `auto` is the way of studies from before there was a
    # choice; it is left out of their question, whose hash stays what it was.
    truncation: Annotated[
        Truncation,
        Option(
            "--truncation",
            metavar="SIDE",
            help="Which side of a text that is too long is cut; auto is the tokenizer's own.",
            details="`head_tail` keeps the first and the last tokens, half of them each. "
            "[Long texts](data.md#long-texts) says what holds for text pairs.",
        ),
    ] = Field(default="auto", exclude_if=_is_auto)

    @field_validator("label_names")
    @classmethod
    def _are_different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"must name each label once, got {', '.join(map(repr, value))}; give each its own name")
        return value

    @field_validator("weight_metric")
    @classmethod
    def _has_weights(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("weight") is None:
            raise ValueError("must go with --weight, got none; name the column of the weights")
        return value

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, each once: texts, labels, and what says group, order and weight of a row."""
        others = (self.group, self.order, self.weight)
        return tuple(dict.fromkeys((*self.text, *self.label, *(name for name in others if name is not None))))

    @property
    def side(self) -> Side | None:
        """The side that is cut; None where it is still to be chosen, or was not stored."""
        return None if self.truncation == "auto" else self.truncation


class BackboneSpec(Frozen):
    """Which pretrained transformer, and how its token vectors become one vector."""

    model: Annotated[
        str,
        Option(
            "--model",
            metavar="NAME|DIR",
            help="Hub name, local folder, or minilm.",
            details="`minilm` is the small model of the extra `demo`.",
        ),
    ]
    pooling: AskedPooling = AUTO
    """`auto` is what the checkpoint declares, else `native`; others are mean, cls, last, max, weighted_mean and
    mean_sqrt_length, or several with `+` between them, whose vectors are joined."""

    def absolute(self) -> BackboneSpec:
        """Return the same backbone as any working directory has it: a local folder by its absolute path."""
        folder = Path(self.model)
        if not folder.is_dir():
            return self
        return self.model_copy(update={"model": str(folder.resolve())})


class SpaceSpec(Frozen):
    """What is searched over and what every run shares."""

    methods: Annotated[
        tuple[str, ...],
        Option(
            "--methods",
            metavar="a,b,c",
            syntax="methods",
            help="Methods that are compared; the command `methods` lists them.",
            details="[The methods](methods.md) says what they are. A set of gated submodules is written "
            "`unipelt[lora,adapter]`. `majority` is always included.",
        ),
    ] = DEFAULT_METHODS
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
    prune_gates: Annotated[
        bool,
        Option(
            "--prune-gates",
            help="Confirm a pruned variant of each gated finalist too, without the submodules that it does not need.",
            details="The variant, for example `unipelt_apl-pruned`, lacks, layer by layer, the submodules whose "
            "removal did not lower the tune score of the finalist's first confirm run. It is trained anew and has a "
            "leaderboard row of its own ([how](report.md#gates)).",
        ),
    ] = False
    gate_null: Annotated[
        bool,
        Option(
            "--gate-null",
            help="Label-shuffled control: train each gated finalist once more on shuffled labels.",
            details="The report shows the mean of each gate after that training as `null_mean`.",
        ),
    ] = False
    # Left out where it is off: studies that were asked before it existed stay the same.
    ablate_layers: Annotated[
        bool,
        Option(
            "--ablate-layers",
            help="Score each gated finalist also with a submodule removed from one layer at a time.",
            details="The report's `ablation` always has the score without a submodule in all layers. The single layers "
            "take one more pass over at most 500 rows for each layer and submodule, for one run per method.",
        ),
    ] = Field(default=False, exclude_if=not_)
    allocation: Annotated[
        Allocation,
        Option(
            "--allocation",
            metavar="RULE",
            help="Who gets trials after the screen phase: methods that can still win, or all the same number.",
            details="With `plausible` the report's `dropped` gives the reason for each method that cannot.",
        ),
    ] = "plausible"
    max_parameters: Annotated[
        int | None,
        Option(
            "--max-parameters",
            metavar="N",
            help="Parameters that a configuration may store at most, the head included.",
            details="Larger configurations get smaller sizes (rank, bottleneck, prefix length). A method that does "
            "not fit at any size is left out before training.",
        ),
    ] = Field(default=None, ge=1)
    max_latency_ms: Annotated[
        float | None,
        Option(
            "--max-latency-ms",
            metavar="F",
            help="Milliseconds per example that the best method may take.",
            details="Before a new study on this machine, each method scores a few rows; a method that takes more "
            "than 1.5 times the limit is left out. After the confirm phase, a method whose median time exceeds the "
            "limit can be neither best nor a tie, unless all confirmed methods exceed it.",
        ),
    ] = Field(default=None, gt=0)
    configurations: tuple[Variant, ...] = ()
    """Configurations of the user's own, each tried once beside the methods' published settings."""

    @property
    def compared(self) -> tuple[str, ...]:
        """Every method that the study trains: those asked for, then those of the user's own configurations."""
        own = (configuration.method for configuration in self.configurations)
        return tuple(dict.fromkeys((*self.methods, *own)))

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return methods if is_stored(info) else check_methods(methods)

    @field_validator("configurations")
    @classmethod
    def _named_apart(cls, configurations: tuple[Variant, ...]) -> tuple[Variant, ...]:
        counts = Counter(configuration.name for configuration in configurations)
        for name, times in counts.items():
            if times > 1:
                raise ValueError(f"each configuration must have a name of its own; got {name!r} {times} times")
        return configurations


class BudgetSpec(Frozen):
    """How much may be spent; every field may grow when a study goes on."""

    trials: Annotated[
        int,
        Option(
            "--trials",
            metavar="N",
            help="Configurations tried in the screen and tune phases; confirm runs are extra.",
            details="At least one per method.",
        ),
    ] = Field(default=21, ge=1)
    seeds: Annotated[
        int,
        Option(
            "--seeds",
            metavar="N",
            help="Confirm runs of each finalist.",
            details="Where folds decide, each seed is a repeat of [five runs](data.md#few-validation-rows).",
        ),
    ] = Field(default=3, ge=1, le=100)
    time_seconds: Annotated[
        float | None,
        Option(
            "--time",
            metavar="DURATION",
            syntax="duration",
            help="Wall-clock limit, as in 90s, 30m or 1h30m. Default: none.",
            details="35 % of it is reserved for the confirm phase. Runs that have begun are finished, so a study may "
            "end up to one run late. Unless the study sets `steps` or joins a cluster with `--address`, runs get the "
            "largest number of steps with which all trials and seeds end in time, at least 150. A limit that is too "
            "short even so is met with [proposals](#the-plan).",
        ),
    ] = Field(default=None, gt=0)


class MachineSpec(Frozen):
    """Where a study runs; no part of its question."""

    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Option("--device", help="Where runs train; auto takes a GPU if there is one."),
    ] = "auto"
    concurrency: Annotated[
        int | None,
        Option("--concurrency", metavar="N", help="Runs at a time. Default: one per core, or one per GPU."),
    ] = Field(default=None, ge=1)
    cpus_per_trial: Annotated[
        float,
        Option("--cpus-per-trial", metavar="F", help="Cores per run. Default: 1."),
    ] = Field(default=1.0, gt=0)
    gpus_per_trial: Annotated[
        float | None,
        Option(
            "--gpus-per-trial",
            metavar="F",
            help="GPUs per run. Default: 1 on a machine with GPUs.",
            details="A fraction lets runs share a GPU.",
        ),
    ] = Field(default=None, ge=0)
    run_seconds: float | None = Field(default=None, gt=0)
    """Seconds after which a run that has not ended fails; None is no limit."""
    silence_seconds: float | None = Field(default=None, gt=0)
    """Seconds without an evaluation or its end after which a run fails; None is 200 times the longest such time of the
    study's runs so far, at least an hour."""
    checkpoints: Annotated[
        str | None,
        Option(
            "--checkpoints",
            metavar="DIR|URL",
            help="Folder or URL (s3://…) for the checkpoints of runs and the finalists' weights. Default: below --out.",
            details="The [checkpoints](reliability.md#the-state-of-a-run) are in a subfolder with the study's name. "
            "A URL needs the package that [fsspec](https://filesystem-spec.readthedocs.io) names for it, such as "
            "`s3fs`, on every machine.",
        ),
    ] = None
    address: Annotated[
        str | None,
        Option("--address", metavar="RAY", help="Ray cluster to join. Default: Ray on this machine alone."),
    ] = None


class StudySpec(Frozen):
    """One question, whole."""

    name: Annotated[
        str,
        Option(
            "--name",
            metavar="N",
            help="The study's name; an existing study is continued. Default: a new name.",
            details="Letters, digits, `.`, `_`, `-`. A new name is `<data>-<n>`.",
        ),
    ]
    task: TaskSpec
    backbone: BackboneSpec
    space: SpaceSpec = SpaceSpec()
    budget: BudgetSpec = BudgetSpec()
    seed: Annotated[
        int,
        Option("--seed", metavar="N", help="Random seed; every random choice of the study follows from it."),
    ] = Field(default=0, ge=0, lt=2**63)
    machine: MachineSpec = MachineSpec()

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not NAME_PATTERN.fullmatch(name):
            raise ValueError(
                "a study's name must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
            )
        return name

    def completed(self, basis: Basis) -> StudySpec:
        """Return the same study with the published values that its own configurations leave open.

        Args:
            basis: The study's edition and backbone.

        Returns:
            The study; completed again with the same basis it stays the same.

        Raises:
            UnipeltError: A value depends on the backbone's hidden size, which is not known.
            MachineError: A plug-in cannot be loaded, or takes a name that is taken.
        """
        configurations = tuple(given.completed(basis) for given in self.space.configurations)
        space = self.space.model_copy(update={"configurations": configurations})
        return self.model_copy(update={"space": space})

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a study to go on: task, backbone, space and seed.

        Of two specifications to compare, each is `completed` first.
        """
        parts = {"task", "backbone", "space", "seed"}
        return self.model_dump(mode="json", include=parts, context=WRITTEN_OUT)

    def question_hash(self) -> str:
        """Return the content hash of `identity`."""
        return content_hash(self.identity())

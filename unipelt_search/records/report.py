"""What a study found: the verdict, and the report whose JSON is the published contract (schema 1)."""

from __future__ import annotations

from operator import not_
from typing import Literal

from pydantic import Field

from unipelt_search.frozen import Frozen
from unipelt_search.methods.adapter_settings import AdapterInput
from unipelt_search.records.results import AblationRow, GateFigures
from unipelt_search.specs.trial import Phase


class Interval(Frozen):
    """A mean over runs with its 95 % interval; the bounds and the sd are None with one run."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None


class Difference(Frozen):
    """A method's score minus the best method's, with its 95 % interval."""

    mean: float
    low: float | None
    high: float | None


class Power(Frozen):
    """What a study could have detected, and what would settle its closest tie."""

    detectable: float
    """The smallest true difference between the best and the closest that a study like this one detects with a power of
    80 %."""
    closest: str
    """The method, or the variant by its name, that comes nearest to the best."""
    more_seeds: int | None
    """More seeds, with folds repeats, that would probably tell the two apart; 0 where they are, or where only more rows
    would do. None where nothing affordable would, or one repeat is too little to know."""
    more_rows: int | None
    """More select rows that it takes as well; 0 with folds, where more rows would also be trained on."""
    sentence: str
    """What the study could have detected and what would settle its closest tie, in words."""


class Disagreement(Frozen):
    """Scores of the best method that lie further apart than their intervals allow."""

    deciding: float
    """On the deciding rows."""
    test: float


class Verdict(Frozen):
    """Which method is best, and which cannot be told apart from it."""

    method: str | None
    variant: str | None = None
    """The best configuration's name, where it is one that the user gave."""
    trial: int | None
    ties: tuple[str, ...]
    """The methods, and variants by their names, that tie with the best; the best itself is not among them."""
    cheapest_tie: str | None
    """Of the best and its ties, the one with the fewest stored parameters."""
    fastest_tie: str | None = None
    """Of the best and its ties, the one that takes the least time per example; the cheapest where that is nearly as
    fast."""
    power: Power | None = None
    headline: str = ""
    """The verdict in at most 12 words; empty in reports of older versions."""
    sentence: str
    """The headline, then what it stands on, how sure it is, and what it costs."""
    decided_on: Literal["select", "folds"]
    # Left out where there is none, as in the reports of older versions.
    disagreement: Disagreement | None = Field(default=None, exclude_if=lambda found: found is None)
    """None where the deciding rows and the test rows tell the same of the best method."""

    @property
    def name(self) -> str | None:
        """What the best competes as: its variant, else its method."""
        return self.variant or self.method

    @property
    def title(self) -> str:
        """The headline; in a report of an older version the whole sentence."""
        return self.headline or self.sentence

    @property
    def details(self) -> str:
        """What the sentence says after the title."""
        return self.sentence.removeprefix(self.title).strip()


class ReportedMethod(Frozen):
    """A method, or a configuration of one that the user gave and named."""

    method: str
    variant: str | None = None
    """The name of a configuration that the user gave."""

    @property
    def name(self) -> str:
        """What it competes as: its variant, else its method."""
        return self.variant or self.method


class LeaderboardRow(ReportedMethod):
    """One method (or named variant) of the leaderboard."""

    trial: int | None
    phase: Literal["screen", "tune", "confirm"] | None
    runs: int
    config: dict[str, bool | str | int | float | None]
    adapter_input: AdapterInput | None = None
    """What its adapter reads: `normalised`, as published, or `feed_forward`, as in studies of edition 1; None without
    an adapter. `config` has `adapter.input` where it is not the latter."""
    validation: Interval
    """On the deciding rows where confirmed, with folds the sd over repeats; else on the tune rows of the best trial."""
    test: Interval | None
    difference_to_best: Difference | None
    trained_parameters: int | None
    stored_parameters: int | None
    train_seconds: float | None
    predict_ms_per_example: float | None
    peak_memory_mb: float | None


class ParetoFront(Frozen):
    """The confirmed methods that no other one beats at their cost, each list with the cheapest first."""

    stored_parameters: tuple[str, ...]
    predict_ms_per_example: tuple[str, ...]


class UpperBound(Frozen):
    """The best single method chosen on validation, the bar that UniPELT has to beat (the paper's Table 2)."""

    of: tuple[str, ...] | None
    method: str | None = None
    validation: float | None
    test: float | None


def _is_none(value: object) -> bool:
    return value is None


class GatesOfRuns(Frozen):
    """What each run has of a gate, side by side: entry i of every list is of run i of `run`.

    A row of one label or of one epoch has four decimals, and of more than five runs those with the lowest and the
    highest mean.
    """

    run: tuple[int, ...]
    """As in the curves: the run's seed index; with folds its number."""
    mean: tuple[float, ...]
    q50: tuple[float, ...]
    q05: tuple[float, ...] | None = Field(default=None, exclude_if=_is_none)
    q95: tuple[float, ...] | None = Field(default=None, exclude_if=_is_none)
    share_active: tuple[float, ...] | None = Field(default=None, exclude_if=_is_none)
    """These three for the final weights and all labels together."""
    null_mean: tuple[float | None, ...] | None = Field(default=None, exclude_if=_is_none)
    """None for the runs that had no label-shuffled control, and in whole where none had."""


class ReportedGate(GateFigures[float | None], ReportedMethod):
    """A gate row of one run of a trial, or of several pooled.

    Mean, sd, share, contribution and initial mean are those of all examples of all runs together. So are the quantiles
    where each run has kept its gates; of several runs of which one has not, there are none.
    """

    trial: int
    runs: int
    # Left out where they are not known: a report of an older version has none of these.
    between_sd: float | None = Field(default=None, exclude_if=_is_none)
    """Standard deviation of the runs' means; None with one run."""
    agrees: bool | None = Field(default=None, exclude_if=_is_none)
    """Whether the runs say the same; None with one run."""
    per_run: GatesOfRuns | None = Field(default=None, exclude_if=_is_none)
    """None with one run, and for a label on whose gate the runs agree and are pooled."""
    histogram: tuple[int, ...] | None = Field(default=None, exclude_if=_is_none)
    """Examples in each of 64 bins of equal width from 0 to 1; for all labels together, where all runs have kept their
    gates."""


class ReportedAblation(AblationRow, ReportedMethod):
    """An ablation row of one trial."""

    trial: int
    role: Literal["carries", "helps", "idle", "hurts"] | None = None
    """What the submodule contributes to the score; None where that was not seen, for single layers, and where the drop
    has no known error."""
    detectable: float | None = Field(default=None, exclude_if=_is_none)
    """Where no change was seen, the smallest one that would have been seen with a power of 80 %."""
    margin: float | None = Field(default=None, exclude_if=_is_none)
    """Where it is idle, the change that counts as none."""


class LabelScore(Frozen):
    """How one label was found; every row counts once per run."""

    label: str
    support: int
    """Rows that have the label."""
    predicted: int
    """Rows that were given it."""
    precision: float | None
    """Share of the rows given it that have it; None where none was."""
    recall: float | None
    """Share of the rows that have it that were given it; None where none has."""
    f1: float | None
    """Harmonic mean of the two, 0 where no row was right; None where no row has it or was given it."""


class Confusion(Frozen):
    """How many rows have this true label and were given this prediction, 0 left out.

    Where a row may have any number of labels, `predicted` None is a miss and `label` None a false alarm.
    """

    label: str | None
    predicted: str | None
    n: int


class ReportedOutcomes(ReportedMethod):
    """What a trial's confirmed runs predicted on one split, label by label, all runs pooled."""

    trial: int
    runs: int
    split: Literal["select", "test"]
    labels: tuple[LabelScore, ...]
    """In the task's order."""
    confusion: tuple[Confusion, ...]


class CalibrationBin(Frozen):
    """Predictions whose probabilities lie between two bounds."""

    low: float
    high: float
    n: int
    """Predictions of all runs together, never 0."""
    probability: float
    """The mean of what they say."""
    share: float
    """Share of them that came true."""


class ReportedCalibration(ReportedMethod):
    """How well a method's probabilities are calibrated on one split."""

    trial: int
    runs: int
    """Runs that have kept their probabilities; with folds and on select, repeats."""
    split: Literal["select", "test"]
    label: str | None
    """The label whose probability it is, where a row has any number of labels; None is that of the predicted class."""
    ece: float
    """The expected calibration error over 15 bins of equal width, the mean over the runs."""
    ece_of_runs: tuple[float, ...]
    """That of each run."""
    bins: tuple[CalibrationBin, ...]
    """Of all runs together, without the empty ones; with a label, for the best method only."""


class ReportedThresholds(ReportedMethod):
    """What the best method would score on one split if a label were predicted from another probability on.

    Entry i of the lists is of threshold i; all runs are counted together.
    """

    trial: int
    runs: int
    split: Literal["select", "test"]
    label: str | None
    """The positive one of two classes; None is all labels together, where a row has any number of them."""
    positives: int
    """How often it is true; every row counts once per run."""
    threshold: tuple[float, ...]
    precision: tuple[float | None, ...]
    """None where nothing is predicted."""
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]


class MissedRow(Frozen):
    """A row that every confirmed method misses in most of its runs."""

    split: Literal["select", "test"]
    row: int
    """Its number in the split, as in the predictions; with folds, in train and then validation."""
    file: str | None
    """Where it stands in what the user gave; None where nobody knows."""
    line: int | None
    """Its number there, counted in `unit`."""
    unit: str | None
    """`line` or `row`."""
    label: str | tuple[str, ...]
    """What it is labelled as; a number is written out."""
    predicted: str | tuple[str, ...]
    """What most runs predicted; of numbers the mean over the runs."""
    share: float
    """Share of the runs that predicted just that; of numbers, one far from the label."""
    probability: float | None
    """The mean probability of it, over the runs; where a row has any number of labels, that the label that is most
    doubtful is there though it should not be, or the other way round. None for numbers."""


class ReportedMisses(Frozen):
    """The rows that every confirmed method misses in most of its runs; numbers, by more than 3 sd of a run's errors."""

    methods: tuple[str, ...]
    """The methods, and variants by their names."""
    select: int | None
    """How many such rows there are; None where no predictions were kept."""
    test: int | None
    rows: tuple[MissedRow, ...]
    """At most 50, those first of which the runs are surest."""


class ReportedAgreement(Frozen):
    """How far the predictions of two methods agree on one split."""

    split: Literal["select", "test"]
    methods: tuple[str, str]
    """Two methods, or variants by their names."""
    equal: float
    """Share of the rows for which they predict the same; the mean over seeds."""
    kappa: float | None
    """Cohen's kappa, the mean over seeds; None where both always predict the same one thing."""


class CurvePoint(Frozen):
    """One evaluation of one run."""

    trial: int
    run: int
    """The run's seed index; with folds its number: 0 for the search run, then repeat by repeat."""
    epoch: float
    train_loss: float | None
    validation: float
    """On the tune rows."""


class ReportedStudy(Frozen):
    """Facts about the study."""

    name: str
    status: Literal["running", "complete", "stopped", "failed"]
    phase: Literal["screen", "tune", "confirm"]
    backbone: str
    created: str
    software: dict[str, str]
    command: str
    seed: int
    edition: int = 1
    """Which published settings and other defaults it began with."""


class ReportedTask(Frozen):
    """Facts about the task."""

    name: str
    kind: str
    labels: tuple[str, ...]
    rows: dict[str, int]
    metric: str
    direction: str
    fingerprint: str
    truncated_share: float | None = None
    """Share of all rows that were longer than the limit of tokens and were cut."""
    unknown_share: float | None = None
    """Share of all tokens that the backbone's tokenizer does not know."""
    folds: int = 0
    """Folds of train and validation that decide; 0 where the select rows do."""


class ReportedDrop(Frozen):
    """A method that got no more trials, and why."""

    method: str
    phase: Phase
    reason: str
    """A sentence."""


class TrialCounts(Frozen):
    """Trials by how they ended."""

    complete: int
    stopped: int
    failed: int


class StudyCost(Frozen):
    """What the study cost in all."""

    wall_seconds: float
    train_seconds: float
    examples_trained: int


class StudyReport(Frozen):
    """The complete report; `model_dump_json(by_alias=True)` is report.json."""

    schema_version: Literal[1] = Field(default=1, alias="schema", serialization_alias="schema")
    study: ReportedStudy
    task: ReportedTask
    verdict: Verdict
    leaderboard: tuple[LeaderboardRow, ...]
    upper_bound: UpperBound
    pareto: ParetoFront | None = None
    """None before a method is confirmed."""
    gates: tuple[ReportedGate, ...]
    ablation: tuple[ReportedAblation, ...]
    curves: tuple[CurvePoint, ...]
    outcomes: tuple[ReportedOutcomes, ...] = ()
    """Of every confirmed method of a task with labels."""
    # Left out where no run has kept its probabilities, as in studies of older versions.
    calibration: tuple[ReportedCalibration, ...] = Field(default=(), exclude_if=not_)
    """Of every confirmed method that has kept them."""
    thresholds: tuple[ReportedThresholds, ...] = Field(default=(), exclude_if=not_)
    """Of the best method, for two classes and for rows with any number of labels."""
    missed: ReportedMisses | None = Field(default=None, exclude_if=_is_none)
    """Of numbers too, in studies of edition 3 and later."""
    agreement: tuple[ReportedAgreement, ...] = Field(default=(), exclude_if=not_)
    """Of every two confirmed methods."""
    dropped: tuple[ReportedDrop, ...]
    notices: tuple[str, ...]
    """One sentence each, none twice."""
    notice_codes: tuple[str, ...] = ()
    """The code of each notice, in the same order."""
    trials: TrialCounts
    cost: StudyCost

"""What a kind of task is: the protocol, the records that all kinds share, and the registry that finds them.

A kind is two files. `kinds/<name>_kind.py` ends with ``KIND = ...``, an object that does what `LabelKind` says. It
names its torch half, the module with its loss, as a string (`LabelKind.loss`), so that nothing here imports torch.
The registry scans this folder for such modules when it is first asked: there is no list to extend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol

import unipelt_search.kinds as folder
from unipelt_search.kinds.metric import Direction as Direction
from unipelt_search.kinds.metric import Metric as Metric

if TYPE_CHECKING:
    import numpy as np

Label = int | float | tuple[int, ...]
"""A position in the task's labels, a number in the user's units, or ascending positions."""
SUFFIX = "_kind"
"""A kind's module is named like the kind, with this after it."""
PAIR = "pair_"
"""Stands before the kind in a task's description where rows have two texts."""
AUTO = "auto"
"""What a study asks for when the labels decide."""


@dataclass(frozen=True)
class Target:
    """What a task's outputs mean: the kind, its labels, and the numbers that were fitted to the training rows."""

    kind: str
    labels: tuple[str, ...]
    """The names in the order of their outputs; none for regression."""
    positive: int | None = None
    """Of exactly two classes the one that metrics such as `f1` are about."""
    mean: float = 0.0
    """Mean of the training rows' numbers; a model learns (number - mean) / sd."""
    sd: float = 1.0
    """Their standard deviation."""
    weights: tuple[float, ...] = ()
    """What a row of each class counts in the loss, or a label that is present if rows have several; none is 1."""
    threshold: float = 0.0
    """The logit above which a label is predicted where rows have several; 0 is a probability of 0.5."""

    @property
    def label_kind(self) -> LabelKind:
        """What a label is."""
        return find_kind(self.kind)

    @property
    def outputs(self) -> int:
        """How many numbers a model has for a row."""
        return len(self.label_kind.output_names(self.labels))

    def encode(self, texts: Sequence[str]) -> tuple[Label, ...]:
        """Return what stands for labels as they are written, each of which this target knows."""
        return self.label_kind.encode(self, texts)

    def decode(self, label: Label) -> str:
        """Return a label as it is written."""
        return self.label_kind.decode(self, label)

    def to_array(self, labels: Sequence[Label]) -> np.ndarray:
        """Return labels as metrics and losses take them.

        Args:
            labels: n labels.

        Returns:
            ``(n,)`` of int64 for classes, ``(n,)`` of float64 for numbers, ``(n, L)`` of 0 and 1 for sets of labels.
        """
        return self.label_kind.to_array(self, labels)

    def from_array(self, array: np.ndarray) -> tuple[Label, ...]:
        """Return the labels of which `to_array` would make this array."""
        return self.label_kind.from_array(array)

    def predict(self, logits: np.ndarray) -> np.ndarray:
        """Turn a model's outputs into predictions.

        Args:
            logits: ``(n, outputs)``.

        Returns:
            What `to_array` gives for the predicted labels.
        """
        return self.label_kind.predict(self, logits)

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """Turn a model's outputs into probabilities, as they are stored and scored.

        Args:
            logits: ``(n, outputs)``.

        Returns:
            ``(n, outputs)`` of float32: of every class (they sum to 1), or of every label (each for itself); None where
            a prediction is a number.
        """
        return self.label_kind.probabilities(logits)

    def fitted(self, logits: np.ndarray, labels: np.ndarray) -> Target:
        """Fit what is decided after training, such as a threshold, to rows that may choose.

        Args:
            logits: ``(n, outputs)``, of rows that may choose.
            labels: Their true labels, as `to_array` gives them.

        Returns:
            The target with what was fitted; this target where the kind has nothing to fit.
        """
        return self.label_kind.refit(self, logits, labels)

    def majority(self, labels: np.ndarray) -> np.ndarray:
        """Choose the prediction that needs no text.

        Args:
            labels: The training rows' labels, as `to_array` gives them.

        Returns:
            One prediction, as a row of what `to_array` gives.
        """
        return self.label_kind.majority(self, labels)

    def predictions(self, logits: np.ndarray) -> list[Prediction]:
        """Turn a model's outputs into predictions for a user.

        Args:
            logits: ``(n, outputs)``.

        Returns:
            One prediction per row.
        """
        return self.label_kind.predictions(self, logits)

    def majority_probabilities(self, labels: np.ndarray) -> np.ndarray | None:
        """Choose the probabilities that need no text: the share of every class, or label, among the training rows.

        Args:
            labels: The training rows' labels, as `to_array` gives them.

        Returns:
            ``(outputs,)`` of float32, as a row of what `probabilities` gives; None where a prediction is a number.
        """
        return self.label_kind.majority_probabilities(self, labels)

    def metrics(self) -> tuple[Metric, ...]:
        """Return our own metrics that fit, the default first."""
        return tuple(metric for metric in self.label_kind.metrics if metric.fits(self.labels, self.positive))

    def custom_metrics(self) -> tuple[Metric, ...]:
        """Return the metrics of other installed packages that fit, by name.

        Raises:
            MachineError: A package cannot be loaded or declares no valid metric, or a name is taken twice.
        """
        fitting = []
        for metric, kinds in _custom_metrics():
            # A number has no probability.
            is_known = self.label_kind.has_labels or not metric.needs_probabilities
            if self.label_kind.name in kinds and is_known and metric.fits(self.labels, self.positive):
                fitting.append(metric)
        return tuple(fitting)

    def metric(self, name: str) -> Metric:
        """Return one of the metrics that fit.

        Args:
            name: Its name.

        Returns:
            The metric.

        Raises:
            ValueError: No metric of that name fits.
            MachineError: It is none of ours, and a package with others cannot be loaded.
        """
        for metric in self.metrics():
            if metric.name == name:
                return metric
        fitting = (*self.metrics(), *self.custom_metrics())
        for metric in fitting:
            if metric.name == name:
                return metric
        names = ", ".join(metric.name for metric in fitting)
        raise ValueError(f"The metric must be one of {names}; got {name!r}.")


@dataclass(frozen=True)
class Prediction:
    """What a model says of one row, in the user's terms."""

    label: str | float | tuple[str, ...]
    """The class, the number, or the labels."""
    probabilities: dict[str, float] | None
    """Of every class (they sum to 1), or of every label (each for itself); None for a number."""


class LabelKind(Protocol):
    """What a label is, from the cell of a table to a row of a report.

    Objects hold no state: what is fitted to a task is in its `Target`. Arrays of labels are ``(n,)`` where a row has
    one label and ``(n, L)`` of 0 and 1 where it has any number of L labels.
    """

    @property
    def name(self) -> str:
        """The word in study files, databases and reports."""

    @property
    def number(self) -> int:
        """What sorts it; `auto` asks the kinds from the highest number down whether they recognise the labels."""

    @property
    def title(self) -> str:
        """How a report calls it, in lower case."""

    @property
    def loss(self) -> str:
        """The torch half: a module with ``make_loss(target, device)``; see `training/objective.py`."""

    @property
    def problem_type(self) -> str:
        """What transformers calls it in the configuration of a model."""

    @property
    def notice(self) -> str | None:
        """The code of the notice that `auto` chose it, never renamed; None where that goes without saying."""

    @property
    def recognised(self) -> str:
        """What that notice says of the labels, without a full stop; empty where there is none."""

    @property
    def has_labels(self) -> bool:
        """Whether predictions are chosen from a fixed list of labels, which classes can be weighted by."""

    @property
    def fewest_labels(self) -> int:
        """Labels that a task has at least."""

    @property
    def separator(self) -> str | None:
        """What stands between the labels of one cell; None where a row has exactly one label."""

    @property
    def constant(self) -> str:
        """What the majority baseline always predicts, as in "always predicting …"."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All its metrics, the default first."""

    # Labels as they are written.

    def recognises(self, texts: Sequence[str]) -> bool:
        """Tell whether a column of labels looks like this kind."""

    def check(self, texts: Sequence[str], line_of: Callable[[int], str]) -> None:
        """Check that cells hold labels of this kind.

        Args:
            texts: The cells of one split.
            line_of: From a position in `texts` to where that row stands.

        Raises:
            DataError: One does not.
        """

    def canonical(self, text: str) -> str:
        """Return a cell in the one way in which its label is written."""

    def names(self, text: str) -> tuple[str, ...]:
        """Return the names in a cell, each once."""

    def order(self, names: set[str]) -> tuple[str, ...]:
        """Put the names of the training rows into the order of the outputs; none where there are no fixed labels."""

    def strata(self, texts: Sequence[str], most: int | None) -> Sequence[str]:
        """Say which rows are alike, so that every split gets its share of them.

        Args:
            texts: ``(n,)``, at least one.
            most: Rows that will be taken; None is not known. With more different strata they may be made coarser.

        Returns:
            ``(n,)``, a name of the stratum of each row.
        """

    # Labels as numbers.

    def of_labels(self, labels: tuple[str, ...]) -> Target:
        """Make a target of labels in order to which nothing is fitted, as statistics of predictions need it."""

    def fit(
        self, labels: tuple[str, ...], train: Sequence[str], *, balanced: bool, weights: Sequence[float] = ()
    ) -> Target:
        """Make a target from the rows that runs are trained on.

        Args:
            labels: What `order` gave.
            train: The training rows' labels as they are written.
            balanced: Whether rare labels count more in the loss, so that all count the same in sum.
            weights: What each training row counts in the loss; none is 1 each.

        Returns:
            The target.
        """

    def output_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return a name for each of the numbers that a model has for a row, as its configuration gives them."""

    def encode(self, target: Target, texts: Sequence[str]) -> tuple[Label, ...]:
        """Return what `Target.encode` does, which calls this."""

    def decode(self, target: Target, label: Label) -> str:
        """Return what `Target.decode` does, which calls this."""

    def to_array(self, target: Target, labels: Sequence[Label]) -> np.ndarray:
        """Return what `Target.to_array` does, which calls this."""

    def from_array(self, array: np.ndarray) -> tuple[Label, ...]:
        """Return what `Target.from_array` does, which calls this."""

    # Predictions.

    def predict(self, target: Target, logits: np.ndarray) -> np.ndarray:
        """Return what `Target.predict` does, which calls this."""

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """Return what `Target.probabilities` does, which calls this."""

    def refit(self, target: Target, logits: np.ndarray, labels: np.ndarray) -> Target:
        """Return what `Target.fitted` does, which calls this."""

    def majority(self, target: Target, labels: np.ndarray) -> np.ndarray:
        """Return what `Target.majority` does, which calls this."""

    def majority_probabilities(self, target: Target, labels: np.ndarray) -> np.ndarray | None:
        """Return what `Target.majority_probabilities` does, which calls this."""

    def predictions(self, target: Target, logits: np.ndarray) -> list[Prediction]:
        """Return what `Target.predictions` does, which calls this."""

    def check_predicted(self, predicted: np.ndarray) -> None:
        """Check that predictions can be scored.

        Args:
            predicted: As `predict` gives them.

        Raises:
            DivergedError: A predicted number is not finite.
        """

    def outcomes(
        self, target: Target, labels: np.ndarray, predicted: np.ndarray
    ) -> Iterator[tuple[str | None, str | None, int]]:
        """Count true labels against predictions.

        Args:
            target: What is predicted.
            labels: The true labels, as an array.
            predicted: The predictions in the same shape.

        Yields:
            True label, predicted label and number of rows, where that is not 0, in the order of the labels. Where a
            row has any number of labels, None stands for a label that was not predicted or is not true.
        """

    # Words for people who read a report or a model's card.

    def describe(self, labels: tuple[str, ...]) -> str:
        """Say what is predicted, as in "the task has …"."""

    def meaning(self, target: Target) -> str:
        """Say in Markdown what each output of a model means."""

    def rule(self, target: Target) -> str | None:
        """Say how the outputs become a prediction, where that is not the largest output's label."""

    def output_scale(self, target: Target) -> tuple[float, float] | None:
        """Return factor and summand that turn an output into the user's units; None where outputs are logits."""


@cache
def label_kinds() -> Mapping[str, LabelKind]:
    """Find the kinds of task.

    Returns:
        The kinds by name, in the order of their numbers.

    Raises:
        RuntimeError: Two kinds have the same name or number, or a kind's name differs from that of its module.
    """
    kinds: dict[str, LabelKind] = {}
    for module in iter_modules(folder.__path__):
        if not module.name.endswith(SUFFIX) or module.name == __name__.rpartition(".")[2]:
            continue
        kind: LabelKind = import_module(f"{folder.__name__}.{module.name}").KIND
        if kind.name + SUFFIX != module.name:
            raise RuntimeError(f"The kind in {module.name}.py must be named like it; got {kind.name!r}.")
        kinds[kind.name] = kind
    numbers = [kind.number for kind in kinds.values()]
    if len(set(numbers)) < len(numbers):
        raise RuntimeError(f"Every kind must have a number of its own; got {sorted(numbers)}.")
    return dict(sorted(kinds.items(), key=lambda item: item[1].number))


def find_kind(name: str) -> LabelKind:
    """Return a kind by its name.

    Args:
        name: The kind's name, or a task's kind, which begins with `pair_` where rows have two texts.

    Returns:
        The kind.

    Raises:
        ValueError: There is no such kind.
    """
    return label_kinds()[check_kind(name.removeprefix(PAIR))]


def task_title(name: str) -> str:
    """Return how a report calls a task's kind, which begins with `pair_` where rows have two texts."""
    title = find_kind(name).title
    return f"pair {title}" if name.startswith(PAIR) else title


def recognise(texts: Sequence[str]) -> LabelKind:
    """Find the kind that a column of labels looks like.

    Args:
        texts: The labels of all splits.

    Returns:
        Of the kinds that recognise them the one with the highest number; classification recognises everything.

    Raises:
        RuntimeError: No kind recognises them.
    """
    for kind in reversed(tuple(label_kinds().values())):
        if kind.recognises(texts):
            return kind
    raise RuntimeError("One kind must recognise any labels; none did.")


def name_kind(texts: Sequence[str]) -> LabelKind:
    """Find the kind of a column in which a row has exactly one name.

    Args:
        texts: The labels of all splits.

    Returns:
        As `recognise`, among the kinds of exactly one name.

    Raises:
        RuntimeError: No kind recognises them.
    """
    for kind in reversed(tuple(label_kinds().values())):
        if kind.has_labels and kind.separator is None and kind.recognises(texts):
            return kind
    raise RuntimeError("One kind of names must recognise any labels; none did.")


def find_metric(name: str) -> Metric:
    """Return what is known of a metric whatever the kind and the labels, such as its direction and its title.

    Args:
        name: Its name; kinds that have a metric of the same name agree in these.

    Returns:
        The metric of the first kind that has it, else that of another package.

    Raises:
        ValueError: No kind and no package has it.
        MachineError: It is none of ours, and a package with others cannot be loaded.
    """
    for kind in label_kinds().values():
        for metric in kind.metrics:
            if metric.name == name:
                return metric
    for metric, _ in _custom_metrics():
        if metric.name == name:
            return metric
    raise ValueError(f"must be {_either(metric_names())}")


def metric_names() -> tuple[str, ...]:
    """Return the names of all metrics, ours kind by kind, then those of other packages, each once.

    Raises:
        MachineError: A package cannot be loaded or declares no valid metric, or a name is taken twice.
    """
    ours = _our_metrics()
    return (*ours, *(metric.name for metric, _ in _custom_metrics()))


def _custom_metrics() -> tuple[tuple[Metric, tuple[str, ...]], ...]:
    """Return the metrics of other packages, each with the kinds that it is for."""
    # Imported late, as the kinds are: it needs numpy, and most commands ask for none of it.
    module = import_module(f"{folder.__name__}.custom_metrics")
    found: tuple[tuple[Metric, tuple[str, ...]], ...] = module.custom_metrics(_our_metrics())
    return found


def _our_metrics() -> tuple[str, ...]:
    names: dict[str, None] = {}
    for kind in label_kinds().values():
        names.update((metric.name, None) for metric in kind.metrics)
    return tuple(names)


def check_kind(name: str) -> str:
    """Check a kind's name.

    Args:
        name: Any text.

    Returns:
        The same name.

    Raises:
        ValueError: There is no such kind.
    """
    known = label_kinds()
    if name not in known:
        raise ValueError(f"must be {_either(known)}")
    return name


def check_asked_kind(name: str) -> str:
    """Check the kind that a study asks for.

    Args:
        name: Any text.

    Returns:
        The same name.

    Raises:
        ValueError: It is neither `auto` nor a kind.
    """
    # `auto` is looked at first: most studies say that, and need no kind to be loaded.
    if name != AUTO and name not in label_kinds():
        raise ValueError(f"must be {_either((AUTO, *label_kinds()))}")
    return name


def check_asked_metric(name: str) -> str:
    """Check the metric that a study asks for.

    Args:
        name: Any text.

    Returns:
        The same name.

    Raises:
        ValueError: It is neither `auto` nor a metric of a kind or of an installed package.
        MachineError: It is none of ours, and a package with others cannot be loaded.
    """
    if name != AUTO and name not in _our_metrics() and name not in metric_names():
        raise ValueError(f"must be {_either((AUTO, *metric_names()))}")
    return name


def _either(names: Sequence[str] | Mapping[str, object]) -> str:
    *most, last = (repr(name) for name in names)
    return f"{', '.join(most)} or {last}"

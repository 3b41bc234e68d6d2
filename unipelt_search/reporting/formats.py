"""How numbers are written in every report."""

from __future__ import annotations

from unipelt_search.kinds.label_kind import task_title
from unipelt_search.records.report import (
    Difference,
    Interval,
    LeaderboardRow,
    ParetoFront,
    ReportedAblation,
    ReportedTask,
    UpperBound,
)

NONE = "–"


def score(value: float | None) -> str:
    """Write a score with three decimals and a real minus."""
    return NONE if value is None else _three(value)


_ROLES = {
    "carries": "carries the result",
    "helps": "helps",
    "idle": "idle",
    "hurts": "hurts",
}


def interval(given: Interval | None) -> str:
    """Write a mean, with half the width of its interval where there is one."""
    if given is None:
        return NONE
    if given.low is None or given.high is None:
        return score(given.mean)
    return f"{_three(given.mean)} ± {max(given.high - given.mean, given.mean - given.low):.3f}"


def difference(given: Difference | None) -> str:
    """Write a difference with its sign, and half the width of its interval where there is one."""
    if given is None:
        return NONE
    if given.low is None or given.high is None:
        return signed(given.mean)
    return f"{signed(given.mean)} ± {(given.high - given.low) / 2:.3f}"


def span(given: Interval) -> str:
    """Write an interval by its ends; nothing where it has none."""
    return "" if given.low is None else f"{score(given.low)} to {score(given.high)}"


def share(value: float | None) -> str:
    """Write a share as a whole percentage."""
    return NONE if value is None else f"{100 * value:.0f} %"


def tick(value: float) -> str:
    """Write a value on an axis."""
    return f"{value:g}".replace("-", "−")


def task_kind(task: ReportedTask) -> str:
    """Say briefly what is predicted for a row."""
    kind = task_title(task.kind)
    return f"{kind}, {len(task.labels)} labels" if task.labels else kind


def signed(value: float) -> str:
    """Write a change in a score with three decimals and a real minus; one that rounds to zero has no sign."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text[1:] == "0.000" else text


def count(value: int | None) -> str:
    """Write a number of parameters with thousands separators."""
    return NONE if value is None else f"{value:,}"


def short_count(value: float) -> str:
    """Write a number of parameters with three digits, in thousands, millions or thousands of millions."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def number(value: float | None, digits: int = 1) -> str:
    """Write a plain number."""
    return NONE if value is None else f"{value:,.{digits}f}"


def rows_used(row: LeaderboardRow) -> str:
    """Say that a score is on the tune rows, where it is."""
    return " (tune)" if row.phase in {"screen", "tune"} else ""


def deciding_rows(task: ReportedTask) -> str:
    """Name the rows that decide."""
    return f"the {task.folds} folds of train and validation" if task.folds else "the select rows"


def upper_bound(given: UpperBound, task: ReportedTask) -> str:
    """Say in a sentence which bar UniPELT has to beat; there must be one."""
    others = f" (of {', '.join(given.of)})" if given.of and len(given.of) > 1 else ""
    return (
        f"The bar for UniPELT is the best single method, chosen on {deciding_rows(task)}: {given.method}{others}. It "
        f"scores {score(given.validation)} there and {score(given.test)} on the test rows."
    )


def pareto(given: ParetoFront) -> str:
    """Say in a sentence which methods no other one beats at their cost."""
    by_size = ", ".join(given.stored_parameters) or NONE
    by_time = ", ".join(given.predict_ms_per_example) or NONE
    return (
        f"No other method is better at the same cost, the cheapest first: {by_size} by stored parameters; {by_time} by "
        "time."
    )


def score_change(row: ReportedAblation, task: ReportedTask) -> str:
    """Write what the score changes by without a submodule, with two standard errors where they are known."""
    # A loss lowers a score, and raises an error.
    change = signed(row.drop if task.direction == "minimize" else -row.drop)
    return change if row.error is None else f"{change} ± {2 * row.error:.3f}"


def role(row: ReportedAblation) -> str:
    """Say what a submodule is worth, or how much it may be worth unseen; nothing where that is not known."""
    if row.role:
        within = "" if row.margin is None else f", within ±{row.margin:.2g}"
        return _ROLES[row.role] + within
    if row.detectable is None:
        return ""
    return f"no loss seen; less than {row.detectable:.3f} could not be seen"


def runs(row: LeaderboardRow) -> str:
    """Say how many runs a leaderboard row is a mean of."""
    if row.trial is None:
        return NONE
    return str(row.runs) if row.phase == "confirm" else f"{row.runs} ({row.phase})"


def _three(value: float) -> str:
    """Write three decimals; what rounds to zero has no sign."""
    return f"{round(value, 3) or 0.0:.3f}".replace("-", "−")

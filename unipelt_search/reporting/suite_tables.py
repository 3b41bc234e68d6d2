"""A suite's results as Markdown: the published tables with our figures next to them, and what was reproduced.

Every score is a test score times 100; errors in units of their own are not multiplied. Source of the layout: Mao et
al. (2022), Tables 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unipelt_search.errors import RequestError
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.markdown import markdown_table, plain_text
from unipelt_search.reporting.verdict_words import metric_name
from unipelt_search.verdict.suite_scores import Measure, Scores, StudyScores, SuiteScores, gated_methods

BEGIN = "<!-- results -->"
END = "<!-- end of results -->"
"""The lines of a page that enclose the results."""
_COPY = "†"
"""After the name of a task whose rows are from a local copy."""
_OTHER_ADAPTER = "‡"
"""After a score of an adapter that is not the published one."""


def render_suite(scores: SuiteScores) -> str:
    """Render what there is of a suite.

    Args:
        scores: What its studies found so far.

    Returns:
        GitHub-flavoured Markdown, its headings of the third level and deeper.
    """
    return "\n\n".join(_parts(scores)) + "\n"


def replace_results(page: str, results: str, name: str) -> str:
    """Put results between the two marking lines of a page.

    Args:
        page: The page's text.
        results: What is to stand between them.
        name: What to call the page.

    Returns:
        The page with the new results.

    Raises:
        RequestError: The page does not have both lines, one after the other and each once.
    """
    before, begun, rest = page.partition(BEGIN)
    old, ended, after = rest.partition(END)
    # A page with a second pair of lines would lose what stands between them.
    repeated = BEGIN in old + after or END in before + after
    if not (begun and ended) or repeated:
        raise RequestError(
            f"--report must name a page with the lines {BEGIN} and {END}, each once, between which the results go; "
            f"{name!r} is none. Add them."
        )
    return f"{before}{BEGIN}\n\n{results.strip()}\n\n{END}{after}"


def _parts(scores: SuiteScores) -> Iterator[str]:
    suite = scores.suite
    yield _introduction(scores)
    if not scores.studies:
        return
    for size in sorted(suite.sizes):
        yield f"### {size:,} training rows"
        yield _scores_table(scores, size)
    bounds = gated_methods(suite)
    if bounds:
        yield "### The upper bound"
        yield (
            "Our bound on a task is the test score of the single method that is best on the select rows, of those that "
            "the gated method unites; it is named. The published bound is the best one on the test rows, which favours "
            "it."
        )
        yield _bounds_table(scores)
    yield "### Verdicts"
    yield "Which method is best on the select rows, and what ties with it."
    yield _verdicts_table(scores)
    yield "### What held and what did not"
    held = [_what_held(scores, size) for size in sorted(suite.sizes)]
    yield _bullets(filter(None, held)) or "Nothing can be said yet: no task has all methods."
    yield from _section("Missing", _missing(scores))
    yield from _section(f"{_OTHER_ADAPTER} Not the published adapter", _other_adapters(scores))
    yield from _section(f"{_COPY} Local copies", _local_copies(scores))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield a heading and a list; nothing where there are no lines."""
    text = _bullets(map(plain_text, lines))
    if text:
        yield f"### {title}"
        yield text


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _introduction(scores: SuiteScores) -> str:
    suite = scores.suite
    used = dict.fromkeys(study.backbone for study in scores.studies.values())
    backbones = ", ".join(used) or suite.backbone.model
    parts = [f"**{scores.runs_confirmed} of {scores.runs_asked} runs are confirmed.**"]
    if not scores.studies:
        return f"{parts[0]} There are no results yet."
    rows = ", each with training rows of its own" if suite.redraw else ""
    parts.append(
        f"Backbone {plain_text(backbones)}: test scores × 100, mean ± standard deviation over {suite.budget.seeds} "
        f"runs{rows}."
    )
    if suite.published:
        parts.append(
            f"In brackets, backbone {plain_text(suite.published.backbone)}: {plain_text(suite.published.source)}."
        )
    metrics = {f"{task} {metric_name(study.metric)}": None for (task, _), study in scores.studies.items()}
    parts.append(f"Metrics: {plain_text(', '.join(metrics))}.")
    parts += _exceptions(scores)
    parts.append("`majority` makes the same prediction for every row.")
    return " ".join(parts)


def _exceptions(scores: SuiteScores) -> Iterator[str]:
    """Name the tasks whose scores are not multiplied by 100, and those where lower is better."""
    measures = {task.name: scores.measure(task.name) for task in scores.suite.tasks}
    plain = [name for name, measure in measures.items() if measure.factor == 1.0]
    lower = [name for name, measure in measures.items() if measure.sign < 0]
    if plain:
        yield f"Scores on {plain_text(', '.join(plain))} are not multiplied."
    if lower:
        yield f"Lower is better on {plain_text(', '.join(lower))}."


def _scores_table(scores: SuiteScores, size: int) -> str:
    suite = scores.suite
    studies = [scores.studies.get((task.name, size)) for task in suite.tasks]
    rows = [(method, *_method_cells(scores, size, method)) for method in suite.eligible]
    majority = []
    for task, study in zip(suite.tasks, studies, strict=True):
        majority.append(_scaled(study.majority if study else None, scores.measure(task.name)))
    rows.append(("majority", *majority, ""))
    header = ["method"]
    for task, study in zip(suite.tasks, studies, strict=True):
        copied = study is not None and study.copy_note is not None
        header.append(task.name + _COPY if copied else task.name)
    header.append(f"average of {len(scores.shared_tasks(size)) or len(suite.tasks)}")
    return markdown_table(header, rows, numbers=range(1, len(header)))


def _method_cells(scores: SuiteScores, size: int, method: str) -> list[str]:
    """Write a method's scores on every task, and their average."""
    cells = []
    for task in scores.suite.tasks:
        published = scores.suite.published_score(size, method, task.name)
        other = scores.is_unpublished(size, method, task.name)
        cells.append(_cell(scores.scores(size, method, task.name), published, other, scores.measure(task.name)))
    average, published = scores.average(size, method), scores.published_average(size, method)
    other = scores.is_unpublished(size, method)
    cells.append(_cell(average, published, other, scores.average_measure(size)))
    return cells


def _bounds_table(scores: SuiteScores) -> str:
    suite = scores.suite
    rows = []
    for size in sorted(suite.sizes):
        for method, singles in gated_methods(suite).items():
            rows.append((f"{size:,}", f"best of {', '.join(singles)}", *_bound_cells(scores, size, singles)))
            rows.append((f"{size:,}", method, *_method_cells(scores, size, method)))
    names = [task.name for task in suite.tasks]
    header = ("rows", "method", *names, "average")
    return markdown_table(header, rows, numbers=(0, *range(2, len(header))))


def _bound_cells(scores: SuiteScores, size: int, singles: tuple[str, ...]) -> list[str]:
    """Write the best of some methods on every task, and the average of these."""
    cells = []
    for task in scores.suite.tasks:
        bound = scores.bound(size, singles, task.name)
        published = scores.published_bound(size, singles, task.name)
        other = bound is not None and scores.is_unpublished(size, bound.method, task.name)
        cell = _cell(bound.test if bound else None, published, other, scores.measure(task.name))
        cells.append(f"{bound.method} {cell}" if bound else cell)
    other = _has_unpublished(scores, size, singles)
    average, published = scores.average_bound(size, singles), scores.published_average_bound(size, singles)
    cells.append(_cell(average, published, other, scores.average_measure(size)))
    return cells


def _verdicts_table(scores: SuiteScores) -> str:
    sizes = sorted(scores.suite.sizes)
    rows = []
    for task in scores.suite.tasks:
        verdicts = [_verdict(scores.studies.get((task.name, size))) for size in sizes]
        rows.append((task.name, *verdicts))
    columns = [f"{size:,} rows" for size in sizes]
    return markdown_table(("task", *columns), rows, numbers=())


def _verdict(study: StudyScores | None) -> str:
    if study is None or study.verdict.name is None:
        return formats.NONE
    ties = ", ".join(study.verdict.ties)
    return f"{study.verdict.name} (ties: {ties})" if ties else f"{study.verdict.name} (alone)"


def _what_held(scores: SuiteScores, size: int) -> str:
    """Say of one number of training rows what came out as published; nothing where no task has all methods."""
    shared = scores.shared_tasks(size)
    if not shared:
        return ""
    sentences = []
    for method, singles in gated_methods(scores.suite).items():
        first = []
        for task in shared:
            verdict = scores.studies[task, size].verdict
            if method in (verdict.name, *verdict.ties):
                first.append(task)
        where = f": {', '.join(first)}" if first else ""
        sentences.append(f"{method} is best or ties with the best on {len(first)} of {len(shared)} tasks{where}.")
        sentences.append(_against_bound(scores, size, method, singles))
    sentences.append(_highest(scores, size))
    correlation = scores.rank_correlation(size)
    if correlation is not None:
        rho, methods = correlation
        sentences.append(
            f"The order of the averages and that of the published ones have Spearman's rank correlation {_number(rho)} "
            f"({methods} methods)."
        )
    title = f"**{size:,} rows, {len(shared)} of {len(scores.suite.tasks)} tasks.**"
    return f"{title} {plain_text(' '.join(filter(None, sentences)))}"


def _against_bound(scores: SuiteScores, size: int, method: str, singles: tuple[str, ...]) -> str:
    ours, bound = scores.average(size, method), scores.average_bound(size, singles)
    measure = scores.average_measure(size)
    if ours is None or bound is None or measure is None:
        return ""
    gap = measure.factor * (ours.mean - bound.mean)
    sentence = f"Its average lies {_distance(gap)} that of the best of {', '.join(singles)}"
    published = scores.published_average(size, method)
    published_bound = scores.published_average_bound(size, singles)
    if published is None or published_bound is None or _has_unpublished(scores, size, (method, *singles)):
        return f"{sentence}."
    published_gap = published - published_bound
    return f"{sentence}, the published one {_distance(published_gap)}: {_held((gap > 0) == (published_gap > 0))}."


def _highest(scores: SuiteScores, size: int) -> str:
    ours = {}
    published = {}
    measure = scores.average_measure(size)
    for method in scores.suite.eligible:
        average = scores.average(size, method)
        if average and measure:
            ours[method] = measure.factor * average.mean
        published_average = scores.published_average(size, method)
        if published_average is not None:
            published[method] = published_average
    if measure is None or not ours:
        return ""
    sign, word = measure.sign, "highest" if measure.sign > 0 else "lowest"
    best = max(ours, key=lambda method: sign * ours[method])
    sentence = f"The {word} average is that of {best} ({_number(ours[best])})"
    if not published or _has_unpublished(scores, size, scores.suite.eligible):
        return f"{sentence}."
    first = max(published, key=lambda method: sign * published[method])
    return (
        f"{sentence}, the {word} published one that of {first} ({_number(published[first])}): {_held(best == first)}."
    )


def _missing(scores: SuiteScores) -> Iterator[str]:
    """Name what has not been run whole, study by study."""
    suite = scores.suite
    seeds = suite.budget.seeds
    absent = []
    for size in sorted(suite.sizes):
        for task in suite.tasks:
            name = suite.study_name(task.name, size)
            study = scores.studies.get((task.name, size))
            if study is None:
                absent.append(name)
                continue
            done = {method: study.confirmed_runs(method) for method in suite.eligible}
            short = [f"{method} {runs} of {seeds} runs" for method, runs in done.items() if runs < seeds]
            if short:
                yield f"{name}, {study.state}: {', '.join(short)}."
    if absent:
        yield f"Not begun: {', '.join(absent)}."


def _other_adapters(scores: SuiteScores) -> Iterator[str]:
    """Name the methods whose figures are not of the published adapter, and say what follows for the comparison."""
    other = [name for name in scores.suite.eligible if _is_unpublished_anywhere(scores, name)]
    if other:
        yield (
            f"{', '.join(other)}: the adapter reads the feed-forward network's output (adapter.input: feed_forward, as "
            "in every study of edition 1), not the published input. These figures and the published ones are of two "
            "different methods; what held is said without them."
        )


def _local_copies(scores: SuiteScores) -> Iterator[str]:
    """Say of the tasks whose rows are from a local copy how these differ from the original ones."""
    for task in scores.suite.tasks:
        studies = [scores.studies.get((task.name, size)) for size in scores.suite.sizes]
        notes = [study.copy_note for study in studies if study is not None]
        for note in dict.fromkeys(note for note in notes if note is not None):
            yield f"{task.name}{_COPY}: {note or 'the original rows'}."


def _is_unpublished_anywhere(scores: SuiteScores, method: str) -> bool:
    """Tell whether a method has another adapter than the published one with any number of training rows."""
    return any(scores.is_unpublished(size, method) for size in scores.suite.sizes)


def _has_unpublished(scores: SuiteScores, size: int, methods: Iterable[str]) -> bool:
    """Tell whether one of some methods has another adapter than the published one."""
    return any(scores.is_unpublished(size, method) for method in methods)


def _cell(ours: Scores | None, published: float | None, other_adapter: bool, measure: Measure | None) -> str:
    """Write our score with its spread, a mark where its adapter is not the published one, and the published score."""
    mine = _scaled(ours.mean if ours else None, measure)
    if ours is not None and other_adapter:
        mine += _OTHER_ADAPTER
    if ours is not None and ours.sd is not None and measure is not None:
        mine += f" ± {measure.factor * ours.sd:.2f}"
    return mine if published is None else f"{mine} ({_number(published)})"


def _scaled(value: float | None, measure: Measure | None) -> str:
    """Write a score as its task's are written; nothing where there is none."""
    return formats.NONE if value is None or measure is None else _number(measure.factor * value)


def _number(value: float) -> str:
    """Write two decimals and a real minus; what rounds to zero has no sign."""
    return f"{round(value, 2) or 0.0:.2f}".replace("-", "−")


def _distance(gap: float) -> str:
    return f"{_number(abs(gap))} {'above' if gap > 0 else 'below'}"


def _held(alike: bool) -> str:
    return "this held" if alike else "this did not hold"

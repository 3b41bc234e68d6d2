"""A suite's results as Markdown: the published tables with our figures beside them, and what held.

Every score is a test score times 100. Source of the layout: Mao et al. (2022), Tables 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator

from unipelt_search.errors import RequestError
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.markdown import markdown_table, plain_text
from unipelt_search.reporting.verdict_words import metric_name
from unipelt_search.verdict.suite_scores import Scores, StudyScores, SuiteScores, gated_methods

BEGIN, END = "<!-- results -->", "<!-- end of results -->"
"""Lines of a page between which the results stand."""
_COPY = "†"
"""Behind a task whose rows are from a local copy."""


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
    if not (begun and ended) or BEGIN in old + after or END in before + after:
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
            "Of the single methods that a gated method unites, ours takes on each task the one that is best on the "
            "select rows, and says which. The published bound is the best one on the test rows, which favours it."
        )
        yield _bounds_table(scores)
    yield "### Verdicts"
    yield "Which method is best on the select rows, and what ties with it."
    yield _verdicts_table(scores)
    yield "### What held and what did not"
    held = [sentence for size in sorted(suite.sizes) if (sentence := _what_held(scores, size))]
    yield "\n".join(f"- {sentence}" for sentence in held) or "Nothing can be said yet: no task has all methods."
    for title, lines in (("Missing", [*_missing(scores)]), (f"{_COPY} Local copies", [*_local_copies(scores)])):
        if lines:
            yield f"### {title}"
            yield "\n".join(f"- {plain_text(line)}" for line in lines)


def _introduction(scores: SuiteScores) -> str:
    suite = scores.suite
    backbones = ", ".join(dict.fromkeys(study.backbone for study in scores.studies.values())) or suite.backbone.model
    parts = [f"**{scores.runs_confirmed} of {scores.runs_asked} runs are confirmed.**"]
    if not scores.studies:
        return f"{parts[0]} There are no results yet."
    parts.append(
        f"Backbone {plain_text(backbones)}: test scores × 100, mean ± standard deviation over "
        f"{suite.budget.seeds} runs{', each with training rows of its own' if suite.redraw else ''}."
    )
    if suite.published:
        parts.append(
            f"In brackets, backbone {plain_text(suite.published.backbone)}: {plain_text(suite.published.source)}."
        )
    metrics = dict.fromkeys(f"{task} {metric_name(study.metric)}" for (task, _), study in scores.studies.items())
    parts.append(f"Metrics: {plain_text(', '.join(metrics))}. `majority` always gives the answer that needs no text.")
    return " ".join(parts)


def _scores_table(scores: SuiteScores, size: int) -> str:
    suite = scores.suite
    studies = [scores.studies.get((task.name, size)) for task in suite.tasks]
    rows = [(method, *_method_cells(scores, size, method)) for method in suite.eligible]
    rows.append(("majority", *(_hundredths(study.majority if study else None) for study in studies), ""))
    names = (
        task.name + (_COPY if study and study.copy_note is not None else "")
        for task, study in zip(suite.tasks, studies, strict=True)
    )
    header = ("method", *names, f"average of {len(scores.shared_tasks(size)) or len(suite.tasks)}")
    return markdown_table(header, rows, numbers=range(1, len(header)))


def _method_cells(scores: SuiteScores, size: int, method: str) -> list[str]:
    """Write a method's scores on every task, and their average."""
    cells = [
        _cell(scores.scores(size, method, task.name), scores.suite.published_score(size, method, task.name))
        for task in scores.suite.tasks
    ]
    return [*cells, _cell(scores.average(size, method), scores.published_average(size, method))]


def _bounds_table(scores: SuiteScores) -> str:
    suite = scores.suite
    rows = []
    for size in sorted(suite.sizes):
        for method, singles in gated_methods(suite).items():
            cells = []
            for task in suite.tasks:
                bound = scores.bound(size, singles, task.name)
                cell = _cell(bound.test if bound else None, scores.published_bound(size, singles, task.name))
                cells.append(f"{bound.method} {cell}" if bound else cell)
            average = _cell(scores.average_bound(size, singles), scores.published_average_bound(size, singles))
            rows.append((f"{size:,}", f"best of {', '.join(singles)}", *cells, average))
            rows.append((f"{size:,}", method, *_method_cells(scores, size, method)))
    header = ("rows", "method", *(task.name for task in suite.tasks), "average")
    return markdown_table(header, rows, numbers=(0, *range(2, len(header))))


def _verdicts_table(scores: SuiteScores) -> str:
    sizes = sorted(scores.suite.sizes)
    rows = [
        (task.name, *(_verdict(scores.studies.get((task.name, size))) for size in sizes)) for task in scores.suite.tasks
    ]
    return markdown_table(("task", *(f"{size:,} rows" for size in sizes)), rows, numbers=())


def _verdict(study: StudyScores | None) -> str:
    if study is None or study.verdict.name is None:
        return formats.NONE
    ties = f" (ties: {', '.join(study.verdict.ties)})" if study.verdict.ties else " (alone)"
    return study.verdict.name + ties


def _what_held(scores: SuiteScores, size: int) -> str:
    """Say of one number of training rows what came out as published; nothing where no task has all methods."""
    shared = scores.shared_tasks(size)
    if not shared:
        return ""
    sentences = []
    for method, singles in gated_methods(scores.suite).items():
        verdicts = {task: scores.studies[task, size].verdict for task in shared}
        first = [task for task, verdict in verdicts.items() if method in (verdict.name, *verdict.ties)]
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
    if ours is None or bound is None:
        return ""
    gap = 100 * (ours.mean - bound.mean)
    sentence = f"Its average lies {_distance(gap)} that of the best of {', '.join(singles)}"
    published, published_bound = scores.published_average(size, method), scores.published_average_bound(size, singles)
    if published is None or published_bound is None:
        return f"{sentence}."
    published_gap = published - published_bound
    return f"{sentence}, the published one {_distance(published_gap)}: {_held((gap > 0) == (published_gap > 0))}."


def _highest(scores: SuiteScores, size: int) -> str:
    methods = scores.suite.eligible
    ours = {method: 100 * average.mean for method in methods if (average := scores.average(size, method))}
    if not ours:
        return ""
    best = max(ours, key=ours.__getitem__)
    sentence = f"The highest average is that of {best} ({_number(ours[best])})"
    published = {method: mean for method in methods if (mean := scores.published_average(size, method)) is not None}
    if not published:
        return f"{sentence}."
    first = max(published, key=published.__getitem__)
    return (
        f"{sentence}, the highest published one that of {first} ({_number(published[first])}): {_held(best == first)}."
    )


def _missing(scores: SuiteScores) -> Iterator[str]:
    """Name what has not been run whole, study by study."""
    suite = scores.suite
    absent = []
    for size in sorted(suite.sizes):
        for task in suite.tasks:
            name, study = suite.study_name(task.name, size), scores.studies.get((task.name, size))
            if study is None:
                absent.append(name)
                continue
            short = [
                f"{method} {done} of {suite.budget.seeds} runs"
                for method in suite.eligible
                if (done := study.confirmed_runs(method)) < suite.budget.seeds
            ]
            if short:
                yield f"{name}, {study.state}: {', '.join(short)}."
    if absent:
        yield f"Not begun: {', '.join(absent)}."


def _local_copies(scores: SuiteScores) -> Iterator[str]:
    """Say of the tasks whose rows are from a local copy how these differ from the original ones."""
    for task in scores.suite.tasks:
        studies = (scores.studies.get((task.name, size)) for size in scores.suite.sizes)
        for note in dict.fromkeys(study.copy_note for study in studies if study and study.copy_note is not None):
            yield f"{task.name}{_COPY}: {note or 'the original rows'}."


def _cell(ours: Scores | None, published: float | None) -> str:
    """Write our score with its spread, and the published one in brackets."""
    mine = formats.NONE
    if ours is not None:
        mine = _hundredths(ours.mean) + (f" ± {100 * ours.sd:.2f}" if ours.sd is not None else "")
    return mine if published is None else f"{mine} ({_number(published)})"


def _hundredths(value: float | None) -> str:
    return formats.NONE if value is None else _number(100 * value)


def _number(value: float) -> str:
    """Write two decimals and a real minus; what rounds to zero has no sign."""
    return f"{round(value, 2) or 0.0:.2f}".replace("-", "−")


def _distance(gap: float) -> str:
    return f"{_number(abs(gap))} {'above' if gap > 0 else 'below'}"


def _held(alike: bool) -> str:
    return "this held" if alike else "this did not hold"

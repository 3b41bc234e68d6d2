from __future__ import annotations

import pytest
from editions import EDITION_1
from made_suite import made_errors, made_records, made_suite

from unipelt_search.errors import RequestError
from unipelt_search.reporting.suite_tables import BEGIN, END, render_suite, replace_results
from unipelt_search.verdict.suite_scores import suite_scores


@pytest.fixture(scope="module")
def visible() -> str:
    suite = made_suite()
    return render_suite(suite_scores(suite, made_records(suite)))


def rows(visible: str, title: str) -> dict[str, list[str]]:
    """Return the first table below a heading, by its first two columns where the first is a number."""
    lines = visible.partition(f"### {title}\n")[2].partition("\n### ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {" ".join(row[:2]) if row[0].isdecimal() else row[0]: row[1:] for row in cells}


def test_scores_stand_beside_the_published_ones(visible: str) -> None:
    table = rows(visible, "20 training rows")
    assert table["method"] == ["films†", "pairs", "average of 2"]
    assert table["lora"] == ["73.00 ± 1.41 (65.00)", "62.00 ± 0.00 (72.00)", "67.50 ± 0.71 (68.50)"]
    assert table["unipelt_al"] == ["67.00 ± 1.41 (66.00)", "78.00 ± 2.83 (76.00)", "72.50 ± 0.71 (71.00)"]
    assert table["majority"] == ["20.00", "20.00", ""]
    begun = rows(visible, "100 training rows")
    assert begun["adapter"] == ["82.00", "–", "–"]
    assert begun["lora"] == ["–", "–", "–"]


def test_the_figures_say_whose_they_are(visible: str) -> None:
    first = visible.splitlines()[0]
    assert first.startswith("**19 of 32 runs are confirmed.** Backbone minilm: ")
    assert "over 2 runs, each with training rows of its own" in first
    assert "In brackets, backbone BERT-base: Somebody (2022)." in first
    assert "Metrics: films accuracy, pairs accuracy." in first


def test_the_upper_bound_stands_above_the_method_that_must_beat_it(visible: str) -> None:
    table = rows(visible, "The upper bound")
    assert table["20 best of adapter, lora"][1:] == [
        "lora 73.00 ± 1.41 (65.00)", "adapter 82.00 ± 0.00 (75.00)", "77.50 ± 0.71 (70.00)",
    ]  # fmt: skip
    assert table["20 unipelt_al"][-1] == "72.50 ± 0.71 (71.00)"
    assert table["100 best of adapter, lora"][1:] == ["adapter 82.00", "–", "–"]


def test_every_task_has_its_verdict(visible: str) -> None:
    table = rows(visible, "Verdicts")
    assert table["films"] == ["lora (alone)", "adapter (ties: fine_tuning)"]
    assert table["pairs"] == ["adapter (ties: unipelt_al)", "–"]


def test_what_held_follows_from_the_figures(visible: str) -> None:
    (sentence,) = (line for line in visible.splitlines() if line.startswith("- **20 rows"))
    assert sentence.startswith("- **20 rows, 2 of 2 tasks.** unipelt_al is best or ties with the best on 1 of 2 tasks:")
    assert "lies 5.00 below that of the best of adapter, lora, the published one 1.00 above: this did not hold" in (
        sentence
    )
    assert "highest published one that of unipelt_al (71.00)" in sentence
    assert "rank correlation 0.63 (4 methods)" in sentence
    assert "- **100 rows" not in visible


def test_figures_of_another_adapter_are_marked_and_compared_with_nothing() -> None:
    suite = made_suite()
    visible = render_suite(suite_scores(suite, made_records(suite, EDITION_1)))
    table = rows(visible, "20 training rows")
    assert table["unipelt_al"] == ["67.00‡ ± 1.41 (66.00)", "78.00‡ ± 2.83 (76.00)", "72.50‡ ± 0.71 (71.00)"]
    assert "‡" not in "".join(table["lora"] + table["fine_tuning"])
    bounds = rows(visible, "The upper bound")["20 best of adapter, lora"]
    assert bounds[1:] == ["lora 73.00 ± 1.41 (65.00)", "adapter 82.00‡ ± 0.00 (75.00)", "77.50‡ ± 0.71 (70.00)"]
    (sentence,) = (line for line in visible.splitlines() if line.startswith("- **20 rows"))
    assert "below that of the best of adapter, lora. The highest" in sentence
    assert "this held" not in sentence and "did not hold" not in sentence and "correlation" not in sentence
    section = visible.partition("### ‡ Not the published adapter")[2]
    assert "- adapter, unipelt_al: the adapter reads the feed-forward network's output" in section
    alone = made_suite(published=None)
    assert "‡" not in render_suite(suite_scores(alone, made_records(alone, EDITION_1)))


def test_what_is_missing_and_what_is_a_copy_is_named(visible: str) -> None:
    assert "- two-films-100, stopped: adapter 1 of 2 runs, lora 0 of 2 runs, unipelt_al 0 of 2 runs." in visible
    assert "- Not begun: two-pairs-100." in visible
    assert "- films†: a sample." in visible
    assert "pairs†" not in visible


def test_without_results_or_published_figures_there_are_no_empty_promises() -> None:
    suite = made_suite()
    assert render_suite(suite_scores(suite, [])) == "**0 of 32 runs are confirmed.** There are no results yet.\n"
    alone = made_suite(published=None)
    visible = render_suite(suite_scores(alone, made_records(alone)))
    assert rows(visible, "20 training rows")["lora"] == ["73.00 ± 1.41", "62.00 ± 0.00", "67.50 ± 0.71"]
    assert "Its average lies 5.00 below that of the best of adapter, lora." in visible
    assert (
        "published one" not in visible and "In brackets" not in visible and "held" not in visible.partition("- **20")[2]
    )
    begun = render_suite(suite_scores(suite, made_records(suite)[2:]))
    assert "Nothing can be said yet: no task has all methods." in begun


def test_results_replace_older_ones_between_the_marks() -> None:
    page = f"# Title\n\n{BEGIN}\nold\n{END}\nafter\n"
    once = replace_results(page, "new\n", "p.md")
    assert once == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert replace_results(once, "new\n", "p.md") == once
    for broken in ("no marks", f"{END}\n{BEGIN}\n", f"{BEGIN}\n", page + BEGIN, page + page):
        with pytest.raises(RequestError, match="--report must name a page with the lines .* 'p.md' is none"):
            replace_results(broken, "new", "p.md")


def test_errors_are_written_as_they_are_and_the_lowest_is_named() -> None:
    visible = render_suite(made_errors({"films": "log_loss", "pairs": "log_loss"}))
    assert "Scores on films, pairs are not multiplied. Lower is better on films, pairs." in visible
    table = rows(visible, "20 training rows")
    assert table["lora"] == ["0.20 (65.00)", "0.20 (72.00)", "0.20 (68.50)"]
    assert table["majority"] == ["0.70", "0.70", ""]
    assert "The lowest average is that of lora (0.20), the lowest published one that of adapter (68.00)" in visible


def test_tasks_of_several_directions_have_scores_and_no_average() -> None:
    visible = render_suite(made_errors({"films": "brier", "pairs": "accuracy"}))
    table = rows(visible, "20 training rows")
    assert table["lora"] == ["20.00 (65.00)", "20.00 (72.00)", "–"]
    assert "average is that of" not in visible
